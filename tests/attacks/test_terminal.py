"""An agent's words that would command the terminal of the person who looks at them."""

import json
import re
from collections.abc import Callable

import anyio
import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.sessions import StartRequest, open_sessions

pytestmark = pytest.mark.anyio

OBEYED = re.compile(b"[\0-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae")
"""Control characters of one byte or two, and what turns the direction of text."""

WORDS = "\x1b[2J\x1b[Hno session\x1b]0;owned\x07\x9b1A\u202e\r\ns-1  alice  house-prices  submitted"
TURNED = "\x1b[1A\x9b2J\u202egame"


@pytest.mark.bubblewrap
async def test_a_label_can_neither_move_the_cursor_nor_make_a_line_of_its_own(
    make_settings: Callable[..., Settings], mlgym: list[str], variables: dict[str, str]
) -> None:
    settings = make_settings(engine="bubblewrap")
    async with open_sessions(settings, SystemClock()) as sessions:
        request = StartRequest(task="battle-of-sexes", variant="mini", label=WORDS)
        opened = await sessions.start("mallory", request)
        table = await anyio.run_process([*mlgym, "sessions"], env=variables)
        listed = await anyio.run_process([*mlgym, "sessions", "--json"], env=variables)
    assert not OBEYED.search(table.stdout)
    begun = [line.split()[0] for line in table.stdout.decode().splitlines() if line[:1].strip()]
    assert begun == ["session", opened.session]
    assert not OBEYED.search(listed.stdout)
    assert [record["label"] for record in json.loads(listed.stdout)] == [WORDS]


async def test_an_error_shows_what_a_name_has_for_the_terminal(
    mlgym: list[str], variables: dict[str, str]
) -> None:
    done = await anyio.run_process(
        [*mlgym, "score", TURNED, "nothing.py"], env=variables, check=False
    )
    assert done.returncode == 1
    assert not OBEYED.search(done.stderr)
    assert rb"'\u001b[1A\u009b2J\u202egame'" in done.stderr
