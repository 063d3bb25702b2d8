"""Sessions of server processes that are dead: taken over, continued, graded, expired.

A session is taken over when its owner first calls this process, so that of several servers on one
home the one that is used continues it. What cannot wait is done at the start: submissions without
a grade, sessions that never finished opening, what killed processes left. What is over by the
clock is expired by the reaper, wherever it was served.
"""

from functools import partial

import anyio
import structlog

from mlgym_mcp.base.errors import MlgymError, RequestError
from mlgym_mcp.sandbox.contract import Job
from mlgym_mcp.sessions.budget import deadline, is_open
from mlgym_mcp.sessions.grading import Grading
from mlgym_mcp.sessions.parts import Parts
from mlgym_mcp.sessions.registry import Registry
from mlgym_mcp.sessions.sandboxes import Sandboxes
from mlgym_mcp.sessions.session import Running, Session
from mlgym_mcp.sessions.stopping import Stopping
from mlgym_mcp.sessions.watching import Watching
from mlgym_mcp.types.session import OPEN_STATES, Event, SessionRecord

_log = structlog.get_logger(__name__)


class Recovery:
    """Continues what dead processes left."""

    def __init__(
        self,
        parts: Parts,
        registry: Registry,
        sandboxes: Sandboxes,
        stopping: Stopping,
        watching: Watching,
    ) -> None:
        self._parts = parts
        self._registry = registry
        self._sandboxes = sandboxes
        self._stopping = stopping
        self._watching = watching
        self._taking = anyio.Lock()

    async def start(self, grading: Grading) -> None:
        """Do what cannot wait until somebody calls."""
        store = self._parts.store
        await self._parts.scorer.sweep()
        for record in await store.ungraded():
            if await self._claimed(record):
                await grading.resume(record)
        for record in await store.sessions(states=["opening"]):
            if await self._claimed(record):
                session = self._session(record)
                await self._stopping.end(session, "failed", "the server stopped as it opened.")

    async def overdue(self) -> None:
        """Take over what is over by the clock and served by nobody, for the reaper to look at."""
        now, idle = self._parts.clock.now(), self._parts.settings.idle_seconds
        for record in await self._parts.store.sessions(states=OPEN_STATES):
            is_over = now >= min(deadline(record), record.last_call_at + idle)
            if is_over and self._registry.get(record.id) is None:
                await self._taken_over(record)

    async def of_principal(self, principal: str) -> None:
        """Take over every open session of one caller that is served by nobody."""
        for record in await self._parts.store.sessions(principal, OPEN_STATES):
            await self._taken_over(record)

    async def continued(self, record: SessionRecord) -> Session:
        """The session of a record from the store; an open one is served here from now on.

        Raises:
            RequestError: Another server process, which lives, serves it.
        """
        if not is_open(record):
            return Session(record)
        session = await self._taken_over(record)
        if session is not None:
            return session
        raise RequestError(
            f"Session {record.id} is served by another mlgym-mcp process on this machine.",
            fix="Use it through that process, or end that process.",
        )

    async def _taken_over(self, record: SessionRecord) -> Session | None:
        async with self._taking:
            if (session := self._registry.get(record.id)) is not None:
                return session
            if not await self._claimed(record):
                return None
            session = self._session(record)
            self._registry.add(session)
            if session.record.state == "opening":
                await self._stopping.end(session, "failed", "the server stopped as it opened.")
            else:
                await self._find_jobs(session)
            return session

    def _session(self, record: SessionRecord) -> Session:
        return Session(record, adopted=True)

    async def _claimed(self, record: SessionRecord) -> bool:
        store = self._parts.store
        owner = (await store.owners([record.id])).get(record.id, "")
        if owner == store.instances.own:
            return self._registry.get(record.id) is None
        if store.instances.alive(owner):
            return False
        return await store.claim(record.id, owner)

    async def _find_jobs(self, session: Session) -> None:
        """Commands whose end was never recorded: they still run, or are lost."""
        calls = await self._parts.store.unanswered(session.id)
        if not calls:
            return
        try:
            sandbox = await self._sandboxes.attached(session)
        except MlgymError as error:
            _log.warning("a sandbox was not found again", session=session.id, error=str(error))
            sandbox = None
        for call in calls:
            running = _running(call, self._parts.clock.monotonic() - self._parts.clock.now())
            job = await sandbox.job(running.job_id) if sandbox else None
            session.jobs[running.job_id] = running
            if sandbox is None or job is None:
                await self._watching.lost(session, running, session.record.last_call_at - call.at)
                self._watching.settle(session, running)
                continue
            if running.request_id is not None:
                session.requests[running.request_id] = running
            found = partial(_found, job)
            self._parts.tasks.start_soon(self._watching.watch, session, running, sandbox, found)


async def _found(job: Job) -> Job:
    return job


def _running(call: Event, offset: float) -> Running:
    arguments = call.payload.get("arguments", {})
    return Running(
        job_id=str(call.payload.get("job_id")),
        command=str(arguments.get("command", "")),
        started=call.at + offset,
        request_id=call.request_id,
        handed=True,
    )
