"""Where measuring happens: a home of its own, so that an operator's sessions stay untouched.

Above: the plan. Below: the settings and the sessions. Environments are those of the real home.
"""

import shutil
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import mkdtemp

from mlgym_mcp.base.settings import EngineName, Settings
from mlgym_mcp.sessions import RunRequest, Sessions, StartRequest, open_sessions

PRINCIPAL = "bench"
TASK = "battle-of-sexes"
"""Data-free, and in the smallest environment."""


@contextmanager
def bench_home(settings: Settings) -> Generator[Settings]:
    """Settings with a home that is gone afterwards."""
    home = Path(mkdtemp(prefix="mlgym-bench-"))
    environments = settings.home / "environments"
    environments.mkdir(parents=True, exist_ok=True)
    (home / "environments").symlink_to(environments)
    try:
        yield settings.model_copy(update={"home": home})
    finally:
        shutil.rmtree(home, ignore_errors=True)


@asynccontextmanager
async def serving(
    settings: Settings, engine: EngineName, warm_sandboxes: int = 0
) -> AsyncGenerator[Sessions]:
    """Sessions in this very process, with one engine."""
    changes = {"engine": engine, "warm_sandboxes": warm_sandboxes}
    async with open_sessions(settings.model_copy(update=changes)) as sessions:
        yield sessions


@asynccontextmanager
async def session(sessions: Sessions) -> AsyncGenerator[str]:
    """One open session; its id."""
    opened = await sessions.start(PRINCIPAL, StartRequest(task=TASK, variant="mini"))
    try:
        yield opened.session
    finally:
        await sessions.end(PRINCIPAL, opened.session)


async def run_true(sessions: Sessions, session_id: str) -> None:
    """The smallest command."""
    await sessions.run(PRINCIPAL, session_id, RunRequest(command="true"), None)
