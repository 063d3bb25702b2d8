"""Kept outputs: one file per command, to which it writes by itself.

So a cursor is an offset, a background child never holds a result back, and the output is on disk
even when the sandbox dies.
"""

import os

from mlgym_mcp.supervisor.wire import MAX_BODY

FOLDER = "/outputs"


class Excerpt:
    """Head and tail of an output."""

    def __init__(self, size: int, head: bytes, tail: bytes) -> None:
        self.size = size
        self.head = head
        self.tail = tail


def log_path(job: str) -> str:
    """Where the whole output of a job is."""
    return f"{FOLDER}/{job}.log"


def excerpt(path: str, size: int, most: int) -> Excerpt:
    """The first and the last bytes of the first `size`, `most` together."""
    # Beside a job's latest output there is room in a frame for this as well.
    most = min(most, MAX_BODY // 2)
    if size <= most:
        return Excerpt(size, read_part(path, 0, size), b"")
    half = most // 2
    return Excerpt(size, read_part(path, 0, most - half), read_part(path, size - half, half))


def read_part(path: str, start: int, size: int) -> bytes:
    """Some bytes of a kept output; fewer, or none, where there are not that many."""
    if size <= 0:
        return b""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(fd, size, start)
    except OSError:
        return b""
    finally:
        os.close(fd)


def size_of(path: str) -> int:
    """Bytes kept so far."""
    try:
        return os.stat(path, follow_symlinks=False).st_size
    except OSError:
        return 0
