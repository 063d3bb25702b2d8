"""What is read from the tables. Every function blocks and runs in a worker thread."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, exists, select

from mlgym_mcp.store.tables import event_record, session_record
from mlgym_mcp.store.tables import events as events_table
from mlgym_mcp.store.tables import grades as grades_table
from mlgym_mcp.store.tables import sessions as sessions_table
from mlgym_mcp.store.tables import submissions as submissions_table
from mlgym_mcp.store.tables import takes as takes_table
from mlgym_mcp.types.grade import Grade, Submission
from mlgym_mcp.types.session import Event, SessionRecord, SessionState
from mlgym_mcp.types.task import Variant


def sessions(
    connection: Connection,
    *,
    ids: Iterable[str] | None = None,
    principal: str | None = None,
    states: Iterable[SessionState] | None = None,
) -> list[SessionRecord]:
    """Sessions, the newest first, that meet every condition given."""
    table = sessions_table
    query = select(table).order_by(table.c.opened_at.desc(), table.c.id)
    if ids is not None:
        query = query.where(table.c.id.in_(list(ids)))
    if principal is not None:
        query = query.where(table.c.principal == principal)
    if states is not None:
        query = query.where(table.c.state.in_(list(states)))
    return [session_record(row) for row in connection.execute(query).mappings()]


def owners(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """Which process serves, or last served, each of these sessions."""
    table = sessions_table
    query = select(table.c.id, table.c.instance).where(table.c.id.in_(list(ids)))
    return {row.id: row.instance for row in connection.execute(query)}


def events(connection: Connection, session: str, after: int, limit: int) -> list[Event]:
    """Events of one session, in order."""
    table = events_table
    query = (
        select(table)
        .where(table.c.session == session, table.c.seq > after)
        .order_by(table.c.seq)
        .limit(limit)
    )
    return [event_record(row) for row in connection.execute(query).mappings()]


def result_of(connection: Connection, session: str, request_id: str) -> Event | None:
    """The last event of a request that is not its call."""
    table = events_table
    query = (
        select(table)
        .where(table.c.session == session, table.c.request_id == request_id)
        .where(table.c.kind != "call")
        .order_by(table.c.seq.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().first()
    return event_record(row) if row else None


def job_events(connection: Connection, session: str, job: str) -> list[Event]:
    """Events of one command, in order."""
    table = events_table
    query = (
        select(table).where(table.c.session == session, table.c.job == job).order_by(table.c.seq)
    )
    return [event_record(row) for row in connection.execute(query).mappings()]


def unanswered(connection: Connection, session: str) -> list[Event]:
    """Calls of commands without any later event of the same command."""
    table, later = events_table, events_table.alias()
    answered = exists().where(
        later.c.session == table.c.session, later.c.job == table.c.job, later.c.seq > table.c.seq
    )
    query = (
        select(table)
        .where(table.c.session == session, table.c.job.is_not(None), table.c.kind == "call")
        .where(~answered)
        .order_by(table.c.seq)
    )
    return [event_record(row) for row in connection.execute(query).mappings()]


def ungraded(connection: Connection) -> list[SessionRecord]:
    """Submitted sessions without the event of their grade."""
    table = sessions_table
    graded = exists().where(events_table.c.session == table.c.id, events_table.c.kind == "grade")
    query = select(table).where(table.c.state == "submitted").where(~graded)
    return [session_record(row) for row in connection.execute(query).mappings()]


def submission(connection: Connection, sha256: str) -> Submission | None:
    """The submission of that hash."""
    table = submissions_table
    query = select(table.c.record).where(table.c.sha256 == sha256)
    record = connection.execute(query).scalar()
    return Submission.model_validate_json(record) if record else None


def submission_task(connection: Connection, sha256: str) -> tuple[str, Variant] | None:
    """The task and variant a submission was last taken for."""
    table = takes_table
    query = (
        select(table.c.task, table.c.variant)
        .where(table.c.submission == sha256)
        .order_by(table.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return (row.task, row.variant) if row else None


def grades(connection: Connection, conditions: Mapping[str, Any]) -> list[Grade]:
    """Grades, the oldest first, whose columns have these values."""
    table = grades_table
    query = select(table.c.record).order_by(table.c.graded_at, table.c.id)
    for name, value in conditions.items():
        query = query.where(table.c[name] == value)
    return [Grade.model_validate_json(record) for record in connection.execute(query).scalars()]


def grades_of(connection: Connection, principal: str) -> list[Grade]:
    """Grades of one principal's sessions, the oldest first."""
    table = grades_table
    query = (
        select(table.c.record)
        .join(sessions_table, sessions_table.c.id == table.c.session)
        .where(sessions_table.c.principal == principal)
        .order_by(table.c.graded_at, table.c.id)
    )
    return [Grade.model_validate_json(record) for record in connection.execute(query).scalars()]
