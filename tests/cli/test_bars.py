"""What a person at a terminal sees while long work goes on."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from mlgym_mcp.base.shipped import shipped

pytestmark = pytest.mark.bubblewrap
GAME = "battle-of-sexes"


@pytest.fixture
def score(mlgym: list[str]) -> list[str]:
    baseline = shipped("tasks") / GAME / "baseline"
    return [*mlgym, "score", GAME, str(baseline), "--variant", "mini"]


def read_all(descriptor: int) -> bytes:
    """What a terminal got, until whoever wrote there is gone."""
    said = b""
    try:
        while part := os.read(descriptor, 65536):
            said += part
    except OSError:
        # how the other end of a pseudo-terminal says that it is closed
        pass
    return said


def on_a_terminal(command: list[str], variables: dict[str, str]) -> tuple[str, str]:
    """Run a program whose stderr is a terminal; what it drew there, and what it printed."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command,
        env={**variables, "TERM": "xterm", "COLUMNS": "120"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        drawn = read_all(ours).decode()
        assert process.stdout is not None
        printed = process.stdout.read().decode()
    os.close(ours)
    assert process.returncode == 0, drawn
    return drawn, printed


def test_a_bar_with_the_task_s_name_is_drawn_on_a_terminal(
    score: list[str], variables: dict[str, str]
) -> None:
    drawn, table = on_a_terminal(score, variables)
    assert f"{GAME} grading" in drawn
    assert "0:00:0" in drawn
    heads, row, *_ = table.splitlines()
    assert heads.split()[:2] == ["grade", "task"]
    assert "clean" in row


def test_no_bar_is_drawn_where_nobody_sees_it(
    score: list[str], variables: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        score, env=variables, cwd=tmp_path, capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert b"\x1b" not in done.stdout
