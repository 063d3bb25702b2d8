"""A scorer on each real engine, and submissions to give it."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.scoring import Scorer, open_scorer


@pytest.fixture
async def scorer(engine_settings: Settings) -> AsyncGenerator[Scorer]:
    async with open_scorer(engine_settings, SystemClock()) as opened:
        yield opened


@pytest.fixture
def always_zero(tmp_path: Path) -> Path:
    path = tmp_path / "always_zero.py"
    path.write_text("def row_strategy(history):\n    return 0\n")
    return path
