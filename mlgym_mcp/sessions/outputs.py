"""Kept outputs of commands, read on the host when no sandbox can be asked any more.

The folder was writable for the agent, so nothing in it is believed: links are not followed and
nothing but a regular file is read.
"""

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

_JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def read_output(folder: Path, job_id: str, cursor: int, most: int) -> tuple[str, int]:
    """A command's output from byte `cursor` on, and where to read on; empty when there is none.

    A negative cursor counts from the end.
    """
    with suppress(OSError):
        descriptor = _opened(folder, job_id)
        if descriptor is not None:
            try:
                return _part(descriptor, cursor, most)
            finally:
                os.close(descriptor)
    return "", max(cursor, 0)


def _opened(folder: Path, job_id: str) -> int | None:
    if not _JOB.fullmatch(job_id):
        return None
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    parent = os.open(folder, flags | os.O_DIRECTORY)
    try:
        # a pipe in its place must not hold us up
        return os.open(f"{job_id}.log", flags | os.O_NONBLOCK, dir_fd=parent)
    finally:
        os.close(parent)


def _part(descriptor: int, cursor: int, most: int) -> tuple[str, int]:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        return "", max(cursor, 0)
    start = max(0, found.st_size + cursor) if cursor < 0 else min(cursor, found.st_size)
    data = os.pread(descriptor, most, start)
    return data.decode(errors="replace"), start + len(data)
