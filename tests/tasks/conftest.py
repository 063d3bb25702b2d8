"""Scorers for the shipped tasks: on each real engine, and on the quicker one alone."""

from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.scoring import Scorer, open_scorer


@pytest.fixture
async def scorer(engine_settings: Settings) -> AsyncGenerator[Scorer]:
    """A scorer on each real engine in turn."""
    async with open_scorer(engine_settings, SystemClock()) as opened:
        yield opened


@pytest.fixture
async def quick_scorer(make_settings: Callable[..., Settings]) -> AsyncGenerator[Scorer]:
    """A scorer on bubblewrap, for what does not depend on the engine; mark such tests so."""
    async with open_scorer(make_settings(engine="bubblewrap"), SystemClock()) as opened:
        yield opened


@pytest.fixture
def task_files() -> Path:
    """The folder of the shipped tasks."""
    return shipped("tasks")
