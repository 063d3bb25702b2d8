"""Progress of long calls, and calls that their caller gives up."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import anyio
import pytest
from mcp import Client
from mcp.shared.dispatcher import ProgressFnT

from mlgym_mcp.server import open_server
from mlgym_mcp.server.tool import Arguments, Call, Tool
from mlgym_mcp.sessions import Sessions
from mlgym_mcp.types.files import Found

from .talk import session_on, wired

pytestmark = pytest.mark.anyio
NOTHING = Found(pattern="", paths=(), total=0)


@dataclass
class Slow:
    """A tool that works until it is told to stop."""

    begun: anyio.Event = field(default_factory=anyio.Event)
    enough: anyio.Event = field(default_factory=anyio.Event)
    given_up: anyio.Event = field(default_factory=anyio.Event)

    async def answer(self, call: Call, _given: Arguments) -> Found:
        self.begun.set()
        call.progress.report("building", 0.25)
        try:
            await self.enough.wait()
        except anyio.get_cancelled_exc_class():
            self.given_up.set()
            raise
        return NOTHING

    def as_tool(self) -> Tool:
        return Tool("slow", "Slow", "Waits.", Arguments, (Found,), self.answer, str)


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
async def slow_client(sessions: Sessions, mode: str, slow: Slow) -> AsyncGenerator[Client]:
    async with (
        open_server(sessions, [slow.as_tool()]) as server,
        wired(server, mode) as client,
    ):
        yield client


def until(event: anyio.Event, seen: list[tuple[float, str]], count: int) -> ProgressFnT:
    """A progress callback that sets `event` at the `count`-th notification."""

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        del total
        seen.append((progress, message or ""))
        if len(seen) >= count:
            event.set()

    return heard


async def test_seconds_and_what_is_done_are_reported(slow_client: Client, slow: Slow) -> None:
    seen: list[tuple[float, str]] = []
    heard = until(slow.enough, seen, 2)
    with anyio.fail_after(10):
        await slow_client.call_tool("slow", {}, progress_callback=heard)
    assert seen[0][0] < seen[1][0]
    assert all("building (25%)" in message for _, message in seen)


async def test_a_given_up_call_is_cancelled_in_the_server(slow_client: Client, slow: Slow) -> None:
    with anyio.fail_after(10):
        async with anyio.create_task_group() as callers:
            callers.start_soon(slow_client.call_tool, "slow")
            await slow.begun.wait()
            callers.cancel_scope.cancel()
        await slow.given_up.wait()


async def test_a_command_reports_its_last_line(client: Client) -> None:
    """The fake's `sleep` ends with its command, which is cancelled once a line was heard."""
    seen: list[str] = []
    line = anyio.Event()

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        seen.append(message or "")
        if "epoch 3" in seen[-1]:
            line.set()

    async with session_on(client):
        with anyio.fail_after(10):
            async with anyio.create_task_group() as callers:

                async def run() -> None:
                    command = {"command": "echo epoch 3; sleep 600"}
                    await client.call_tool("run", command, progress_callback=heard)

                callers.start_soon(run)
                await line.wait()
                callers.cancel_scope.cancel()
