"""What a person sees of `mlgym-mcp eval`: a bar for each task, then one table."""

import re
import subprocess
from collections.abc import Callable

import pytest

from .test_bars import on_a_terminal

pytestmark = pytest.mark.bubblewrap
Run = Callable[..., subprocess.CompletedProcess[str]]

GAME = "battle-of-sexes"
EVAL = ("eval", "--agent", "baseline", "--tasks", GAME, "--variant", "mini")
HEADS = ["task", "metric", "baseline measured", "score", "seconds", "integrity"]


def check_table(shown: str) -> None:
    heads, row = (re.split(r" {2,}", line.strip()) for line in shown.splitlines())
    assert heads == HEADS
    cells = dict(zip(heads, row, strict=True))
    assert (cells["task"], cells["integrity"]) == (GAME, "clean")
    for number in ("baseline measured", "score", "seconds"):
        assert float(cells[number]) > 0


def test_eval_draws_a_bar_with_the_task_s_name_on_a_terminal_and_the_table_on_stdout(
    mlgym: list[str], variables: dict[str, str]
) -> None:
    drawn, table = on_a_terminal([*mlgym, *EVAL], variables)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn)
    # something that turns, the name first, what is done, the bar itself, the time since it began
    assert re.search(rf"\r[⠀-⣿] {GAME} [a-z]+ [━╸╺]+ 0:00:", plain), plain
    assert "━" not in table
    check_table(table)


def test_eval_writes_no_control_characters_where_there_is_no_terminal(program: Run) -> None:
    # a terminal that could show them, if there were one
    done = program(*EVAL, TERM="xterm")
    assert done.returncode == 0, done.stderr
    for shown in (done.stdout, done.stderr):
        assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown) == []
    assert GAME not in done.stderr
    check_table(done.stdout)
