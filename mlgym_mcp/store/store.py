"""What is kept: sessions, their events, submissions, grades.

Above: scoring and sessions. Below: one database file, written by `Writer` and read by `queries`.
It does not know what a state or an event means, nor which change of state is allowed.
"""

import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import anyio
from sqlalchemy import Connection, Engine, bindparam, insert, select, update

from mlgym_mcp.base.clock import Clock
from mlgym_mcp.base.errors import NotFound
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.store import queries, tables
from mlgym_mcp.store.artefacts import Artefacts
from mlgym_mcp.store.engine import STORE_NAME, open_engine
from mlgym_mcp.store.entry import Entry
from mlgym_mcp.store.failure import blamed_on
from mlgym_mcp.store.instances import Instances
from mlgym_mcp.store.prepared import Prepared
from mlgym_mcp.store.writer import Writer
from mlgym_mcp.types.grade import Grade, Submission
from mlgym_mcp.types.session import Event, SessionRecord, SessionState
from mlgym_mcp.types.task import Variant

T = TypeVar("T")


@asynccontextmanager
async def open_store(settings: Settings, clock: Clock) -> AsyncGenerator["Store"]:
    """The store under `home`; made on first use.

    Raises:
        ServerError: Its file cannot be read, or a newer version of this program wrote it.
    """
    engine = await anyio.to_thread.run_sync(open_engine, settings.home)
    path = settings.home / STORE_NAME
    try:
        writer, instances = Writer(engine, path), Instances(settings.home)
        async with instances.entered(), writer.running():
            yield Store(engine, path, writer, clock, instances)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(engine.dispose)


