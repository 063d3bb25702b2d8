"""The program as a whole: help, usage, errors."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlgym_mcp.base.errors import NotFound
from mlgym_mcp.cli.main import blamed

Run = Callable[..., subprocess.CompletedProcess[str]]

SUBCOMMANDS = [
    ("serve",),
    ("tasks",),
    ("tasks", "check"),
    ("tasks", "new"),
    ("tasks", "import"),
    ("data",),
    ("data", "fetch"),
    ("score",),
    ("rescore",),
    ("sessions",),
    ("eval",),
    ("doctor",),
    ("environments", "build"),
    ("images", "build"),
    ("connect",),
    ("tokens", "add"),
    ("tokens", "list"),
    ("tokens", "remove"),
    ("bench",),
]


def test_help_names_every_subcommand_and_loads_none(program: Run) -> None:
    shown = program("--help")
    assert shown.returncode == 0
    for path in SUBCOMMANDS:
        assert path[0] in shown.stdout


def test_help_loads_no_server_no_store_and_no_engine() -> None:
    code = (
        "import sys\n"
        "from mlgym_mcp.cli.main import main\n"
        "sys.argv = ['mlgym-mcp', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'mcp', 'sqlalchemy', 'docker', 'pydantic', 'anyio'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", SUBCOMMANDS, ids=" ".join)
def test_every_subcommand_has_help(program: Run, path: tuple[str, ...]) -> None:
    shown = program(*path, "--help")
    assert shown.returncode == 0, shown.stderr
    assert "Usage" in shown.stdout
    assert "completion" not in shown.stdout


def test_version_is_one_line(program: Run) -> None:
    assert program("--version").stdout == "mlgym-mcp 0.1.0\n"


@pytest.mark.parametrize(
    "arguments",
    [("fly",), ("score",), ("score", "a", "b", "--kind", "guess"), ("serve", "--port", "70000")],
    ids=" ".join,
)
def test_wrong_usage_ends_with_two_and_nothing_on_stdout(
    program: Run, arguments: tuple[str, ...]
) -> None:
    done = program(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr


def test_an_error_is_two_lines_what_happened_and_what_to_do(program: Run) -> None:
    done = program("data", "fetch", "house-price")
    assert done.returncode == 1
    assert done.stdout == ""
    what, fix = done.stderr.splitlines()
    assert what == "There is no task 'house-price'."
    assert "house-prices" in fix


def test_a_bad_setting_names_its_variable(program: Run) -> None:
    done = program("tasks", MLGYM_MCP_ENGINE="magic")
    assert done.returncode == 1
    assert "MLGYM_MCP_ENGINE is 'magic'" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_a_home_that_is_a_file_is_said_to_be_unusable(program: Run, tmp_path: Path) -> None:
    blocked = tmp_path / "home"
    blocked.write_text("not a folder")
    done = program("sessions", MLGYM_MCP_HOME=str(blocked))
    assert done.returncode == 1
    assert str(blocked) in done.stderr
    assert "Traceback" not in done.stderr


def test_one_error_of_ours_is_found_in_a_group() -> None:
    error = NotFound("gone")
    assert blamed(ExceptionGroup("tasks", [ExceptionGroup("inner", [error])])) is error


def test_a_group_with_a_bug_in_it_stays_a_bug() -> None:
    assert blamed(ExceptionGroup("tasks", [NotFound("gone"), KeyError("bug")])) is None
