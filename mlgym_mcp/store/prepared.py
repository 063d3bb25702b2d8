"""A statement that SQLAlchemy wrote once and the driver runs by itself.

Above: `store`, for what is written at every step. Executed by SQLAlchemy, such a statement takes
twice as long: most of it goes into deciding anew what was decided before. It takes part in the
transaction of its connection like any other; what the driver raises comes as it is.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.dml import UpdateBase


class Prepared:
    """An insert or update, with a parameter for each of its columns."""

    def __init__(self, statement: UpdateBase) -> None:
        self._statement = statement
        self._written = lru_cache(maxsize=1)(self._write)

    def one(self, connection: Connection, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Run it once; the row that it returns, or None."""
        sql, names = self._written(connection.dialect)
        cursor = connection.connection.cursor()
        found = cursor.execute(sql, [values[name] for name in names]).fetchall()
        return found[0] if found else None

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it for each row."""
        sql, names = self._written(connection.dialect)
        cursor = connection.connection.cursor()
        cursor.executemany(sql, [[row[name] for name in names] for row in rows])

    def _write(self, dialect: Dialect) -> tuple[str, list[str]]:
        compiled = self._statement.compile(dialect=dialect)
        # SQLite's driver is given values by position
        return str(compiled), cast("list[str]", compiled.positiontup)
