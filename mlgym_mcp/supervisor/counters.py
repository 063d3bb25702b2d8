"""What the kernel counted for this sandbox: kills for memory, refused forks, memory, CPU.

The sandbox's own cgroup is mounted read-only where tools expect it, version 1 or 2. Where there is
none, everything is 0 or summed from the process table, and the memory limit is each process's.
"""

import os
import resource

from mlgym_mcp.supervisor.lean import suppress
from mlgym_mcp.supervisor.processes import read_small, table

_ROOT = "/sys/fs/cgroup"
_OOM = (f"{_ROOT}/memory.events", f"{_ROOT}/memory/memory.oom_control")
_PIDS = (f"{_ROOT}/pids.events", f"{_ROOT}/pids/pids.events")
_MEMORY = (f"{_ROOT}/memory.current", f"{_ROOT}/memory/memory.usage_in_bytes")
_TICKS = os.sysconf("SC_CLK_TCK")
_files: dict[tuple[str, str], int | None] = {}
"""Open for good: they are read after every command."""


def memory_kills() -> int:
    """Processes the kernel killed for memory so far."""
    return _counted(_OOM, b"oom_kill")


def refused_forks() -> int:
    """Times the process limit refused one so far."""
    return _counted(_PIDS, b"max")


def crowded() -> bool:
    """Whether more than half of the processes that may be are there."""
    for folder in (_ROOT, f"{_ROOT}/pids"):
        now, most = read_small(f"{folder}/pids.current"), read_small(f"{folder}/pids.max")
        if now is not None and most is not None and most.strip().isdigit():
            return 2 * int(now) > int(most)
    return False


def memory_bytes() -> int:
    """Memory of all processes."""
    for path in _MEMORY:
        text = read_small(path)
        if text is not None:
            return int(text)
    page = resource.getpagesize()
    statm = [read_small(f"/proc/{pid}/statm") for pid in table()]
    return sum(int(text.split()[1]) * page for text in statm if text)


def cpu_seconds() -> float:
    """Processor time of ended and living processes."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = ended.ru_utime + ended.ru_stime
    for pid in table():
        text = read_small(f"/proc/{pid}/stat")
        if text is not None:
            fields = text[text.rindex(b")") + 2 :].split()
            total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total


def _counted(paths: tuple[str, str], name: bytes) -> int:
    if paths not in _files:
        _files[paths] = _opened(paths)
    fd = _files[paths]
    try:
        text = b"" if fd is None else os.pread(fd, 4096, 0)
    except OSError:
        return 0
    for line in text.splitlines():
        key, _space, value = line.partition(b" ")
        if key == name and value.isdigit():
            return int(value)
    return 0


def _opened(paths: tuple[str, str]) -> int | None:
    """The first of these files that is there."""
    for path in paths:
        with suppress(OSError):
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return None
