"""How much memory and CPU this machine has left, as the kernel tells.

Above: admission. It measures what is used, not what limits would allow: two hundred sessions that
hardly do anything need little more memory than their supervisors (some 15 MB each), and are let
in on a laptop, while one session that fills the memory keeps the next one out.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)
_STATS = (Path("/sys/fs/cgroup/memory.stat"), Path("/sys/fs/cgroup/memory/memory.stat"))
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_RECLAIMABLE = ("inactive_file", "total_inactive_file")


@dataclass(frozen=True)
class Headroom:
    """What is left now."""

    memory_bytes: int
    """Memory that can be had without swapping, here or in our own cgroup, whichever is less."""

    total_bytes: int
    """All of it."""

    load: float
    """Runnable processes, averaged over the last minute."""

    cpus: float
    """CPUs that may be used."""


def measure() -> Headroom:
    """Read the kernel's figures; it blocks for some microseconds."""
    memory = _meminfo()
    total = memory.get("MemTotal", 0)
    free = memory.get("MemAvailable", 0)
    for limit, used in _cgroup_limits():
        total, free = min(total, limit), min(free, max(0, limit - used))
    return Headroom(free, total, os.getloadavg()[0], _cpus())


def _meminfo() -> dict[str, int]:
    found: dict[str, int] = {}
    for line in _MEMINFO.read_text().splitlines():
        name, _, rest = line.partition(":")
        with suppress(ValueError, IndexError):
            found[name] = int(rest.split()[0]) * 1024
    return found


def _cgroup_limits() -> list[tuple[int, int]]:
    """Limits of the cgroup at the root of our view, with what is used that cannot be given back."""
    found: list[tuple[int, int]] = []
    for (limit, used), stat in zip(_CGROUPS, _STATS, strict=True):
        # no such file, or the word `max`: no limit
        with suppress(OSError, ValueError):
            cache = 0
            for line in stat.read_text().splitlines():
                name, _, value = line.partition(" ")
                cache = max(cache, int(value)) if name in _RECLAIMABLE else cache
            found.append((int(limit.read_text()), max(0, int(used.read_text()) - cache)))
    return found


def _cpus() -> float:
    cpus = float(len(os.sched_getaffinity(0)))
    with suppress(OSError, ValueError):
        quota, period = _CPU_MAX.read_text().split()
        cpus = min(cpus, int(quota) / int(period))
    return cpus
