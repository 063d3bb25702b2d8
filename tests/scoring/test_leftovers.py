"""What gradings that were killed left behind."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.scoring import open_scorer

pytestmark = pytest.mark.anyio
GAME = "battle-of-sexes"


async def test_the_next_grading_removes_what_a_killed_one_left(
    engine_settings: Settings,
    mlgym: list[str],
    variables: dict[str, str],
    containers: Callable[[], Awaitable[list[str]]],
    tmp_path: Path,
) -> None:
    home, engine = engine_settings.home, engine_settings.engine
    slow = tmp_path / "slow.py"
    slow.write_text("import time\ntime.sleep(600)\n")
    command = [*mlgym, "score", GAME, str(slow), "--variant", "mini"]
    process = await anyio.open_process(command, env=variables | {"MLGYM_MCP_ENGINE": engine})
    async with process:
        with anyio.fail_after(120):
            while not await anyio.to_thread.run_sync(list, home.glob("grading/g-*/submission")):
                await anyio.lowlevel.checkpoint()
            while engine == "docker" and len(await containers()) < 2:
                await anyio.lowlevel.checkpoint()
        process.kill()
    async with open_scorer(engine_settings, SystemClock()):
        assert not await anyio.to_thread.run_sync(list, home.glob("grading/*"))
        assert engine != "docker" or not await containers()


@pytest.mark.bubblewrap
async def test_what_a_living_grading_uses_is_left_to_it(settings: Settings) -> None:
    async with open_scorer(settings, SystemClock()):
        used = anyio.Path(settings.home, "grading", "g-used")
        await used.mkdir(parents=True)
        async with open_scorer(settings, SystemClock()):
            assert await used.exists()
    async with open_scorer(settings, SystemClock()):
        assert not await used.exists()
