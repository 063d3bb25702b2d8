"""What goes wrong for a person at the command line: two lines say what, where, and what to do."""

import os
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

GAME = "battle-of-sexes"
SUBCOMMANDS = [
    ("sessions",),
    ("score", GAME, "strategy.py"),
    ("score", "--batch", "manifest.jsonl"),
    ("rescore", "g-0000000000000000"),
    ("serve",),
    ("serve", "--http", "--port", "0"),
]


def said(done: "subprocess.CompletedProcess[str]") -> tuple[str, str]:
    """What happened, and what to do; nothing else was written."""
    assert (done.returncode, done.stdout) == (1, ""), done.stdout + done.stderr
    what, fix = done.stderr.splitlines()
    return what, fix


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "strategy.py").write_text("def row_strategy(history):\n    return 0\n")
    line = f'{{"task": "{GAME}", "path": "strategy.py", "variant": "mini"}}'
    (tmp_path / "manifest.jsonl").write_text(line)


def test_an_unknown_task_is_answered_with_the_one_meant(program: Run) -> None:
    assert said(program("score", "battle-of-sex", "strategy.py")) == (
        "There is no task 'battle-of-sex'.",
        f"Did you mean {GAME}?",
    )
    assert said(program("eval", "--tasks", "house-price"))[0] == "There is no task 'house-price'."


def test_a_path_that_is_not_there_is_named(program: Run) -> None:
    what, fix = said(program("score", GAME, "nothing.py"))
    assert what == "The submission nothing.py is not there."
    assert "regular files" in fix


def test_a_manifest_that_is_not_there_is_named_with_what_it_should_be(program: Run) -> None:
    what, fix = said(program("score", "--batch", "nothing.jsonl"))
    assert what == "The manifest nothing.jsonl cannot be read: No such file or directory."
    assert '"task"' in fix


@pytest.mark.bubblewrap
def test_an_unknown_grade_is_named(program: Run) -> None:
    what, fix = said(program("rescore", "g-none"))
    assert "'g-none'" in what
    assert "`id`" in fix


