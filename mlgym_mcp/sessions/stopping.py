"""How sessions end: by their owner, by a limit, or by a submission.

Above: every call asks `Stopping.require_open`, the reaper and the owner end sessions. Below: running
commands and the sandbox. Whatever the way, commands end first, so that their results are true;
then the sandbox; then the record says so.
"""

from collections.abc import Callable
from contextlib import suppress

import anyio

from mlgym_mcp.base.errors import MlgymError
from mlgym_mcp.sessions.budget import deadline, is_open, require_open
from mlgym_mcp.sessions.parts import Parts
from mlgym_mcp.sessions.registry import Registry
from mlgym_mcp.sessions.sandboxes import Sandboxes
from mlgym_mcp.sessions.session import Running, Session
from mlgym_mcp.store import Entry
from mlgym_mcp.types.session import SessionState

_STOP_SECONDS = 10.0


class Stopping:
    """Ends sessions."""

    def __init__(self, parts: Parts, registry: Registry, sandboxes: Sandboxes) -> None:
        self._parts = parts
        self._registry = registry
        self._sandboxes = sandboxes
        self.after: list[Callable[[], None]] = []
        """Called when a session's sandbox was closed."""

    async def require_open(self, session: Session) -> None:
        """Refuse a call on a session that is over, and end one whose time is.

        Raises:
            BudgetSpent: Its wall budget is over.
            SessionEnded: It ended for another reason.
        """
        now = self._parts.clock.now()
        if is_open(session.record) and now >= deadline(session.record):
            await self.expire(session)
        require_open(session.record)
        session.change(last_call_at=now)

    async def expire(self, session: Session) -> None:
        """End a session whose wall or idle limit is over."""
        record = session.record
        if self._parts.clock.now() >= deadline(record):
            limit = f"its wall_seconds budget of {record.budget.wall_seconds:g} s was spent"
        else:
            limit = f"it had no call for {self._parts.settings.idle_seconds:g} s"
        reason = f"{limit}; nothing was submitted, and its workspace is kept on the server."
        await self.end(session, "expired", reason)

    async def end(self, session: Session, state: SessionState, reason: str) -> None:
        """End an open session; one that is over stays as it is.

        Raises:
            ServerError: It ended, but that could not be recorded.
        """
        with anyio.CancelScope(shield=True):
            async with session.ending:
                if not is_open(session.record):
                    return
                changes = {"state": state, "reason": reason, "ended_at": self._parts.clock.now()}
                session.change(**changes)
                await self.silence(session)
                entry = Entry("ended", payload={"state": state, "reason": reason})
                await self._registry.record(session, entry, changes)
                self._registry.drop(session)

    async def silence(self, session: Session) -> None:
        """End a session's commands and its sandbox."""
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(_STOP_SECONDS):
                async with anyio.create_task_group() as tasks:
                    for running in list(session.jobs.values()):
                        tasks.start_soon(stop, running)
            await self._sandboxes.close(session)
        for call in self.after:
            call()


async def stop(running: Running) -> None:
    """End a command, and wait until its end is recorded."""
    running.stopped = True
    if not running.finished.is_set() and running.job is not None:
        # when its sandbox died instead, whoever watches the command records that
        with suppress(MlgymError):
            await running.job.cancel()
    await running.finished.wait()
