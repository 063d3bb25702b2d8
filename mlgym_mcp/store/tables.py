"""The tables of the store, and how its rows become records.

Above: `store` and `queries` are their only readers. A row holds what is looked up by as columns
and the rest as JSON; nothing here knows how a transaction is made, so another database than
SQLite needs no other tables.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Float, Index, Integer, MetaData, RowMapping, String, Table, Text

from mlgym_mcp.types.budget import Budget
from mlgym_mcp.types.session import Event, SessionRecord

SCHEMA_VERSION = 1
"""Counts up when a table changes; a store of a higher version is left alone."""

metadata = MetaData()

facts = Table(
    "facts",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(60), primary_key=True),
    Column("instance", String(60), nullable=False),
    Column("last_seq", Integer, nullable=False),
    Column("principal", String(200), nullable=False),
    Column("task", String(60), nullable=False),
    Column("variant", String(20), nullable=False),
    Column("seed", Integer, nullable=False),
    Column("label", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("budget", Text, nullable=False),
    Column("steps_used", Integer, nullable=False),
    Column("validations_used", Integer, nullable=False),
    Column("opened_at", Float, nullable=False),
    Column("last_call_at", Float, nullable=False),
    Column("ended_at", Float),
    Index("sessions_by_principal", "principal", "opened_at"),
    Index("sessions_by_state", "state"),
)

events = Table(
    "events",
    metadata,
    Column("session", String(60), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("at", Float, nullable=False),
    Column("request_id", String(200)),
    Column("job", String(60)),
    Column("name", String(60), nullable=False),
    Column("payload", Text, nullable=False),
    Index("events_by_request", "session", "request_id"),
    Index("events_by_job", "session", "job"),
    sqlite_with_rowid=False,
)

submissions = Table(
    "submissions",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("size", Integer, nullable=False),
    Column("record", Text, nullable=False),
)

takes = Table(
    "takes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("submission", String(64), nullable=False),
    Column("session", String(60)),
    Column("task", String(60), nullable=False),
    Column("variant", String(20), nullable=False),
    Column("at", Float, nullable=False),
    Index("takes_by_submission", "submission"),
)

grades = Table(
    "grades",
    metadata,
    Column("id", String(60), primary_key=True),
    Column("task", String(60), nullable=False),
    Column("session", String(60)),
    Column("submission", String(64), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("graded_at", Float, nullable=False),
    Column("record", Text, nullable=False),
    Index("grades_by_task", "task", "graded_at"),
    Index("grades_by_session", "session"),
    Index("grades_by_submission", "submission"),
)


def session_row(record: SessionRecord) -> dict[str, Any]:
    """The columns of a record; also of a part of one."""
    return session_columns({name: getattr(record, name) for name in SessionRecord.model_fields})


def session_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that some of a record's fields become."""
    columns = dict(values)
    if isinstance(budget := columns.get("budget"), Budget):
        columns["budget"] = budget.model_dump_json()
    return columns


def session_record(row: RowMapping) -> SessionRecord:
    """The record of a row."""
    values = {name: row[name] for name in SessionRecord.model_fields}
    values["budget"] = Budget.model_validate_json(values["budget"])
    return SessionRecord.model_validate(values)


def event_record(row: RowMapping) -> Event:
    """The event of a row."""
    values = {name: row[name] for name in Event.model_fields}
    values["payload"] = json.loads(values["payload"])
    return Event.model_validate(values)
