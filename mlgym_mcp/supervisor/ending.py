"""Ending the whole tree of one command: SIGTERM, a grace, SIGKILL.

What a command started bears the mark of its bash, however often it forked and whatever session it
moved to, and whether that bash lives or not. What is below a member is a member too.
"""

from __future__ import annotations

from mlgym_mcp.supervisor.lean import TYPE_CHECKING, signal
from mlgym_mcp.supervisor.loop import Loop
from mlgym_mcp.supervisor.processes import Process, signal_one, table

if TYPE_CHECKING:
    from collections.abc import Callable

GRACE_SECONDS = 2.0

_LOOK_AGAIN = 0.01
_FREEZE_ROUNDS = 30


class Ending:
    """The end of all processes that `belongs` names, on its way."""

    def __init__(
        self,
        loop: Loop,
        belongs: Callable[[Process], bool],
        done: Callable[[], None],
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._loop = loop
        self._belongs = belongs
        self._done = done
        self._members: dict[int, int] = {}
        self._rounds = 0
        self._ended = False
        self._asked = set[int]()
        self._timer = loop.later(0, self._ask)
        self._deadline = loop.later(grace, self._force)

    def look(self) -> list[Process]:
        """The living members now, the oldest first.

        Parents come before their children: a shell whose child ended first would go on to its
        next line before its own signal came.
        """
        processes = table()
        inside = {
            pid
            for pid, start in self._members.items()
            if pid in processes and processes[pid].start == start
        }
        inside |= {
            pid for pid, one in processes.items() if pid not in inside and self._belongs(one)
        }
        growing = True
        while growing:
            below = {
                p.pid for p in processes.values() if p.parent in inside and p.pid not in inside
            }
            inside |= below
            growing = bool(below)
        alive = [processes[pid] for pid in inside if pid in processes and processes[pid].alive]
        alive.sort(key=lambda process: (process.start, process.pid))
        self._members = {process.pid: process.start for process in alive}
        return alive

    def _ask(self) -> None:
        alive = self.look()
        if not alive:
            self._finish()
            return
        for process in alive:
            if process.pid not in self._asked:
                self._asked.add(process.pid)
                signal_one(process.pid, signal.SIGTERM)
                signal_one(process.pid, signal.SIGCONT)
        self._timer = self._loop.later(_LOOK_AGAIN, self._ask)

    def _force(self) -> None:
        if self._ended:
            return
        self._timer.cancel()
        stopped: set[int] = set()
        for _round in range(_FREEZE_ROUNDS):
            fresh = [process.pid for process in self.look() if process.pid not in stopped]
            if not fresh:
                break
            for pid in fresh:
                signal_one(pid, signal.SIGSTOP)
            stopped.update(fresh)
        alive = self.look()
        for process in alive:
            signal_one(process.pid, signal.SIGKILL)
        if alive:
            self._loop.later(_LOOK_AGAIN, self._force)
        else:
            self._finish()

    def _finish(self) -> None:
        if not self._ended:
            self._ended = True
            self._timer.cancel()
            self._deadline.cancel()
            self._done()
