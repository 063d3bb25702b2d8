"""Subcommands that look: tasks, sessions, doctor, tokens, environments."""

import hashlib
import json
import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

BROKEN = 'spec_version = 1\nid = "half"\n'


@pytest.fixture
def broken_tasks(tmp_path: Path) -> Path:
    folder = tmp_path / "own" / "half"
    folder.mkdir(parents=True)
    (folder / "task.toml").write_text(BROKEN)
    return folder.parent


def test_tasks_are_listed_as_json(program: Run) -> None:
    listed = json.loads(program("tasks", "--json").stdout)
    by_id = {task["id"]: task for task in listed}
    assert by_id["battle-of-sexes"]["data"] == "none"
    assert by_id["battle-of-sexes"]["variants"] == ["full", "mini"]
    assert by_id["house-prices"]["metric"] == "r2"


def test_tasks_whose_data_is_nowhere_say_what_fetches_it(program: Run) -> None:
    listed = json.loads(program("tasks", "--json", MLGYM_MCP_MIRRORS="").stdout)
    house = next(task for task in listed if task["id"] == "house-prices")
    assert house["data"] == "missing"
    assert "mlgym-mcp data fetch house-prices" in house["fix"]


def test_the_table_of_tasks_tells_variants_apart_whose_data_is_here(program: Run) -> None:
    rows = program("tasks", MLGYM_MCP_MIRRORS="").stdout.splitlines()
    said = {row.split()[0]: number for number, row in enumerate(rows) if row[:1].strip()}
    assert " not needed " in rows[said["battle-of-sexes"]]
    assert " missing " in rows[said["house-prices"]]
    assert " missing: full, mini " in rows[said["three-sat"]]
    assert " at hand: generated" in rows[said["three-sat"] + 1]


def test_a_broken_task_folder_is_named_and_hides_no_other(program: Run, broken_tasks: Path) -> None:
    done = program("tasks", "--json", MLGYM_MCP_TASKS=str(broken_tasks))
    assert done.returncode == 0
    assert "task.toml" in done.stderr
    assert len(json.loads(done.stdout)) >= 2


def test_checking_a_broken_task_folder_fails(program: Run, broken_tasks: Path) -> None:
    done = program("tasks", "check", "--json", MLGYM_MCP_TASKS=str(broken_tasks))
    assert done.returncode == 1
    states = {finding["check"]: finding["state"] for finding in json.loads(done.stdout)}
    assert states["task half"] == "failed"
    assert states["task battle-of-sexes"] == "ok"


def test_a_fresh_home_has_no_sessions(program: Run) -> None:
    assert json.loads(program("sessions", "--json").stdout) == []


@pytest.mark.bubblewrap
def test_doctor_says_what_works_and_how_to_mend_the_rest(program: Run) -> None:
    done = program("doctor", "--json")
    assert done.returncode == 0, done.stdout
    findings = json.loads(done.stdout)
    assert {"versions", "home", "gpu", "task battle-of-sexes"} <= {f["check"] for f in findings}
    assert all(f["fix"] for f in findings if f["state"] != "ok")


def test_doctor_fails_where_no_engine_works(program: Run, tmp_path: Path) -> None:
    done = program("doctor", "--json", PATH=str(tmp_path), DOCKER_HOST=f"unix://{tmp_path}/none")
    assert done.returncode == 1
    failed = [f for f in json.loads(done.stdout) if f["state"] == "failed"]
    assert len(failed) >= 2
    assert all(f["fix"] for f in failed)


@pytest.mark.bubblewrap
def test_doctor_says_what_holds_the_limits_and_which_environments_are_built(
    program: Run, home: Path
) -> None:
    (home / "environments").unlink(missing_ok=True)
    findings = {f["check"]: f for f in json.loads(program("doctor", "--json").stdout)}
    groups = findings["control groups"]
    if groups["state"] == "ok":
        assert re.match(r"version [12], memory, pids", groups["detail"])
    else:
        assert "its memory is added up ten times a second" in groups["detail"]
        assert "Delegate=yes" in groups["fix"]
    missing = findings["environment tabular"]
    assert (missing["state"], missing["fix"]) == (
        "warning",
        "mlgym-mcp environments build tabular",
    )


@pytest.mark.bubblewrap
def test_doctor_fails_where_the_chosen_engine_does_not_work(program: Run, tmp_path: Path) -> None:
    nowhere = f"unix://{tmp_path}/none"
    assert program("doctor", DOCKER_HOST=nowhere).returncode == 0
    assert program("doctor", DOCKER_HOST=nowhere, MLGYM_MCP_ENGINE="docker").returncode == 1


@pytest.mark.bubblewrap
@pytest.mark.parametrize(
    ("variable", "value", "check", "fix"),
    [
        ("MLGYM_MCP_HOME", "/proc/home", "home", "export MLGYM_MCP_HOME="),
        ("MLGYM_MCP_TASKS", "broken", "task half", "task.toml"),
    ],
)
def test_doctor_fails_for_what_every_session_needs(
    program: Run, broken_tasks: Path, variable: str, value: str, check: str, fix: str
) -> None:
    value = str(broken_tasks) if value == "broken" else value
    done = program("doctor", "--json", **{variable: value})
    assert done.returncode == 1
    (found,) = [one for one in json.loads(done.stdout) if one["check"] == check]
    assert found["state"] == "failed"
    assert fix in found["fix"] + found["detail"]


def test_an_unknown_environment_is_an_error_that_names_the_known(program: Run) -> None:
    done = program("environments", "build", "quantum")
    assert done.returncode == 1
    assert "Name one of: base, " in done.stderr


def test_a_token_is_printed_once_and_only_its_hash_is_kept(program: Run, home: Path) -> None:
    token = program("tokens", "add", "ada").stdout.strip()
    path = home / "tokens.json"
    assert json.loads(path.read_text()) == {"ada": hashlib.sha256(token.encode()).hexdigest()}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_second_token_leaves_the_first_name_in_place(program: Run) -> None:
    program("tokens", "add", "ada")
    program("tokens", "add", "bob")
    assert program("tokens", "list").stdout.split() == ["ada", "bob"]


def test_a_removed_token_is_gone_and_an_unknown_one_is_an_error(program: Run) -> None:
    program("tokens", "add", "ada")
    assert program("tokens", "remove", "ada").returncode == 0
    assert program("tokens", "list").stdout == ""
    assert program("tokens", "remove", "ada").returncode == 1


def test_a_broken_token_file_is_left_alone(program: Run, home: Path) -> None:
    path = home / "tokens.json"
    path.write_text("{")
    done = program("tokens", "add", "ada")
    assert done.returncode == 1
    assert path.read_text() == "{"
    assert str(path) in done.stderr
