"""Holds memory and processes of the whole sandbox where no control group does.

Above: the table of commands says when one starts, and asks what was ended and refused. Below: what
`memory` counts. It looks ten times a second while anything goes on, and seldom else. Each process
has limits of its own from the kernel beside it, which hold between two looks.
"""

from __future__ import annotations

import time

from mlgym_mcp.supervisor.counters import crowded, memory_kills, refused_forks
from mlgym_mcp.supervisor.job import Job
from mlgym_mcp.supervisor.lean import TYPE_CHECKING, signal
from mlgym_mcp.supervisor.loop import Loop, Timer
from mlgym_mcp.supervisor.memory import Held, Memory
from mlgym_mcp.supervisor.options import Options
from mlgym_mcp.supervisor.processes import signal_one

if TYPE_CHECKING:
    from collections.abc import Mapping

_PAUSE_SECONDS = 0.1
_LOOK_AGAIN_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 5.0
_SHARE = 20
"""At most one part in this many of the time is spent looking."""

_IDLE = 2
"""Shells that wait at their gate."""

_UNEXPLAINED = 4
"""One part in this many of the memory may be new on the machine before it is looked for here."""

_LEEWAY = 8
"""So far past the limit it is not the kernel that holds it: as root it counts nobody's."""


class Watchman:
    """Counts, ends what is too much, and remembers that it did."""

    def __init__(self, loop: Loop, options: Options, running: Mapping[int, Job]) -> None:
        self._loop = loop
        self._bytes = options.memory_bytes
        self._most = options.processes
        self._running = running
        self._memory = Memory() if self._bytes is not None else None
        self._timer: Timer | None = None
        self._pause = _PAUSE_SECONDS
        self._kills = self._refused = self._threads = 0
        self._suspected = False
        self._hidden: set[int] = set()

    def watch(self) -> None:
        """A command starts: look soon."""
        if self._memory is None:
            return
        self._pause = _PAUSE_SECONDS
        due = time.monotonic() + _PAUSE_SECONDS
        if self._timer is None or self._timer.when > due:
            self._look_in(_PAUSE_SECONDS)

    def counted(self) -> tuple[int, int]:
        """Processes ended for memory so far, and times that the process limit was reached."""
        return memory_kills() + self._kills, refused_forks() + self._refused

    def crowded(self) -> bool:
        """Whether more than half of the processes that may be are there."""
        return crowded() or 2 * self._threads > (self._most or 2 * self._threads)

    def _look_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.later(seconds, self._look)

    def _look(self) -> None:
        if self._memory is None or self._bytes is None:
            return
        started = time.monotonic()
        processes = self._memory.quick()
        self._count(processes)
        suspected = self._suspected
        self._suspected = self._too_much(self._memory, processes, self._bytes, sure=suspected)
        if self._running or len(processes) > _IDLE:
            self._pause = _PAUSE_SECONDS
        else:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
        if self._suspected and not suspected:
            self._look_in(_LOOK_AGAIN_SECONDS)
        else:
            self._look_in(max(self._pause, (time.monotonic() - started) * _SHARE))

    def _count(self, processes: list[Held]) -> None:
        self._threads = sum(held.threads for held in processes) + 1
        if self._most is None or self._threads < self._most:
            return
        self._refused += 1
        if self._threads > self._most + _LEEWAY:
            for job in self._running.values():
                job.hit("processes")
            # All at once: one by one they would start others meanwhile.
            signal_one(-1, signal.SIGKILL)

    def _too_much(self, memory: Memory, processes: list[Held], most: int, *, sure: bool) -> bool:
        """Whether they hold too much; ends the largest when that is `sure`.

        A single look may catch a process between its start and its program, when it shows the
        memory of the one that started it as its own.
        """
        in_files = memory.in_files()
        total = sum(held.total for held in processes) + in_files
        if total <= most and memory.unexplained(in_files) <= most // _UNEXPLAINED:
            self._hidden.clear()
            return False
        total = in_files + memory.exact(processes) + sum(held.private for held in processes)
        hidden = {held.pid for held in processes if held.hidden}
        if sure:
            for pid in hidden & self._hidden:
                self._end(pid)
        self._hidden = hidden
        if sure and total > most:
            for held in sorted(processes, key=lambda held: held.total, reverse=True):
                self._end(held.pid)
                total -= held.total
                if total <= most:
                    break
        return total > most or bool(hidden)

    def _end(self, pid: int) -> None:
        self._kills += 1
        signal_one(pid, signal.SIGKILL)
