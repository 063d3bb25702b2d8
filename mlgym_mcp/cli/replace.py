"""Replacing a person's file whole or not at all, with a copy of what was there."""

import os
import secrets
from pathlib import Path

from mlgym_mcp.base.errors import ServerError


def replace_text(path: Path, text: str, *, mode: int, backup: bool = False) -> Path | None:
    """Write `text` beside `path`, flush it and rename it over; the backup's path if one was made.

    A link is followed, so that a file kept elsewhere stays where it is.

    Raises:
        ServerError: The folder or file cannot be written.
    """
    target = path.resolve()
    fresh = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        kept = _keep(target) if backup else None
        _write(fresh, text, mode)
        fresh.replace(target)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise ServerError(
            f"{path} cannot be written: {error.strerror}.",
            fix="Check the folder's permissions and free space; nothing was changed.",
        ) from error
    return kept


def _keep(target: Path) -> Path | None:
    if not target.exists():
        return None
    number = 1
    while (copy := target.with_name(f"{target.name}.backup-{number}")).exists():
        number += 1
    _write(copy, target.read_text(encoding="utf-8"), target.stat().st_mode & 0o777)
    return copy


def _write(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
