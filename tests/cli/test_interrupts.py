"""Ctrl-C while something runs: it ends at once, says nothing, and leaves nothing behind."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from mlgym_mcp.base.shipped import shipped

Run = Callable[..., subprocess.CompletedProcess[str]]
Begin = Callable[..., AbstractContextManager["subprocess.Popen[str]"]]

GAME = "battle-of-sexes"
QUICK = "def row_strategy(history):\n    return 0\n"
SLOW = f"import time\ntime.sleep(15)\n{QUICK}"
SECONDS = 30


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Whoever runs tests in the background has Ctrl-C ignored, which started programs inherit."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def begun(mlgym: list[str], variables: dict[str, str], tmp_path: Path) -> Begin:
    """Starts `mlgym-mcp` as a terminal does, in a process group of its own."""

    @contextmanager
    def begin(*arguments: str, **extra: str) -> Generator["subprocess.Popen[str]"]:
        with subprocess.Popen(
            [*mlgym, *arguments],
            env=variables | extra,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    return begin


def interrupted(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Its status and what it still wrote, after Ctrl-C."""
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


@pytest.mark.bubblewrap
def test_a_batch_that_is_interrupted_keeps_what_it_said_and_leaves_nothing(
    begun: Begin, home: Path, tmp_path: Path, processes_with: Callable[[str], list[str]]
) -> None:
    (tmp_path / "quick.py").write_text(QUICK)
    (tmp_path / "slow.py").write_text(SLOW)
    names = ["quick.py", "slow.py", "slow.py"]
    lines = [json.dumps({"task": GAME, "path": name, "variant": "mini"}) for name in names]
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines))
    with begun("score", "--batch", "manifest.jsonl", "--parallel", "2") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["line"] == 1
        assert interrupted(process) == (130, "", "")
    assert processes_with(str(home)) == []
    assert list((home / "grading").iterdir()) == []


@pytest.mark.bubblewrap
def test_an_evaluation_that_is_interrupted_closes_its_sessions(
    begun: Begin,
    program: Run,
    home: Path,
    tmp_path: Path,
    processes_with: Callable[[str], list[str]],
) -> None:
    folder = tmp_path / "tasks" / "endless"
    shutil.copytree(shipped("tasks") / GAME, folder)
    spec = folder / "task.toml"
    spec.write_text(spec.read_text().replace(f'id = "{GAME}"', 'id = "endless"', 1))
    (folder / "baseline" / "run.sh").write_text("touch begun; sleep 600\n")
    own = {"MLGYM_MCP_TASKS": str(folder.parent)}
    with begun("eval", "--tasks", "endless", **own) as process:
        while not list(home.glob("sessions/*/workspace/begun")):
            assert process.poll() is None, process.communicate()
        assert interrupted(process) == (130, "", "")
    (record,) = json.loads(program("sessions", "--json").stdout)
    assert (record["task"], record["state"]) == ("endless", "closed")
    assert processes_with(str(home)) == []


@pytest.mark.bubblewrap
def test_a_server_that_is_interrupted_ends_well(
    begun: Begin, home: Path, processes_with: Callable[[str], list[str]]
) -> None:
    with begun("serve", "--http", "--port", "0") as process:
        assert process.stderr is not None
        assert "/mcp" in process.stderr.readline()
        assert interrupted(process) == (0, "", "")
    assert processes_with(str(home)) == []


@pytest.mark.bubblewrap
def test_a_server_started_in_a_terminal_says_what_it_is_and_ends_at_ctrl_c(
    mlgym: list[str], variables: dict[str, str]
) -> None:
    ours, theirs = os.openpty()
    command = [*mlgym, "serve"]
    with subprocess.Popen(
        command, env=variables, stdin=theirs, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "speaks MCP on stdin and stdout" in process.stderr.readline()
        assert "mlgym-mcp connect" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(timeout=SECONDS) in {0, 130}
        finally:
            process.kill()
        assert process.stderr.read() == ""
    os.close(ours)
    os.close(theirs)


def test_a_program_that_is_interrupted_while_it_loads_ends_without_a_traceback(
    begun: Begin,
) -> None:
    with begun("serve", "--http", "--port", "0") as process:
        maps = Path(f"/proc/{process.pid}/maps")
        while "pydantic_core" not in maps.read_text():
            assert process.poll() is None, process.communicate()
        status, _out, said = interrupted(process)
    assert (status, "Traceback" in said) == (130, False), said
