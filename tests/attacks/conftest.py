"""Attackers' tools: a scorer on each real engine, a game with short limits, an honest grade after.

Every attack here ends in a label or an error, in bounded time, and leaves the scorer working.
"""

import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import EngineName, Settings
from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.scoring import Scorer, open_scorer, score_path
from mlgym_mcp.types.grade import Grade

from .honest import GAME, SECONDS, honest_table

Play = Callable[[str], Awaitable[Grade]]
Predict = Callable[[bytes], Awaitable[Grade]]


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """The shipped game with its own judge, but with limits that tests can wait for."""
    folder = tmp_path / "tasks" / GAME
    shutil.copytree(shipped("tasks") / "battle-of-sexes", folder)
    spec = folder / "task.toml"
    text = spec.read_text().replace('id = "battle-of-sexes"', f'id = "{GAME}"', 1)
    text = text.replace("call_seconds = 2.0", "call_seconds = 0.5", 1)
    text = text.replace("memory_bytes = 2147483648", "memory_bytes = 268435456", 1)
    spec.write_text(text.replace("processes = 128", "processes = 64", 1))
    return folder.parent


@pytest.fixture
def attacked_settings(
    make_settings: Callable[..., Settings], engine: EngineName, tasks: Path
) -> Settings:
    return make_settings(engine=engine, tasks=(tasks,))


@pytest.fixture
async def scorer(attacked_settings: Settings) -> AsyncGenerator[Scorer]:
    async with open_scorer(attacked_settings, SystemClock()) as opened:
        yield opened


@pytest.fixture
def play(scorer: Scorer, tmp_path: Path) -> Play:
    """Grade a strategy, then see that an honest one still gets its honest grade."""

    async def grade(code: str) -> Grade:
        path = tmp_path / "strategy.py"
        with anyio.fail_after(SECONDS):
            path.write_text(code)
            found = await score_path(scorer, GAME, "mini", path, "validate")
            path.write_text("def row_strategy(history):\n    return 0\n")
            honest = await score_path(scorer, GAME, "mini", path, "validate")
        assert honest.integrity == "clean"
        assert honest.score == pytest.approx(1.44, abs=0.12)
        return found

    return grade


@pytest.fixture
def predict(scorer: Scorer, tmp_path: Path) -> Predict:
    """Grade a csv of 60 house prices, then see that an honest one still gets a grade."""

    async def grade(content: bytes) -> Grade:
        path = tmp_path / "submission.csv"
        with anyio.fail_after(SECONDS):
            path.write_bytes(content)
            found = await score_path(scorer, "house-prices", "mini", path, "submit")
            path.write_bytes(await honest_table(scorer))
            honest = await score_path(scorer, "house-prices", "mini", path, "submit")
        assert honest.integrity == "clean"
        assert honest.score == pytest.approx(0, abs=0.2)
        return found

    return grade
