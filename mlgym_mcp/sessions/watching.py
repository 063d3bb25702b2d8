"""Each command is watched by a task of the server until its end is recorded."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import anyio
import structlog

from mlgym_mcp.base.errors import MlgymError, SandboxDead
from mlgym_mcp.sandbox.contract import Job, Sandbox
from mlgym_mcp.sessions.faults import fault_of
from mlgym_mcp.sessions.outputs import read_output
from mlgym_mcp.sessions.parts import Parts
from mlgym_mcp.sessions.registry import Registry
from mlgym_mcp.sessions.sandboxes import Sandboxes
from mlgym_mcp.sessions.session import Running, Session
from mlgym_mcp.store import Entry
from mlgym_mcp.types.command import CommandResult, JobView

_WAIT_SECONDS = 3600.0
_KEPT_HANDLES = 50
_log = structlog.get_logger(__name__)


class Watching:
    """Sees commands through to their end."""

    def __init__(self, parts: Parts, registry: Registry, sandboxes: Sandboxes) -> None:
        self._parts = parts
        self._registry = registry
        self._sandboxes = sandboxes

    async def watch(
        self,
        session: Session,
        running: Running,
        sandbox: Sandbox,
        start: Callable[[], Awaitable[Job]],
    ) -> None:
        """Start a command, wait for its end, record it. Never raises but when cancelled."""
        try:
            running.job = job = await start()
            if running.stopped:
                await job.cancel()
            result = await _ended(job)
            if running.error is None:
                await self._record(session, running, result)
        except MlgymError as error:
            await self._failed(session, running, sandbox, error)
        except Exception as error:  # noqa: BLE001 - the outermost boundary of a background task
            _log.exception("a command's watcher failed", session=session.id)
            running.error = error
        finally:
            self.settle(session, running)

    async def note(self, session: Session, running: Running, entry: Entry | None = None) -> None:
        """Record what came of a command, and before it, where that is not yet done, its call.

        Raises:
            ServerError: It could not be written.
        """
        # what the store was given it writes, so to leave now would be to write it again
        with anyio.CancelScope(shield=True):
            async with running.recording:
                call = running.call
                if entry is not None:
                    await self._registry.record(session, entry, first=call)
                elif call is not None:
                    await self._registry.record(session, call)
                running.call = None

    async def lost(self, session: Session, running: Running, seconds: float) -> None:
        """Record that a command went down with its sandbox, with the output it had."""
        folder = self._parts.folder_of(session.id) / "outputs"
        most = session.record.budget.limits.output_bytes
        output, cursor = await anyio.to_thread.run_sync(
            read_output, folder, running.job_id, -most, most
        )
        running.lost = JobView(
            job_id=running.job_id,
            state="lost",
            command=running.command,
            seconds=max(0.0, seconds),
            output=output,
            cursor=cursor,
        )
        payload = {"job": running.lost.model_dump(mode="json")}
        entry = Entry("lost", "run", payload, request_id=running.request_id, job=running.job_id)
        await self.note(session, running, entry)

    def settle(self, session: Session, running: Running) -> None:
        """Let everyone know who waits, and forget what the store can tell."""
        running.finished.set()
        if session.requests.get(running.request_id or "") is running:
            del session.requests[running.request_id or ""]
        if not running.handed and not running.waiters:
            session.jobs.pop(running.job_id, None)
        if len(session.jobs) > 2 * _KEPT_HANDLES:
            over = [job for job in session.jobs.values() if job.finished.is_set()]
            for job in over[:-_KEPT_HANDLES]:
                del session.jobs[job.job_id]

    async def _record(self, session: Session, running: Running, result: CommandResult) -> None:
        session.change(last_call_at=self._parts.clock.now())
        payload = {"result": result.model_dump(mode="json")}
        await self.note(session, running, _result(running, payload))
        running.result = result

    async def _failed(
        self, session: Session, running: Running, sandbox: Sandbox, error: MlgymError
    ) -> None:
        running.error = running.error or error
        # a store that refuses this too has already been blamed in the error
        with suppress(MlgymError):
            if isinstance(error, SandboxDead):
                await self._sandboxes.lose(session, sandbox)
                seconds = self._parts.clock.monotonic() - running.started
                await self.lost(session, running, seconds)
            else:
                payload = {"error": fault_of(error)}
                await self.note(session, running, _result(running, payload))


def _result(running: Running, payload: Mapping[str, Any]) -> Entry:
    return Entry("result", "run", payload, request_id=running.request_id, job=running.job_id)


async def _ended(job: Job) -> CommandResult:
    while True:
        result = await job.wait(_WAIT_SECONDS)
        if result is not None:
            return result
