"""`mlgym-mcp tasks check`, `new` and `import`, as a task's author runs them."""

import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
KINDS = ["predictions", "code", "model"]
PARTS = {"determinism", "validate", "floor", "baseline", "broken submissions"}

CONFIGURATION = """
id: regressionKaggleHousePrice
name: House "prices"
description: |-
  Predict the price of each house.
  Write submission.csv.
dataset_configs: [datasets/prices.yaml]
task_entrypoint: CSVSubmissionTasks
training_timeout: 1800
starter_code: [data/prices/evaluate.py]
baseline_scores:
  - rmse: 30340.11
    r2: 0.88
evaluation_paths: [evaluate.py]
colour: blue
"""


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, str]]:
    return {one["check"]: one for one in json.loads(done.stdout)}


def damage(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_task_is_sound_as_it_stands(program: Run, tmp_path: Path, kind: str) -> None:
    done = program("tasks", "new", "my-own", "--kind", kind)
    assert done.returncode == 0, done.stderr
    assert f"mlgym-mcp tasks check {tmp_path / 'my-own'}" in done.stderr
    checked = program("tasks", "check", "my-own", "--json")
    assert checked.returncode == 0, checked.stdout
    assert [one["state"] for one in findings(checked).values()] == ["ok"]
    assert not [p for p in (tmp_path / "my-own").rglob("*.*") if "my-task" in p.read_text()]


@pytest.mark.bubblewrap
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_task_can_be_played_and_scored(program: Run, kind: str) -> None:
    program("tasks", "new", "my-own", "--kind", kind)
    done = program("tasks", "check", "my-own", "--run", "--json", MLGYM_MCP_ENGINE="bubblewrap")
    found = findings(done)
    assert done.returncode == 0, done.stdout
    assert {one["state"] for one in found.values()} == {"ok"}
    assert {check.partition(": ")[2] for check in found} >= PARTS


@pytest.mark.bubblewrap
@pytest.mark.slow
def test_a_rehearsal_names_what_is_wrong_and_keeps_nothing(
    program: Run, tmp_path: Path, home: Path
) -> None:
    program("tasks", "new", "leaky")
    script = tmp_path / "leaky" / "dataset.py"
    damage(
        script,
        '(out / "card.json")',
        '(out / "public" / "notes.txt").write_bytes((out / "private" / "labels.csv").read_bytes())'
        '\n    (out / "card.json")',
    )
    damage(script, '"licence": "CC0",', "")
    judge = tmp_path / "leaky" / "judge" / "judge.py"
    damage(
        judge,
        '{"rmse": rmse("public", "private"), ',
        '{"rmse": rmse("public", "private") + __import__("time").time() % 9, ',
    )
    damage(
        judge, "rows = match_ids", "submission.read_text(encoding='utf-8')\n    rows = match_ids"
    )
    damage(tmp_path / "leaky" / "task.toml", "baseline = 0.45", "baseline = 99.0")
    done = program("tasks", "check", "leaky", "--run", "--json", MLGYM_MCP_ENGINE="bubblewrap")
    assert done.returncode == 1
    found = findings(done)
    assert "no `licence`" in found["task leaky: card"]["detail"]
    assert "notes.txt has the same content" in found["task leaky: separation"]["detail"]
    assert "the agent can read private/labels.csv" in found["task leaky: reach"]["detail"]
    assert "with the same seed" in found["task leaky: determinism"]["detail"]
    assert "garbage: the judge failed" in found["task leaky: broken submissions"]["detail"]
    assert found["task leaky: baseline"]["state"] == "warning"
    kept = {path.name for path in home.iterdir()}
    assert not [name for name in kept if name.startswith(".check")]
    assert "store.sqlite3" not in kept


@pytest.mark.bubblewrap
@pytest.mark.slow
def test_a_baseline_that_fails_or_is_worse_than_the_starter_is_a_fault(
    program: Run, tmp_path: Path
) -> None:
    program("tasks", "new", "worse")
    program("tasks", "new", "fails", "--kind", "code")
    damage(tmp_path / "worse/baseline/solution.py", "{y:.6f}", "{y + 50:.6f}")
    (tmp_path / "fails/baseline/run.sh").write_text("echo lost >&2\nexit 3\n")
    done = program(
        "tasks", "check", "worse", "fails", "--run", "--json", MLGYM_MCP_ENGINE="bubblewrap"
    )
    found = findings(done)
    assert done.returncode == 1
    assert found["task worse: floor"]["state"] == "failed"
    assert (
        "`bash baseline/run.sh` ended with exit status 3: lost"
        in (found["task fails: rehearsal"]["detail"])
    )


def test_a_rehearsal_without_data_says_what_fetches_it(program: Run) -> None:
    done = program("tasks", "check", "house-prices", "--run", "--json", MLGYM_MCP_MIRRORS="")
    assert done.returncode == 1
    assert (
        "mlgym-mcp data fetch house-prices" in findings(done)["task house-prices: rehearsal"]["fix"]
    )


@pytest.mark.parametrize("bad", ["My_Task", "a--b", "../up", "1st", "", "x" * 61])
def test_an_id_that_cannot_be_one_is_refused(program: Run, tmp_path: Path, bad: str) -> None:
    done = program("tasks", "new", bad)
    assert done.returncode == 1
    assert "cannot be a task's id" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(program: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    done = program("tasks", "new", "mine")
    assert done.returncode == 1
    assert "is there already" in done.stderr
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_folder_without_a_task_is_an_error(program: Run, tmp_path: Path) -> None:
    done = program("tasks", "check", str(tmp_path))
    assert done.returncode == 1
    assert f"There is no task.toml in {tmp_path}" in done.stderr


def test_a_configuration_becomes_a_task_with_a_list_of_what_is_missing(
    program: Run, tmp_path: Path
) -> None:
    (tmp_path / "task.yaml").write_text(CONFIGURATION)
    done = program("tasks", "import", "task.yaml")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "regression-kaggle-house-price"
    spec = tomllib.loads((folder / "task.toml").read_text())
    assert spec["mlgym_id"] == "regressionKaggleHousePrice"
    assert spec["title"] == 'House "prices"'
    assert spec["metric"]["name"] == "rmse"
    assert spec["metric"]["direction"] == "min"
    assert spec["metric"]["others"] == ["r2"]
    assert spec["metric"]["baseline"] == 30340.11
    assert spec["budget"]["command_seconds"] == 1800
    todo = (folder / "TODO.md").read_text()
    for said in ("evaluate.py", "datasets/prices.yaml", "colour", "test label"):
        assert said in todo
        assert said in done.stderr


def test_an_imported_task_is_not_sound_until_its_list_is_done(program: Run, tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text(CONFIGURATION)
    program("tasks", "import", "task.yaml")
    done = program("tasks", "check", "regression-kaggle-house-price", "--json")
    assert done.returncode == 1
    assert (
        "points are open" in findings(done)["task regression-kaggle-house-price: to do"]["detail"]
    )
    programs = list((tmp_path / "regression-kaggle-house-price").rglob("*.py"))
    assert programs
    assert all("NotImplementedError" in path.read_text() for path in programs)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n- b\n", "no mapping"),
        ("id: [", "cannot be read as YAML"),
        ("id: x\nname: y\n", "has no `description`"),
        ("id: x\nname: y\ndescription: z\ntask_entrypoint: Other\n", "'Other', which is not known"),
        ("!!python/object/apply:os.system ['touch owned']", "cannot be read as YAML"),
        ("id: ../../up\nname: y\ndescription: z\n", ""),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(
    program: Run, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "in" / "task.yaml"
    path.parent.mkdir()
    path.write_text(text)
    done = program("tasks", "import", str(path), "--into", str(tmp_path / "in"))
    assert said in done.stderr
    assert not said or done.returncode == 1
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_a_configuration_that_is_not_there_is_an_error(program: Run) -> None:
    done = program("tasks", "import", "none.yaml")
    assert done.returncode == 1
    assert "none.yaml cannot be read" in done.stderr
