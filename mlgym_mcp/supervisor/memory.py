"""What all processes of the sandbox hold in memory together, where no control group counts it.

Above: the watchman asks. Below: the kernel's files. There are two answers. The quick one counts what
processes share once for each of them, and misses shared memory that none has touched. The exact one
walks their page tables and looks at what they have open.
"""

from __future__ import annotations

import os
import time

from mlgym_mcp.supervisor.lean import TYPE_CHECKING, suppress
from mlgym_mcp.supervisor.processes import read_small

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDERS = ("/tmp", "/dev/shm")  # noqa: S108 - file systems of its own, in memory
_KIB = 1024
_BLOCK = 512
_EACH_SECONDS = 1.0
"""No honest process has so many mappings and open files that they take longer to read."""

_ALL_SECONDS = 5.0
"""After so long, those that are left are counted as the quick answer has them."""


class Held:
    """What one process holds, in bytes."""

    __slots__ = ("folder", "hidden", "pid", "private", "shared", "threads")

    def __init__(self, pid: int, folder: str, status: bytes) -> None:
        self.pid = pid
        self.folder = folder
        """That of a thread which is alive."""

        self.threads = _number(status, b"\nThreads:")
        self.private = _KIB * sum(_number(status, name) for name in _PRIVATE)
        self.shared = _KIB * _number(status, b"\nRssShmem:")
        self.hidden = False
        """Whether it does not let itself be looked into."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.private + self.shared


_PRIVATE = (b"\nRssAnon:", b"\nVmSwap:", b"\nVmPTE:")


class Memory:
    """The memory of the sandbox, and how much of the machine's is shared memory."""

    def __init__(self) -> None:
        fd = os.memfd_create("device")
        self._unnamed = os.fstat(fd).st_dev
        os.close(fd)
        self._begun = _shared_everywhere()

    def quick(self) -> list[Held]:
        """Every process but this one, as its own status has it."""
        me = os.getpid()
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        return [found for pid in pids if pid != me and (found := _look(pid)) is not None]

    def in_files(self) -> int:
        """Bytes in the file systems in memory and in System V's shared segments."""
        total = 0
        for folder in _FOLDERS:
            found = os.statvfs(folder)
            total += (found.f_blocks - found.f_bfree) * found.f_frsize
            total += (found.f_files - found.f_ffree) * _KIB
        for line in (read_small("/proc/sysvipc/shm") or b"").splitlines()[1:]:
            total += sum(int(word) for word in line.split()[-2:])
        return total

    def unexplained(self, in_files: int) -> int:
        """Shared memory of the whole machine that is new and in no file of ours, in bytes."""
        return _shared_everywhere() - self._begun - in_files

    def exact(self, processes: list[Held]) -> int:
        """Correct the list: what is shared is split between those who share it.

        Returns:
            Shared memory without a name that any of them has open or mapped, in bytes.
        """
        ends = time.monotonic() + _ALL_SECONDS
        unnamed = self._open_files("/proc/self", ends)
        for held in processes:
            if time.monotonic() > ends:
                break
            try:
                unnamed |= self._correct(held)
            except (PermissionError, TimeoutError):
                held.hidden = True
            except OSError:
                held.private = held.shared = 0
        return sum(unnamed.values())

    def _correct(self, held: Held) -> dict[int, int]:
        """By inode: the bytes of unnamed shared memory that it has open or mapped.

        Raises:
            PermissionError: It does not let itself be looked into.
            TimeoutError: It has so much that this would stop everything else.
            OSError: It has ended.
        """
        until = time.monotonic() + _EACH_SECONDS
        unnamed: dict[int, int] = {}
        # Threads need not have the same files open.
        for thread in os.listdir(f"/proc/{held.pid}/task"):
            unnamed |= self._open_files(f"/proc/{held.pid}/task/{thread}", until)
        private = 0
        for device, inode, name, sizes in _mappings(held.folder, until):
            part = sizes.get(b"Pss", 0)
            private += min(part, sizes.get(b"Anonymous", 0)) if inode else part
            private += sizes.get(b"SwapPss", 0)
            if device == self._unnamed and not name.startswith(b"/SYSV"):
                # Counted whole: its pages stay when nobody's page table shows them any more.
                unnamed[inode] = max(unnamed.get(inode, 0), sizes.get(b"Size", 0))
        held.private, held.shared = private, sum(unnamed.values())
        return unnamed

    def _open_files(self, folder: str, until: float) -> dict[int, int]:
        found: dict[int, int] = {}
        for name in os.listdir(f"{folder}/fd"):
            _in_time(until)
            with suppress(FileNotFoundError):
                file = os.stat(f"{folder}/fd/{name}")
                if file.st_dev == self._unnamed:
                    found[file.st_ino] = file.st_blocks * _BLOCK
        return found


def _look(pid: int) -> Held | None:
    folder = f"/proc/{pid}"
    status = read_small(f"{folder}/status")
    if status is None:
        return None
    held = Held(pid, folder, status)
    if held.threads > 1 and b"\nRssAnon:" not in status:
        # Its first thread has ended; the others still have the memory.
        with suppress(OSError):
            for name in os.listdir(f"{folder}/task"):
                status = read_small(f"{folder}/task/{name}/status") or b""
                if b"\nRssAnon:" in status:
                    return Held(pid, f"{folder}/task/{name}", status)
    return held


def _in_time(until: float) -> None:
    if time.monotonic() > until:
        raise TimeoutError


def _mappings(folder: str, until: float) -> Iterator[tuple[int, int, bytes, dict[bytes, int]]]:
    """Device, inode, name and sizes in bytes of each mapping."""
    head: tuple[int, int, bytes] | None = None
    sizes: dict[bytes, int] = {}
    with open(f"{folder}/smaps", "rb") as lines:
        for line in lines:
            if line[:1].isupper():
                name, _colon, value = line.partition(b":")
                if value.endswith(b" kB\n"):
                    sizes[name] = int(value[:-4]) * _KIB
                continue
            _in_time(until)
            if head is not None:
                yield *head, sizes
            _place, _rights, _offset, device, inode, *name_ = line.split(None, 5)
            major, minor = device.split(b":")
            number = os.makedev(int(major, 16), int(minor, 16))
            head, sizes = (number, int(inode), b"".join(name_)), {}
    if head is not None:
        yield *head, sizes


def _shared_everywhere() -> int:
    return _KIB * _number(read_small("/proc/meminfo") or b"", b"\nShmem:")


def _number(text: bytes, name: bytes) -> int:
    at = text.find(name)
    return int(text[at + len(name) :].split(None, 1)[0]) if at >= 0 else 0
