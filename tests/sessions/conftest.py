"""Sessions on the fake engine and on real ones, with tasks whose budgets are small."""

import json
import re
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mlgym_mcp.base.clock import Clock, ManualClock
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.sandbox.fake.backend import FakeBackend
from mlgym_mcp.sandbox.fake.sandbox import FakeSandbox
from mlgym_mcp.sessions import Sessions, StartRequest, open_sessions
from mlgym_mcp.sessions.headroom import Headroom

OpenSessions = Callable[..., AbstractAsyncContextManager[Sessions]]

Start = Callable[..., Awaitable[str]]

ROOMY = Headroom(memory_bytes=2**36, total_bytes=2**37, load=0.0, cpus=4.0)
"""So that what else runs on the machine does not matter."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def add_task(home: Path) -> Callable[..., None]:
    """Adds a copy of the battle of the sexes under another id, with other values of some keys."""

    def add(task_id: str, **changes: float | str) -> None:
        folder = home / "tasks" / task_id
        shutil.copytree(shipped("tasks") / "battle-of-sexes", folder)
        spec = (
            (folder / "task.toml")
            .read_text()
            .replace('id = "battle-of-sexes"', f'id = "{task_id}"')
        )
        for name, value in changes.items():
            spec = re.sub(rf"(?m)^{name} = .*$", f"{name} = {json.dumps(value)}", spec)
        (folder / "task.toml").write_text(spec)

    return add


@pytest.fixture
def session_settings(make_settings: Callable[..., Settings], home: Path) -> Callable[..., Settings]:
    """Settings whose tasks include the added ones."""

    def make(**changes: Any) -> Settings:
        return make_settings(tasks=(home / "tasks",), **changes)

    return make


@pytest.fixture
def survivors() -> dict[str, FakeSandbox]:
    """The fake engine's sandboxes, which may outlive a server."""
    return {}


@pytest.fixture
def open_fake(
    session_settings: Callable[..., Settings],
    clock: ManualClock,
    survivors: dict[str, FakeSandbox],
) -> OpenSessions:
    """Opens sessions on the fake engine; again on the same home for a restart."""

    @asynccontextmanager
    async def opened(
        session_clock: Clock = clock,
        backend_class: type[FakeBackend] = FakeBackend,
        **changes: Any,
    ) -> AsyncGenerator[Sessions]:
        settings = session_settings(engine="fake", **changes)
        async with (
            backend_class(settings, session_clock, open_sandboxes=survivors) as backend,
            open_sessions(settings, session_clock, backend, lambda: ROOMY) as sessions,
        ):
            yield sessions

    return opened


@pytest.fixture
def open_real(session_settings: Callable[..., Settings], clock: ManualClock) -> OpenSessions:
    """Opens sessions on bubblewrap, or on another engine."""

    @asynccontextmanager
    async def opened(session_clock: Clock = clock, **changes: Any) -> AsyncGenerator[Sessions]:
        settings = session_settings(**{"engine": "bubblewrap", **changes})
        async with open_sessions(settings, session_clock, measure=lambda: ROOMY) as sessions:
            yield sessions

    return opened


@pytest.fixture
def start() -> Start:
    """Opens a session for ann on a task's mini variant; its id."""

    async def opened(sessions: Sessions, task: str = "battle-of-sexes", **fields: Any) -> str:
        request = StartRequest(task=task, variant="mini", **fields)
        return (await sessions.start("ann", request)).session

    return opened
