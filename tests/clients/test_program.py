"""The server as a program on stdin and stdout."""

import json
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from subprocess import DEVNULL, PIPE
from typing import Any

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

pytestmark = pytest.mark.anyio

HELLO: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
LONGEST_LINE = 2**22


@asynccontextmanager
async def running(mlgym: list[str], variables: dict[str, str]) -> AsyncGenerator[Process]:
    env = {**variables, "MLGYM_MCP_ENGINE": "fake"}
    command = [*mlgym, "serve"]
    async with await anyio.open_process(command, env=env, stdin=PIPE, stderr=None) as process:
        with anyio.fail_after(30):
            yield process


async def send(process: Process, *lines: object) -> None:
    assert process.stdin is not None
    for line in lines:
        raw = line if isinstance(line, bytes) else json.dumps(line).encode()
        await process.stdin.send(raw + b"\n")


async def receive(stream: BufferedByteReceiveStream) -> Any:
    return json.loads(await stream.receive_until(b"\n", LONGEST_LINE))


def answers_of(process: Process) -> BufferedByteReceiveStream:
    assert process.stdout is not None
    return BufferedByteReceiveStream(process.stdout)


async def test_garbage_between_messages_harms_nothing(
    mlgym: list[str], variables: dict[str, str]
) -> None:
    async with running(mlgym, variables) as process:
        answers = answers_of(process)
        await send(process, b"", b"{", b"[]", b"\xff\xfe", b'{"jsonrpc": "2.0"}', HELLO)
        assert (await receive(answers))["result"]["protocolVersion"] == "2025-06-18"
        process.terminate()


async def test_a_message_may_be_large_and_come_in_pieces(
    mlgym: list[str], variables: dict[str, str]
) -> None:
    async with running(mlgym, variables) as process:
        answers = answers_of(process)
        assert process.stdin is not None
        raw = json.dumps({**HELLO, "x": "y" * 3_000_000}).encode()
        for start in range(0, len(raw), 700_001):
            await process.stdin.send(raw[start : start + 700_001])
        await process.stdin.send(b"\n")
        assert (await receive(answers))["id"] == 1
        process.terminate()


async def test_the_end_of_stdin_ends_the_server(
    mlgym: list[str], variables: dict[str, str]
) -> None:
    async with running(mlgym, variables) as process:
        answers = answers_of(process)
        await send(process, HELLO)
        await receive(answers)
        assert process.stdin is not None
        await process.stdin.aclose()
        assert await process.wait() == 0


async def test_a_server_without_a_client_ends(mlgym: list[str], variables: dict[str, str]) -> None:
    """Standard input is /dev/null under many service managers, and cannot be waited for."""
    env = {**variables, "MLGYM_MCP_ENGINE": "fake"}
    with anyio.fail_after(30):
        done = await anyio.run_process([*mlgym, "serve"], env=env, stdin=DEVNULL, check=False)
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_a_server_that_waits(
    mlgym: list[str], variables: dict[str, str], number: signal.Signals
) -> None:
    async with running(mlgym, variables) as process:
        answers = answers_of(process)
        await send(process, HELLO)
        await receive(answers)
        process.send_signal(number)
        with anyio.fail_after(8):
            assert await process.wait() == 0


async def test_a_client_that_stops_reading_stops_nobody_else(
    mlgym: list[str], variables: dict[str, str]
) -> None:
    """A full pipe to the client must not block the loop, or no signal would be heard."""
    async with running(mlgym, variables) as process:
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        ask = {"jsonrpc": "2.0", "method": "tools/list"}
        answers = answers_of(process)
        await send(process, HELLO, ready, *({**ask, "id": number} for number in range(2, 60)))
        await receive(answers)
        process.send_signal(signal.SIGTERM)
        with anyio.fail_after(8):
            await process.wait()
