"""Attackers' tools: a scorer on each real engine, a game with short limits, an honest grade after.

Every attack here ends in a label or an error, in bounded time, and leaves the scorer working: all
attacks of a module use the same one, and at the end it grades something honest.
"""

import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import anyio
import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import EngineName, Settings
from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.scoring import Scorer, open_scorer, score_path
from mlgym_mcp.types.grade import Grade

from .honest import GAME, SECONDS, SEED, honest_table

Play = Callable[[str], Awaitable[Grade]]
Predict = Callable[[bytes], Awaitable[Grade]]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped game with its own judge, but with limits that tests can wait for."""
    folder = tmp_path_factory.mktemp("tasks") / GAME
    shutil.copytree(shipped("tasks") / "battle-of-sexes", folder)
    spec = folder / "task.toml"
    text = spec.read_text().replace('id = "battle-of-sexes"', f'id = "{GAME}"', 1)
    text = text.replace("call_seconds = 2.0", "call_seconds = 0.5", 1)
    text = text.replace("memory_bytes = 2147483648", "memory_bytes = 268435456", 1)
    spec.write_text(text.replace("processes = 128", "processes = 64", 1))
    return folder.parent


@pytest.fixture(scope="module")
def attacked_settings(
    open_home: Callable[[], AbstractContextManager[Path]], engine: EngineName, tasks: Path
) -> Iterator[Settings]:
    with open_home() as home:
        yield Settings(home=home, engine=engine, tasks=(tasks,))


@pytest.fixture(scope="module")
async def scorer(attacked_settings: Settings) -> AsyncGenerator[Scorer]:
    async with open_scorer(attacked_settings, SystemClock()) as opened:
        yield opened


@pytest.fixture(scope="module")
async def attacked_by_strategies(
    scorer: Scorer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Scorer]:
    """A scorer that gives an honest strategy its honest grade, before and after all others."""
    path = tmp_path_factory.mktemp("honest") / "strategy.py"
    path.write_text("def row_strategy(history):\n    return 0\n")
    for step in ("before", "after"):
        honest = await score_path(scorer, GAME, "mini", path, "validate", SEED)
        assert (honest.integrity, honest.score) == ("clean", pytest.approx(1.44, abs=0.12)), step
        if step == "before":
            yield scorer


@pytest.fixture
def play(attacked_by_strategies: Scorer, tmp_path: Path) -> Play:
    """Grade a strategy."""

    async def grade(code: str) -> Grade:
        path = tmp_path / "strategy.py"
        path.write_text(code)
        with anyio.fail_after(SECONDS):
            return await score_path(attacked_by_strategies, GAME, "mini", path, "validate", SEED)

    return grade


@pytest.fixture(scope="module")
async def attacked_by_tables(
    scorer: Scorer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Scorer]:
    """A scorer that gives an honest csv of house prices its honest grade, before and after all."""
    path = tmp_path_factory.mktemp("honest") / "submission.csv"
    path.write_bytes(await honest_table(scorer))
    for step in ("before", "after"):
        honest = await score_path(scorer, "house-prices", "mini", path, "submit")
        assert (honest.integrity, honest.score) == ("clean", pytest.approx(0, abs=0.2)), step
        if step == "before":
            yield scorer


@pytest.fixture
def predict(attacked_by_tables: Scorer, tmp_path: Path) -> Predict:
    """Grade a csv of 60 house prices."""

    async def grade(content: bytes) -> Grade:
        path = tmp_path / "submission.csv"
        path.write_bytes(content)
        with anyio.fail_after(SECONDS):
            return await score_path(attacked_by_tables, "house-prices", "mini", path, "submit")

    return grade
