"""A server over the fake engine, and clients of both eras of the protocol."""

from collections.abc import AsyncGenerator, Callable
from typing import Any, cast

import anyio
import pytest
from anyio.abc import TaskGroup
from mcp import Client
from mcp.server.lowlevel.server import Server

from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.tasks import owned_tasks
from mlgym_mcp.server import HttpOptions, open_server, serve_http
from mlgym_mcp.sessions import Sessions, open_sessions

from .talk import ServeHttp, wired


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    """How a client opens: the newest protocol first, or the handshake of 2025."""
    return str(request.param)


@pytest.fixture
def fake_settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(engine="fake", mirrors=())


@pytest.fixture
async def sessions(fake_settings: Settings) -> AsyncGenerator[Sessions]:
    async with open_sessions(fake_settings) as sessions:
        yield sessions


@pytest.fixture
async def server(sessions: Sessions) -> AsyncGenerator[Server[Any]]:
    async with open_server(sessions) as server:
        yield server


@pytest.fixture
async def client(server: Server[Any], mode: str) -> AsyncGenerator[Client]:
    async with wired(server, mode) as client:
        yield client


@pytest.fixture
async def tasks() -> AsyncGenerator[TaskGroup]:
    async with owned_tasks() as tasks:
        yield tasks


@pytest.fixture
def serve(fake_settings: Settings, tasks: TaskGroup) -> ServeHttp:
    """Starts a server on a free port of loopback; gives its URL."""

    async def start(**options: Any) -> str:
        async def run(*, task_status: Any) -> None:
            chosen = HttpOptions(port=0, **options)
            await serve_http(fake_settings, chosen, task_status=task_status)

        with anyio.fail_after(20):
            return cast("str", await tasks.start(run))

    return start
