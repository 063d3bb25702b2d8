"""Memory of this process and of everything it started, from /proc.

Above: the crowd. Below: the kernel. Shared pages are counted once in all (PSS).
"""

import contextlib
import os
from collections import defaultdict
from pathlib import Path

_KIB = 1024


def descendants() -> list[int]:
    """Every living process below this one."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # a process may end while it is looked at
            with contextlib.suppress(OSError):
                status = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                if status[0] != "Z":
                    children[int(status[1])].append(int(entry.name))
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        below = children[waiting.pop()]
        found += below
        waiting += below
    return found


def memory_bytes() -> int:
    """Memory of this process and all below it."""
    return sum(_of(pid) for pid in [os.getpid(), *descendants()])


def _of(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * _KIB
    except (OSError, ValueError):
        return 0
    return 0