class Store:
    """Everything that has to outlive this process; several processes may share one."""

    artefacts: Artefacts
    instances: Instances

    def __init__(
        self, engine: Engine, path: Path, writer: Writer, clock: Clock, instances: Instances
    ) -> None:
        self.instances = instances
        self.artefacts = Artefacts(path.with_name("artefacts"))
        self._engine = engine
        self._path = path
        self._writer = writer
        self._clock = clock
        self._readers = anyio.CapacityLimiter(4)

    async def add_session(self, record: SessionRecord) -> None:
        """Keep a new session; this process serves it."""
        row = tables.session_row(record) | {"instance": self.instances.own, "last_seq": 0}
        await self._writer.write(lambda c: c.execute(insert(tables.sessions).values(row)) and None)

    async def append(
        self,
        session: str,
        entry: Entry,
        changes: Mapping[str, Any] | None = None,
        *,
        first: Entry | None = None,
        durable: bool = False,
    ) -> Event:
        """Number and keep one event, together with changes of its session's record.

        Another may come right before it, so that both are kept or none. A durable event is on
        the disk when this returns.

        Raises:
            NotFound: There is no such session.
            ServerError: The store refused; neither event nor changes were written.
        """
        now = self._clock.now()
        rows = [_row(session, one, now) for one in (first, entry) if one]
        columns = tables.session_columns(changes or {})

        def operation(connection: Connection) -> int:
            last = _last_seq(connection, session, len(rows), columns)
            for seq, row in enumerate(rows, start=last - len(rows) + 1):
                row["seq"] = seq
            _ADD_EVENT.many(connection, rows)
            return last

        seq = await self._writer.write(operation, durable=durable)
        return Event(
            session=session,
            seq=seq,
            kind=entry.kind,
            at=rows[-1]["at"],
            request_id=entry.request_id,
            name=entry.name,
            payload=dict(entry.payload),
        )

    async def claim(self, session: str, old: str) -> bool:
        """Take a session over from a dead process; False when another was faster."""
        change = (
            update(tables.sessions)
            .where(tables.sessions.c.id == session, tables.sessions.c.instance == old)
            .values(instance=self.instances.own)
        )
        return await self._writer.write(lambda c: c.execute(change).rowcount == 1)

    async def session(self, session: str) -> SessionRecord | None:
        """The record of one session."""
        found = await self._read(lambda c: queries.sessions(c, ids=[session]))
        return found[0] if found else None

    async def sessions(
        self, principal: str | None = None, states: Iterable[SessionState] | None = None
    ) -> list[SessionRecord]:
        """Sessions, the newest first; of one principal, or in some states."""
        return await self._read(lambda c: queries.sessions(c, principal=principal, states=states))

    async def owners(self, sessions: Iterable[str]) -> dict[str, str]:
        """Which process serves, or last served, each of these sessions."""
        return await self._read(lambda c: queries.owners(c, sessions))

    async def events(self, session: str, after: int = 0, limit: int = 1000) -> list[Event]:
        """Events of one session, in order, beyond sequence number `after`."""
        return await self._read(lambda c: queries.events(c, session, after, limit))

    async def result_of(self, session: str, request_id: str) -> Event | None:
        """What answered the request of that id: the last event with it that is not a call."""
        return await self._read(lambda c: queries.result_of(c, session, request_id))

    async def job_events(self, session: str, job: str) -> list[Event]:
        """The events of one command."""
        return await self._read(lambda c: queries.job_events(c, session, job))

    async def unanswered(self, session: str) -> list[Event]:
        """Calls of commands whose end was never written: the server died before."""
        return await self._read(lambda c: queries.unanswered(c, session))

    async def ungraded(self) -> list[SessionRecord]:
        """Submitted sessions without the event of their grade."""
        return await self._read(queries.ungraded)

    async def add_submission(
        self, submission: Submission, session: str | None, task: str, variant: Variant
    ) -> None:
        """Keep a submission and where it came from; on the disk when this returns."""
        row = {
            "sha256": submission.sha256,
            "size": submission.size,
            "record": submission.model_dump_json(),
        }
        take = {
            "submission": submission.sha256,
            "session": session,
            "task": task,
            "variant": variant,
            "at": self._clock.now(),
        }

        def operation(connection: Connection) -> None:
            known = select(tables.submissions.c.size).where(
                tables.submissions.c.sha256 == submission.sha256
            )
            if connection.execute(known).first() is None:
                connection.execute(insert(tables.submissions), row)
            connection.execute(insert(tables.takes), take)

        await self._writer.write(operation, durable=True)

    async def submission(self, sha256: str) -> Submission | None:
        """The submission of that hash."""
        return await self._read(lambda c: queries.submission(c, sha256))

    async def submission_task(self, sha256: str) -> tuple[str, Variant] | None:
        """The task and variant a submission was last taken for."""
        return await self._read(lambda c: queries.submission_task(c, sha256))

    async def add_grade(self, grade: Grade) -> None:
        """Keep a grade; on the disk when this returns."""
        columns = ("id", "task", "session", "submission", "kind", "graded_at")
        row = {name: getattr(grade, name) for name in columns}
        row["record"] = grade.model_dump_json()
        await self._writer.write(
            lambda c: c.execute(insert(tables.grades).values(row)) and None, durable=True
        )

    async def grade(self, grade_id: str) -> Grade | None:
        """The grade of that id."""
        found = await self._read(lambda c: queries.grades(c, {"id": grade_id}))
        return found[0] if found else None

    async def grades(
        self, task: str | None = None, session: str | None = None, submission: str | None = None
    ) -> list[Grade]:
        """Grades, the oldest first, that meet every condition given."""
        wanted = {"task": task, "session": session, "submission": submission}
        conditions = {name: value for name, value in wanted.items() if value is not None}
        return await self._read(lambda c: queries.grades(c, conditions))

    async def grades_of(self, principal: str) -> list[Grade]:
        """Grades of one principal's sessions, the oldest first."""
        return await self._read(lambda c: queries.grades_of(c, principal))

    async def _read(self, query: Callable[[Connection], T]) -> T:
        def in_thread() -> T:
            with blamed_on(self._path), self._engine.connect() as connection:
                return query(connection)

        return await anyio.to_thread.run_sync(in_thread, limiter=self._readers)


def _row(session: str, entry: Entry, now: float) -> dict[str, Any]:
    return {
        "session": session,
        "kind": entry.kind,
        "at": now if entry.at is None else entry.at,
        "request_id": entry.request_id,
        "job": entry.job,
        "name": entry.name,
        "payload": json.dumps(entry.payload, separators=(",", ":")),
    }


def _last_seq(connection: Connection, session: str, more: int, changes: Mapping[str, Any]) -> int:
    parameters = {f"new_{name}": value for name, value in changes.items()}
    change = _change(tuple(changes))
    parameters |= {"session_id": session, "more": more}
    found = change.one(connection, parameters)
    if found is None:
        raise NotFound(f"There is no session {session}.")
    return found[0]


@lru_cache(maxsize=64)
def _change(names: tuple[str, ...]) -> Prepared:
    # built once for each set of fields: building it costs more than running it
    table = tables.sessions
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
    return Prepared(
        update(table)
        .where(table.c.id == bindparam("session_id"))
        .values(last_seq=table.c.last_seq + bindparam("more"), **values)
        .returning(table.c.last_seq)
    )


_ADD_EVENT = Prepared(insert(tables.events))
