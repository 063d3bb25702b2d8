"""Opens the database file: its connections, its tables, its version.

Above: `store`. It blocks, so it is called in a worker thread.
"""

import fcntl
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine, create_engine, event, insert, select
from sqlalchemy.schema import CreateIndex, CreateTable

from mlgym_mcp.base.errors import ServerError
from mlgym_mcp.store.failure import blamed_on
from mlgym_mcp.store.tables import SCHEMA_VERSION, facts, metadata

STORE_NAME = "store.sqlite3"


class _DriverConnection(Protocol):
    def execute(self, sql: str, /) -> Any: ...


def open_engine(home: Path) -> Engine:
    """The engine on `home/store.sqlite3`, with tables of the version this program knows.

    Raises:
        ServerError: The file cannot be read, or a newer version wrote it.
    """
    path = home / STORE_NAME
    with blamed_on(home):
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(f"sqlite:///{path}", pool_size=4, max_overflow=4)
    event.listen(engine, "connect", _configure)
    try:
        with blamed_on(path), (home / "store.lock").open("a") as lock:
            # two servers starting at once would both make the tables
            fcntl.flock(lock, fcntl.LOCK_EX)
            path.touch(mode=0o600)
            _create(engine)
        _check_version(engine, path)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _configure(connection: _DriverConnection, _record: object) -> None:
    # the first of these must not fail with "locked" while another server writes
    connection.execute("PRAGMA busy_timeout = 10000")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def _create(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))
        if connection.execute(select(facts.c.value)).first() is None:
            connection.execute(insert(facts).values(name="schema", value=str(SCHEMA_VERSION)))


def _check_version(engine: Engine, path: Path) -> None:
    with blamed_on(path), engine.connect() as connection:
        found = connection.execute(select(facts.c.value).where(facts.c.name == "schema")).scalar()
    if found != str(SCHEMA_VERSION):
        raise ServerError(
            f"The store {path} has schema version {found}; this program knows {SCHEMA_VERSION}.",
            fix="Install the version of mlgym-mcp that wrote it, or set MLGYM_MCP_HOME to "
            "another folder.",
        )
