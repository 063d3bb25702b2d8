"""Servers run as programs, and clients that nobody here wrote."""

import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from subprocess import PIPE
from typing import Any

import anyio
import pytest
from anyio.streams.text import TextReceiveStream
from mcp import Client, StdioServerParameters

from .play import Served

Serve = Callable[..., AbstractAsyncContextManager[Served]]
Connect = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    """How a client opens: the newest protocol first, or the handshake of 2025."""
    return str(request.param)


@pytest.fixture(params=["stdio", "http"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def program(mlgym: list[str], variables: dict[str, str]) -> StdioServerParameters:
    """The server over stdio, with bubblewrap."""
    command, *arguments = mlgym
    env = {**variables, "MLGYM_MCP_ENGINE": "bubblewrap"}
    return StdioServerParameters(command=command, args=[*arguments, "serve"], env=env)


@pytest.fixture
def serve(mlgym: list[str], variables: dict[str, str]) -> Serve:
    """The server over HTTP on a free port, as a program."""

    @asynccontextmanager
    async def start(engine: str = "bubblewrap") -> AsyncGenerator[Served]:
        command = [*mlgym, "serve", "--http", "--port", "0"]
        env = {**variables, "MLGYM_MCP_ENGINE": engine}
        async with await anyio.open_process(command, env=env, stdout=PIPE, stderr=PIPE) as process:
            assert process.stderr is not None
            try:
                with anyio.fail_after(30):
                    url = await _url_in(TextReceiveStream(process.stderr))
                yield Served(url, process)
            finally:
                if process.returncode is None:
                    process.send_signal(signal.SIGTERM)
                with anyio.move_on_after(10, shield=True):
                    await process.wait()

    return start


async def _url_in(lines: TextReceiveStream) -> str:
    said = ""
    async for text in lines:
        said += text
        if "serves " in said and said.endswith("\n"):
            return said.split("serves ")[1].split()[0]
    raise AssertionError(said)


@pytest.fixture
def connect(program: StdioServerParameters, serve: Serve, transport: str, mode: str) -> Connect:
    """A client of a server over each transport, in each era."""

    @asynccontextmanager
    async def start(**options: Any) -> AsyncGenerator[Client]:
        if transport == "stdio":
            async with Client(program, mode=mode, **options) as client:
                yield client
            return
        async with serve() as served, Client(served.url, mode=mode, **options) as client:
            yield client

    return start
