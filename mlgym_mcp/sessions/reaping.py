"""Ends what is over by the clock, and removes what nobody needs any more.

One task for all sessions: it sleeps until the next limit is due, at most some seconds, so that a
thousand idle sessions cost nothing.
"""

import shutil
from pathlib import Path

import anyio
import structlog

from mlgym_mcp.base.errors import MlgymError
from mlgym_mcp.sessions.budget import deadline, is_open
from mlgym_mcp.sessions.parts import Parts
from mlgym_mcp.sessions.recovery import Recovery
from mlgym_mcp.sessions.registry import Registry
from mlgym_mcp.sessions.session import Session
from mlgym_mcp.sessions.stopping import Stopping

_MOST_SECONDS = 2.0
_LEAST_SECONDS = 0.02
_OTHERS_SECONDS = 60.0
_FOLDERS_SECONDS = 3600.0
_log = structlog.get_logger(__name__)


class Reaping:
    """Expires sessions."""

    def __init__(
        self, parts: Parts, registry: Registry, stopping: Stopping, recovery: Recovery
    ) -> None:
        self._parts = parts
        self._registry = registry
        self._stopping = stopping
        self._recovery = recovery
        self._others_at = self._folders_at = parts.clock.now()

    async def run(self) -> None:
        """Reap until cancelled."""
        while True:
            try:
                await self.reap()
            except MlgymError as error:
                _log.warning("reaping failed and is tried again", error=str(error))
            except Exception:  # noqa: BLE001 - the outermost boundary of a background task
                _log.exception("reaping failed and is tried again")
            await anyio.sleep(self._pause())

    async def reap(self) -> None:
        """Expire every session whose wall or idle limit is over now."""
        now = self._parts.clock.now()
        if now >= self._others_at:
            self._others_at = now + _OTHERS_SECONDS
            await self._recovery.overdue()
        async with anyio.create_task_group() as tasks:
            for session in self._registry.all():
                if is_open(session.record) and now >= self._due(session):
                    tasks.start_soon(self._expire, session)
        if now >= self._folders_at:
            self._folders_at = now + _FOLDERS_SECONDS
            await self._remove_old(now)

    async def _expire(self, session: Session) -> None:
        try:
            await self._stopping.expire(session)
        except MlgymError as error:
            _log.warning(
                "an expired session was not recorded", session=session.id, error=str(error)
            )

    def _due(self, session: Session) -> float:
        """When its wall or idle limit is over; a command that runs is a sign of life."""
        at_work = any(not job.finished.is_set() for job in session.jobs.values())
        if at_work or session.validating:
            return deadline(session.record)
        idle = session.record.last_call_at + self._parts.settings.idle_seconds
        return min(deadline(session.record), idle)

    def _pause(self) -> float:
        now = self._parts.clock.now()
        dues = [self._due(s) for s in self._registry.all() if is_open(s.record)]
        soonest = min(dues, default=now + _MOST_SECONDS) - now
        return min(_MOST_SECONDS, max(_LEAST_SECONDS, soonest))

    async def _remove_old(self, now: float) -> None:
        before = now - self._parts.settings.keep_seconds
        ended = await self._parts.store.sessions(
            states=["submitted", "expired", "closed", "failed"]
        )
        for record in ended:
            folder = self._parts.folder_of(record.id)
            if (record.ended_at or now) < before and folder.is_dir():
                await anyio.to_thread.run_sync(_remove, folder)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
