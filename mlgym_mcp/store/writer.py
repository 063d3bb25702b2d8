"""All writes of one process, in order, many to a transaction.

Above: `store` hands operations in and awaits their results. Whatever waits while a transaction
runs goes into the next one together (group commit), so two hundred sessions cost hardly more
than one, and a write costs one change of threads instead of one per statement. An operation
that fails never takes its neighbours down: they are done again without it.
"""

import math
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from mlgym_mcp.base.errors import MlgymError, ServerError
from mlgym_mcp.base.tasks import owned_tasks
from mlgym_mcp.store.failure import blamed_on

T = TypeVar("T")
_BATCH = 500


@dataclass(eq=False)
class _Write:
    operation: Callable[[Connection], Any]
    durable: bool
    done: anyio.Event = field(default_factory=anyio.Event)
    value: Any = None
    error: MlgymError | None = None


class Writer:
    """Takes operations and runs them in one worker thread."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._path = path
        self._connection: Connection | None = None
        self._thread = anyio.CapacityLimiter(1)
        self._send, self._receive = anyio.create_memory_object_stream[_Write](math.inf)

    async def write(self, operation: Callable[[Connection], T], *, durable: bool = False) -> T:
        """Run `operation` in a transaction and return its value once that is committed.

        A durable one is on the disk before this returns; others survive the end of this
        process, but perhaps not of the machine.

        Raises:
            ServerError: The database refused; nothing of it was written.
        """
        item = _Write(operation, durable)
        try:
            self._send.send_nowait(item)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
            raise ServerError("The store is closed.") from error
        await item.done.wait()
        if item.error:
            raise item.error
        return cast("T", item.value)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Write until the block ends; what was handed in by then is written."""
        async with owned_tasks(cancel=False) as tasks:
            tasks.start_soon(self._serve)
            try:
                yield
            finally:
                self._send.close()

    async def _serve(self) -> None:
        # a cancelled server still writes what its steps hand in while they end
        with anyio.CancelScope(shield=True), self._receive:
            async for first in self._receive:
                batch = [first, *_waiting(self._receive)]
                await anyio.to_thread.run_sync(self._commit_all, batch, limiter=self._thread)
                for item in batch:
                    item.done.set()
            await anyio.to_thread.run_sync(self._close, limiter=self._thread)

    def _commit_all(self, batch: list[_Write]) -> None:
        try:
            self._commit(batch)
        except (MlgymError, SQLAlchemyError, OSError):
            for item in batch:
                self._commit_one(item)

    def _commit_one(self, item: _Write) -> None:
        try:
            with blamed_on(self._path):
                self._commit([item])
        except MlgymError as error:
            item.error = error

    def _commit(self, batch: list[_Write]) -> None:
        connection = self._connection = self._connection or self._engine.connect()
        durable = any(item.durable for item in batch)
        if durable:
            _set_synchronous(connection, "FULL")
        try:
            with connection.begin():
                for item in batch:
                    item.value = item.operation(connection)
        finally:
            if durable:
                _set_synchronous(connection, "NORMAL")

    def _close(self) -> None:
        if self._connection:
            self._connection.close()


def _waiting(stream: MemoryObjectReceiveStream[_Write]) -> list[_Write]:
    found: list[_Write] = []
    while len(found) < _BATCH:
        try:
            found.append(stream.receive_nowait())
        except (anyio.WouldBlock, anyio.EndOfStream):
            break
    return found


def _set_synchronous(connection: Connection, level: str) -> None:
    if connection.dialect.name == "sqlite":
        connection.execute(text(f"PRAGMA synchronous = {level}"))
        # the pragma opened SQLAlchemy's implicit transaction, in which it would have no effect
        connection.commit()
