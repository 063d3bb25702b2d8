"""Subcommands that grade and play: score, score --batch, rescore, eval, and what `sessions` shows."""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mlgym_mcp.base.shipped import shipped

Run = Callable[..., subprocess.CompletedProcess[str]]

GAME = "battle-of-sexes"
ALWAYS_ZERO = "def row_strategy(history):\n    return 0\n"

pytestmark = pytest.mark.bubblewrap


@pytest.fixture
def strategy(tmp_path: Path) -> str:
    """A strategy in the folder where the program runs."""
    (tmp_path / "strategy.py").write_text(ALWAYS_ZERO)
    return "strategy.py"


def manifest(folder: Path, *lines: Mapping[str, object] | str) -> str:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "manifest.jsonl").write_text("\n".join(texts))
    return "manifest.jsonl"


def test_a_grade_is_a_table_for_a_person_and_json_for_a_script(program: Run, strategy: str) -> None:
    shown = program("score", GAME, strategy, "--variant", "mini")
    assert shown.returncode == 0, shown.stderr
    assert "clean" in shown.stdout
    done = program("score", GAME, strategy, "--variant", "mini", "--seed", "3", "--json")
    grade = json.loads(done.stdout)
    assert grade["kind"] == "submit"
    assert grade["seed"] == 3
    assert 1.3 < grade["score"] < 1.6


def test_a_submission_that_breaks_the_rules_is_graded_and_its_evidence_shown(
    program: Run, tmp_path: Path
) -> None:
    (tmp_path / "bad.py").write_text("def row_strategy(history):\n    return 7\n")
    done = program("score", GAME, "bad.py", "--variant", "mini")
    assert done.returncode == 0
    assert "invalid" in done.stdout
    assert "answered 7; expected 0 or 1" in done.stderr


def test_a_batch_is_one_json_line_each_and_fails_when_one_does(
    program: Run, strategy: str, tmp_path: Path
) -> None:
    good = {"task": GAME, "path": strategy, "variant": "mini"}
    bad = good | {"path": "none.py"}
    done = program("score", "--batch", manifest(tmp_path, good, bad, "{"), "--parallel", "2")
    assert done.returncode == 1
    lines = {line["line"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert lines[1]["grade"]["integrity"] == "clean"
    assert lines[2]["code"] == "submission_rejected"
    assert "none.py is not there" in lines[2]["message"]
    assert "Line 3 of the manifest is not valid" in lines[3]["message"]
    assert done.stderr.splitlines() == ["3 lines, 2 not graded"]


def test_a_judge_that_fails_is_a_failure_of_the_program_and_says_where_its_words_are(
    program: Run, strategy: str, tmp_path: Path, home: Path
) -> None:
    folder = tmp_path / "own" / "crashing"
    shutil.copytree(shipped("tasks") / GAME, folder)
    spec = folder / "task.toml"
    spec.write_text(spec.read_text().replace(f'id = "{GAME}"', 'id = "crashing"', 1))
    (folder / "judge" / "judge.py").write_text("raise SystemError('of the judge')\n")
    own = {"MLGYM_MCP_TASKS": str(folder.parent)}
    done = program("score", "crashing", strategy, "--variant", "mini", **own)
    assert done.returncode == 1
    assert "judge_failed" in done.stdout
    (log,) = (home / "failures").iterdir()
    assert f"failures/{log.name}" in done.stderr
    assert "of the judge" in log.read_text()
    line = {"task": "crashing", "path": strategy, "variant": "mini"}
    batch = program("score", "--batch", manifest(tmp_path, line), **own)
    assert batch.returncode == 1
    assert json.loads(batch.stdout)["grade"]["status"] == "judge_failed"


def test_a_batch_in_which_all_is_graded_succeeds(
    program: Run, strategy: str, tmp_path: Path
) -> None:
    """As many at once as there are lines, and more."""
    lines = [{"task": GAME, "path": strategy, "variant": "mini", "seed": n} for n in range(4)]
    done = program("score", "--batch", manifest(tmp_path, *lines, ""), "--parallel", "8")
    assert done.returncode == 0, done.stderr
    graded = [json.loads(line)["grade"] for line in done.stdout.splitlines()]
    assert sorted(grade["seed"] for grade in graded) == [0, 1, 2, 3]


def test_rescoring_shows_the_old_and_the_new_grade(program: Run, strategy: str) -> None:
    old = json.loads(program("score", GAME, strategy, "--variant", "mini", "--json").stdout)
    both = json.loads(program("rescore", old["id"], "--json").stdout)
    assert both["old"] == old
    assert both["new"]["id"] != old["id"]
    assert both["new"]["score"] == old["score"]
    table = program("rescore", old["submission"])
    assert table.returncode == 0, table.stderr
    assert table.stdout.count(GAME) == 2


def test_an_evaluation_is_seen_among_the_sessions(program: Run) -> None:
    done = program("eval", "--tasks", GAME, "--variant", "mini", "--json")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    (record,) = json.loads(program("sessions", "--json").stdout)
    assert (record["id"], record["state"]) == (result["session"], "submitted")
    assert result["integrity"] == "clean"
    assert GAME in program("sessions").stdout
