"""Turns what the database and the file system raise into one error that says what to do.

Above: every door of the store. It names the file, because an operator has to act on it.
"""

import errno
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mlgym_mcp.base.errors import ServerError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FREE = "Free space there, or set MLGYM_MCP_HOME to another folder; what was acknowledged is kept."
_MOVE = "Restore it from a backup, or move it away to begin with an empty one."
_RIGHTS = "Make it readable and writable for this user, or set MLGYM_MCP_HOME to another folder."
_LOCKED = "End the program that holds it and try again."

_REASONS = {
    sqlite3.SQLITE_FULL: ("the disk is full", _FREE),
    sqlite3.SQLITE_IOERR: ("the disk refused (is it full?)", _FREE),
    sqlite3.SQLITE_NOTADB: ("it is not a database", _MOVE),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", _MOVE),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", _RIGHTS),
    sqlite3.SQLITE_READONLY: ("it is read-only", _RIGHTS),
    sqlite3.SQLITE_PERM: ("it may not be accessed", _RIGHTS),
    sqlite3.SQLITE_BUSY: ("another program holds it locked", _LOCKED),
}


@contextmanager
def blamed_on(path: Path) -> Generator[None]:
    """Blame what the database or the file system raises on the file at `path`.

    Raises:
        ServerError: With the file, the reason and the fix.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise _of_database(path, error) from error
    except OSError as error:
        full = error.errno in _FULL
        reason = "the disk is full" if full else error.strerror
        fix = _FREE if full else _RIGHTS
        raise ServerError(f"{path} cannot be used: {reason}.", fix=fix) from error


def _of_database(path: Path, error: Exception) -> ServerError:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    code: object = getattr(cause, "sqlite_errorcode", None)
    known = _REASONS.get(code & 0xFF) if isinstance(code, int) else None
    reason, fix = known or (str(cause), _MOVE)
    return ServerError(f"The store {path} cannot be used: {reason}.", fix=fix)
