"""The process's stdin and stdout as message streams, read and written on the event loop.

Above: `stdio` serves over them. Below: file descriptors. The SDK's own transport hands every line
to a worker thread and back; waiting for readiness instead takes a third of the time, and a server
that waits for its next request can be stopped by a signal. Both descriptors are moved away while
serving, so that what a library prints never lands between messages.
"""

import os
import stat
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress

import anyio
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from mlgym_mcp.base.tasks import owned_tasks

Incoming = MemoryObjectReceiveStream[SessionMessage | Exception]
Outgoing = MemoryObjectSendStream[SessionMessage]

_CHUNK_BYTES = 65_536
_LONGEST_LINE_BYTES = 64 * 2**20
_log = structlog.get_logger(__name__)


@asynccontextmanager
async def standard_streams() -> AsyncGenerator[tuple[Incoming, Outgoing]]:
    """Messages from stdin and to stdout, one a line."""
    arrived, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, leaving = anyio.create_memory_object_stream[SessionMessage](0)
    with _claimed() as (source, target):
        async with owned_tasks() as tasks:
            tasks.start_soon(_read, source, arrived)
            tasks.start_soon(_write, target, leaving)
            with incoming, outgoing:
                yield incoming, outgoing


@contextmanager
def _claimed() -> Generator[tuple[int, int]]:
    """Private duplicates of both descriptors; the public ones lead nowhere and to stderr."""
    source, target = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    try:
        os.dup2(nowhere, 0)
        os.dup2(2, 1)
        yield source, target
    finally:
        os.dup2(source, 0)
        os.dup2(target, 1)
        for descriptor in (nowhere, source, target):
            os.close(descriptor)


async def _read(source: int, arrived: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
    pending = bytearray()
    with arrived, suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        while chunk := await _received(source):
            *lines, rest = (bytes(pending) + chunk).split(b"\n") if b"\n" in chunk else (None,)
            if rest is None:
                pending += chunk
            else:
                pending = bytearray(rest)
            for line in lines:
                await arrived.send(_parsed(line))
            if len(pending) > _LONGEST_LINE_BYTES:
                _log.error("a message on stdin is too long", bytes=len(pending))
                return


async def _received(source: int) -> bytes:
    try:
        await anyio.wait_readable(source)
    except PermissionError:
        # a regular file or /dev/null cannot be waited for, and never makes a reader wait
        await anyio.lowlevel.checkpoint()
    return os.read(source, _CHUNK_BYTES)


def _parsed(line: bytes) -> SessionMessage | Exception:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        return error


async def _write(target: int, leaving: MemoryObjectReceiveStream[SessionMessage]) -> None:
    with leaving, _unblocked(target), suppress(BrokenPipeError):
        async for message in leaving:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            await _send(target, text.encode() + b"\n")


async def _send(target: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(target, rest) :]
        except BlockingIOError:
            await anyio.wait_writable(target)


@contextmanager
def _unblocked(target: int) -> Generator[None]:
    """Let a full pipe say so instead of stopping the loop; a terminal or file stays as it is."""
    mode = os.fstat(target).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        yield
        return
    before = os.get_blocking(target)
    os.set_blocking(target, False)
    try:
        yield
    finally:
        os.set_blocking(target, before)
