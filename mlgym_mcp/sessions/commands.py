"""Commands of agents: started, waited for, handed over to a handle, cancelled.

Above: `run` and `job`. Below: a sandbox runs them. A task of the server watches each command to
its end and records it, so a command goes on when the call that started it stops waiting; only a
call that is cancelled takes its command with it.
"""

import secrets
from functools import partial

import anyio

from mlgym_mcp.base.errors import MlgymError, ServerError
from mlgym_mcp.sandbox.contract import Command
from mlgym_mcp.sessions.budget import deadline
from mlgym_mcp.sessions.handles import Handles, Progress
from mlgym_mcp.sessions.parts import Parts
from mlgym_mcp.sessions.requests import JobRequest, RunRequest
from mlgym_mcp.sessions.sandboxes import Sandboxes
from mlgym_mcp.sessions.session import Running, Session
from mlgym_mcp.sessions.steps import Steps
from mlgym_mcp.sessions.stopping import stop
from mlgym_mcp.sessions.watching import Watching
from mlgym_mcp.store import Entry
from mlgym_mcp.types.command import CommandResult, JobView

_LEAST_SECONDS = 0.1
_SOON_SECONDS = 0.1
_STOP_SECONDS = 8.0


class Commands:
    """Runs commands in sessions."""

    def __init__(
        self, parts: Parts, sandboxes: Sandboxes, steps: Steps, watching: Watching
    ) -> None:
        self._parts = parts
        self._sandboxes = sandboxes
        self._steps = steps
        self._watching = watching
        self.handles = Handles(parts)

    async def run(
        self, session: Session, request: RunRequest, progress: Progress | None
    ) -> CommandResult | JobView:
        """The result of a command, or its handle when it takes longer than `wait_seconds`.

        Raises:
            BudgetSpent: No steps or no time are left.
            SandboxDead: The sandbox died under it.
        """
        recorded = await self._recorded(session, request.request_id)
        if recorded is not None:
            return recorded
        running = session.requests.get(request.request_id or "")
        if running is not None and not isinstance(running, Running):
            raise self.handles.taken(request.request_id)
        begin = running is None
        if running is None:
            running = self._reserved(session, request)
        running.waiters += 1
        try:
            if begin:
                await self._begin(session, running, request)
            return await self.handles.answer(session, running, request.wait_seconds, progress)
        except anyio.get_cancelled_exc_class():
            if running.waiters == 1 and not running.handed:
                with anyio.move_on_after(_STOP_SECONDS, shield=True):
                    await stop(running)
            raise
        finally:
            running.waiters -= 1

    async def job(
        self, session: Session, request: JobRequest, progress: Progress | None
    ) -> JobView:
        """A command that has a handle: wait for it, look at it, or cancel it.

        Raises:
            NotFound: The session has no such command.
        """
        running = session.jobs.get(request.job_id)
        if running is None:
            return await self.handles.past(session, request)
        running.handed = True
        if request.action == "cancel":
            await stop(running)
        elif request.action == "wait":
            await self.handles.wait(running, request.wait_seconds, progress)
        return await self.handles.view(session, running, request.cursor)

    async def _recorded(
        self, session: Session, request_id: str | None
    ) -> CommandResult | JobView | None:
        if request_id is None or request_id in session.requests:
            return None
        event = await self._parts.store.result_of(session.id, request_id)
        return self.handles.replayed(event) if event else None

    def _reserved(self, session: Session, request: RunRequest) -> Running:
        # nothing is awaited between the look into `requests` and this, so two calls with one
        # request id never both begin
        running = Running(
            job_id=f"j-{secrets.token_hex(5)}",
            command=request.command,
            started=self._parts.clock.monotonic(),
            request_id=request.request_id,
        )
        if request.request_id is not None:
            session.requests[request.request_id] = running
        return running

    async def _begin(self, session: Session, running: Running, request: RunRequest) -> None:
        try:
            await self._steps.spend(session)
            sandbox = await self._sandboxes.ready(session)
        except BaseException as error:
            running.error = error if isinstance(error, MlgymError) else _interrupted()
            self._watching.settle(session, running)
            raise
        session.jobs[running.job_id] = running
        command = Command(
            script=request.command,
            timeout_seconds=self._seconds(session, request),
            job_id=running.job_id,
        )
        running.call = Entry(
            "call",
            "run",
            {
                "arguments": request.model_dump(mode="json", exclude={"request_id"}),
                "job_id": running.job_id,
            },
            request_id=running.request_id,
            at=self._parts.clock.now(),
            job=running.job_id,
        )
        start = partial(sandbox.start, command)
        self._parts.tasks.start_soon(self._watching.watch, session, running, sandbox, start)
        # the call of a command that is over by then is recorded together with its end
        with anyio.move_on_after(min(_SOON_SECONDS, request.wait_seconds)):
            await running.finished.wait()
        try:
            await self._watching.note(session, running)
        except MlgymError as error:
            # what could not be recorded must not go on
            running.error = error
            await stop(running)
            raise

    def _seconds(self, session: Session, request: RunRequest) -> float:
        budget = session.record.budget
        wall = deadline(session.record) - self._parts.clock.now()
        asked = request.timeout_seconds or budget.command_seconds
        return max(_LEAST_SECONDS, min(asked, budget.command_seconds, wall))


def _interrupted() -> MlgymError:
    return ServerError("The call was cancelled before its command started.")
