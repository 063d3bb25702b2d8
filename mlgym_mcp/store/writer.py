"""All writes of one process, in order, many to a transaction.

Above: `store` hands operations in and awaits their results. Whatever waits while a transaction
runs goes into the next one together (group commit), so two hundred sessions cost hardly more
than one, and a write costs one change of threads instead of one per statement. An operation
that fails never takes its neighbours down: they are done again without it.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, cast

import anyio
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
        self._waiting: SimpleQueue[_Write | None] = SimpleQueue()
        self._open = True

    async def write(self, operation: Callable[[Connection], T], *, durable: bool = False) -> T:
        """Run `operation` in a transaction and return its value once that is committed.

        A durable one is on the disk before this returns; others survive the end of this
        process, but perhaps not of the machine.

        Raises:
            ServerError: The database refused; nothing of it was written.
        """
        item = _Write(operation, durable)
        if not self._open:
            raise ServerError("The store is closed.")
        self._waiting.put(item)
        await item.done.wait()
        if item.error:
            raise item.error
        return cast("T", item.value)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Write until the block ends; what was handed in by then is written."""
        # anyio's own way to the loop makes the thread wait there until it was heard, which costs
        # as much as the write; this one is asyncio's, as is every loop that this server runs on
        tell = partial(asyncio.get_running_loop().call_soon_threadsafe, _tell)
        async with owned_tasks(cancel=False) as tasks:
            tasks.start_soon(self._serve, tell)
            try:
                yield
            finally:
                self._open = False
                self._waiting.put(None)

    async def _serve(self, tell: Callable[[list[_Write]], object]) -> None:
        # a cancelled server still writes what its steps hand in while they end
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._work, tell, limiter=self._thread)

    def _work(self, tell: Callable[[list[_Write]], object]) -> None:
        """The worker thread, until it is told to end: one change of threads there, one back."""
        more = True
        while more:
            batch = [self._waiting.get(), *_further(self._waiting)]
            more = None not in batch
            writes = [item for item in batch if item is not None]
            self._commit_all(writes)
            tell(writes)
        self._close()

    def _commit_all(self, batch: list[_Write]) -> None:
        try:
            self._commit(batch)
        except (MlgymError, SQLAlchemyError, sqlite3.Error, OSError):
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


def _tell(writes: list[_Write]) -> None:
    for item in writes:
        item.done.set()


def _further(waiting: SimpleQueue[_Write | None]) -> list[_Write | None]:
    found: list[_Write | None] = []
    while len(found) < _BATCH:
        try:
            found.append(waiting.get_nowait())
        except Empty:
            break
    return found


def _set_synchronous(connection: Connection, level: str) -> None:
    if connection.dialect.name == "sqlite":
        connection.execute(text(f"PRAGMA synchronous = {level}"))
        # the pragma opened SQLAlchemy's implicit transaction, in which it would have no effect
        connection.commit()
