"""The process table, as far as this process-id namespace shows it."""

from __future__ import annotations

import os

from mlgym_mcp.supervisor.lean import TYPE_CHECKING, suppress

if TYPE_CHECKING:
    from collections.abc import Collection


class Process:
    """One line of the table; `start` tells it from a later process with the same number."""

    __slots__ = ("alive", "parent", "pid", "session", "start")

    def __init__(self, pid: int, fields: list[bytes]) -> None:
        self.pid = pid
        # A process whose first thread ended looks dead, and lives on in its others.
        self.alive = fields[0] not in b"ZX" or int(fields[17]) > 1
        self.parent = int(fields[1])
        self.session = int(fields[3])
        self.start = int(fields[19])

    def mark(self) -> int | None:
        """Which bash it comes from, through however many forks; None when it cannot be told."""
        for line in (read_small(f"/proc/{self.pid}/limits") or b"").splitlines():
            if line.startswith(b"Max file locks"):
                soft = line.split()[3]
                return int(soft) if soft.isdigit() else None
        return None


def table(without: Collection[int] = ()) -> dict[int, Process]:
    """Every process now, but those `without` which the caller asks."""
    found: dict[int, Process] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in without:
            process = look(int(name))
            if process is not None:
                found[process.pid] = process
    return found


def look(pid: int) -> Process | None:
    """One process, or None when there is none."""
    text = read_small(f"/proc/{pid}/stat")
    if text is None:
        return None
    # The name is in brackets and may hold anything, brackets and spaces too.
    return Process(pid, text[text.rindex(b")") + 2 :].split())


def signal_one(pid: int, number: int) -> None:
    """Send a signal; one that is gone is no error."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def read_small(path: str) -> bytes | None:
    """A small kernel file, or None when it is not there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(fd, 65536)
    except OSError:
        return None
    finally:
        os.close(fd)
