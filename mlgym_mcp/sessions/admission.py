"""Who may open a session now, who waits, who is sent away.

A session is let in when the machine has room for one more by what is really used (`headroom`):

- memory: a floor of 512 MiB, or 5 % of all where that is less, stays free, and every session that
  is being opened is counted with 96 MiB until its sandbox is up and shows in the measurement;
- CPUs: the load of the last minute is below 16 runnable processes a CPU;
- fewer than `max_sessions` are open, and no more are being opened at once than CPUs allow.

The others wait in line, first come first served, and are told their position; whoever waits for
`queue_seconds` is refused with the figure that was short.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio

from mlgym_mcp.base.errors import NoCapacity
from mlgym_mcp.sandbox.contract import Report
from mlgym_mcp.sessions.headroom import Headroom, measure

Measure = Callable[[], Headroom]

_MIB = 2**20
_FLOOR_BYTES = 512 * _MIB
_FLOOR_SHARE = 0.05
_OPENING_BYTES = 96 * _MIB
_LOAD_PER_CPU = 16.0
_LOOK_SECONDS = 0.25
_TELL_SECONDS = 1.0
"""How often those behind the first in line look where they stand."""


class _Ticket:
    """A place in the line."""

    def __init__(self) -> None:
        self.called = anyio.Event()

    async def wait(self, seconds: float) -> None:
        """Wait to be called, so long at most."""
        with anyio.move_on_after(seconds):
            await self.called.wait()
        self.called = anyio.Event()


class Admission:
    """The door in front of new sessions."""

    def __init__(
        self,
        *,
        max_sessions: int,
        queue_seconds: float,
        count: Callable[[], int],
        measure: Measure = measure,
    ) -> None:
        self._max_sessions = max_sessions
        self._queue_seconds = queue_seconds
        self._count = count
        self._measure = measure
        self._line: list[_Ticket] = []
        self._opening = 0
        self._reason = ""
        """What the first in line waits for."""

    @asynccontextmanager
    async def admitted(self, report: Report) -> AsyncGenerator[None]:
        """Wait for room, then hold it while the block opens a session.

        Raises:
            NoCapacity: There was none for `queue_seconds`.
        """
        await self._wait(report)
        try:
            yield
        finally:
            self._opening -= 1
            self.look_again()

    def look_again(self) -> None:
        """Something was freed: the first in line should look."""
        if self._line:
            self._line[0].called.set()

    async def _wait(self, report: Report) -> None:
        ticket, told = _Ticket(), 0
        self._line.append(ticket)
        try:
            with anyio.move_on_after(self._queue_seconds):
                while not await self._let_in(ticket):
                    position = self._line.index(ticket) + 1
                    if position != told:
                        report(f"waiting for room, position {position}{self._reason}", None)
                        told = position
                    await ticket.wait(_LOOK_SECONDS if position == 1 else _TELL_SECONDS)
                return
            position = self._line.index(ticket) + 1
        finally:
            self._line.remove(ticket)
            self.look_again()
        raise NoCapacity(
            f"There is no room for another session{self._reason} "
            f"(waited {self._queue_seconds:g} s, position {position} in line).",
            fix="End sessions that are not needed, or try again later.",
        )

    async def _let_in(self, ticket: _Ticket) -> bool:
        if self._line[0] is not ticket:
            return False
        short = await self._short()
        self._reason = f": {short}" if short else ""
        if not short:
            self._opening += 1
        return not short

    async def _short(self) -> str:
        """What is short, in words; nothing when one more fits."""
        if self._count() + self._opening >= self._max_sessions:
            return f"{self._max_sessions} sessions are open, as many as MLGYM_MCP_MAX_SESSIONS says"
        found = await anyio.to_thread.run_sync(self._measure)
        if self._opening >= 2 * max(1, round(found.cpus)):
            return "others are being opened"
        floor = min(_FLOOR_BYTES, _FLOOR_SHARE * found.total_bytes)
        needed = floor + (self._opening + 1) * _OPENING_BYTES
        if found.memory_bytes < needed:
            return (
                f"{found.memory_bytes // _MIB} MiB of memory are free, "
                f"{round(needed) // _MIB} are needed"
            )
        if found.load >= _LOAD_PER_CPU * found.cpus:
            return f"the load is {found.load:.0f} on {found.cpus:g} CPUs"
        return ""