def test_a_broken_task_says_which_file_and_key_when_it_is_asked_for(
    program: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "own" / "half"
    folder.mkdir(parents=True)
    (folder / "task.toml").write_text('spec_version = 1\nid = "half"\n')
    done = program("score", "half", "strategy.py", MLGYM_MCP_TASKS=str(folder.parent))
    assert (done.returncode, done.stdout) == (1, "")
    assert str(folder / "task.toml") in done.stderr
    assert "metric" in done.stderr
    assert "mlgym-mcp tasks check" in done.stderr


@pytest.mark.bubblewrap
def test_missing_data_names_the_command_that_fetches_it(program: Run) -> None:
    what, fix = said(program("score", "house-prices", "strategy.py", MLGYM_MCP_MIRRORS=""))
    assert "train.csv is neither in the cache nor at house_prices/train.csv" in what
    assert "`mlgym-mcp data fetch house-prices`" in fix


def test_data_that_cannot_be_downloaded_names_address_and_way_out(program: Run) -> None:
    nobody = {"MLGYM_MCP_MIRRORS": "", "HTTPS_PROXY": "http://127.0.0.1:9"}
    nobody |= {"https_proxy": "http://127.0.0.1:9", "NO_PROXY": "", "no_proxy": ""}
    what, fix = said(program("data", "fetch", "house-prices", **nobody))
    assert what.startswith("house-prices: train.csv could not be downloaded from https://")
    assert "house_prices/train.csv" in fix
    assert "MLGYM_MCP_MIRRORS" in fix


@pytest.mark.data
def test_data_from_a_mirror_is_fetched(program: Run) -> None:
    done = program("data", "fetch", "house-prices", GAME)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["house-prices: here", f"{GAME}: needs no data"]


def test_data_that_cannot_be_had_stops_no_other(program: Run, tmp_path: Path) -> None:
    nothing = tmp_path / "mirror" / "house_prices" / "train.csv"
    nothing.parent.mkdir(parents=True)
    nothing.write_text("x")
    own = {"MLGYM_MCP_MIRRORS": str(nothing.parent.parent)}
    done = program("data", "fetch", "house-prices", GAME, **own)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"{GAME}: needs no data"


def test_a_mirror_with_another_file_is_named_with_both_hashes(program: Run, tmp_path: Path) -> None:
    path = tmp_path / "mirror" / "house_prices" / "train.csv"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(460_676)
    mirror = str(path.parent.parent)
    what, fix = said(program("data", "fetch", "house-prices", MLGYM_MCP_MIRRORS=mirror))
    assert str(path) in what
    assert "sha256 f041ca1a62bb" in what
    assert "expected 1e18addf81e5" in what
    assert "take it out of MLGYM_MCP_MIRRORS" in fix


def test_without_an_engine_the_command_that_installs_one_is_said(
    program: Run, tmp_path: Path
) -> None:
    nothing = {"PATH": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/none"}
    what, fix = said(program("score", GAME, "strategy.py", **nothing))
    assert "`bwrap` is not installed; docker engine: " in what
    assert f"{tmp_path}/none does not exist" in what
    assert "install bubblewrap`, then try again" in fix
    assert "No Docker engine answers" in said(program("images", "build", **nothing))[0]
    played = program("eval", "--tasks", GAME, **nothing)
    assert played.returncode == 1
    assert "engine_missing" in played.stderr
    assert "install bubblewrap" in played.stderr


def test_a_port_in_use_is_named_with_the_way_out(program: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        what, fix = said(program("serve", "--http", "--port", port))
    assert what == f"The port {port} on 127.0.0.1 cannot be listened on: Address already in use."
    assert "`--port`" in fix


def test_a_server_that_is_not_there_is_named_with_its_address(program: Run) -> None:
    url = "http://127.0.0.1:9/mcp"
    done = program("eval", "--tasks", GAME, "--url", url)
    assert done.returncode == 1
    assert f"There is no connection to {url}: " in done.stderr
    assert "token" in done.stderr


@pytest.mark.parametrize("arguments", SUBCOMMANDS, ids=" ".join)
def test_a_store_that_is_none_is_named_and_left_alone(
    program: Run, home: Path, arguments: tuple[str, ...]
) -> None:
    store = home / "store.sqlite3"
    store.write_bytes(b"no database " * 500)
    what, fix = said(program(*arguments))
    assert what == f"The store {store} cannot be used: it is not a database."
    assert "backup" in fix
    assert store.read_bytes() == b"no database " * 500


def test_a_store_of_a_newer_version_asks_for_that_version(program: Run, home: Path) -> None:
    store = home / "store.sqlite3"
    assert program("sessions").returncode == 0
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE facts SET value = '999' WHERE name = 'schema'")
    connection.close()
    what, fix = said(program("sessions"))
    assert f"The store {store} has schema version 999" in what
    assert "Install the version of mlgym-mcp that wrote it" in fix


@pytest.mark.parametrize(
    "arguments",
    [*SUBCOMMANDS, ("environments", "build"), ("tokens", "add", "ada")],
    ids=" ".join,
)
def test_a_home_that_cannot_be_made_is_named_with_its_variable(
    program: Run, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Under a file, so that not even root can make it."""
    place = tmp_path / "strategy.py" / "home"
    what, fix = said(program(*arguments, MLGYM_MCP_HOME=str(place)))
    assert str(place) in what
    assert "MLGYM_MCP_HOME" in fix or "permissions" in fix


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_home_that_may_not_be_written_is_named(program: Run, home: Path) -> None:
    home.chmod(0o500)
    what, fix = said(program("sessions"))
    home.chmod(0o700)
    assert str(home) in what
    assert "MLGYM_MCP_HOME" in fix


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="limits a file's size from outside")
def test_a_full_disk_is_named_and_what_was_there_is_kept(
    mlgym: list[str], variables: dict[str, str], program: Run, home: Path, tmp_path: Path
) -> None:
    """Made with a limit on the size of files, which the kernel answers as it does a full disk."""
    program("tokens", "add", "ada")
    before = (home / "tokens.json").read_bytes()
    # one that measures its coverage would have a full disk of its own to complain about
    quiet = ["--unset=COVERAGE_PROCESS_CONFIG", "PYTHONDONTWRITEBYTECODE=1"]
    limited = ["prlimit", "--fsize=0", "env", *quiet, *mlgym]
    for arguments in (["tokens", "add", "bob"], ["sessions"], ["score", GAME, "strategy.py"]):
        done = subprocess.run(
            [*limited, *arguments],
            env=variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert str(home) in said(done)[0]
        assert "free" in said(done)[1].lower()
    assert (home / "tokens.json").read_bytes() == before
    assert program("sessions").returncode == 0
