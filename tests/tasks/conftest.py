"""A scorer for the shipped tasks on each real engine."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import EngineName, Settings
from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.scoring import Scorer, open_scorer


@pytest.fixture(scope="module")
async def scorer(
    open_home: Callable[[], AbstractContextManager[Path]], engine: EngineName
) -> AsyncGenerator[Scorer]:
    """A scorer on each real engine in turn."""
    with open_home() as home:
        async with open_scorer(Settings(home=home, engine=engine), SystemClock()) as opened:
            yield opened


@pytest.fixture
def task_files() -> Path:
    """The folder of the shipped tasks."""
    return shipped("tasks")
