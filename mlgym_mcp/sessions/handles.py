"""What callers are told of commands: results, handles, and what the store remembers."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio

from mlgym_mcp.base.errors import MlgymError, NotFound, RequestError, ServerError
from mlgym_mcp.sessions.faults import revived
from mlgym_mcp.sessions.outputs import read_output
from mlgym_mcp.sessions.parts import Parts
from mlgym_mcp.sessions.requests import JobRequest
from mlgym_mcp.sessions.session import Running, Session
from mlgym_mcp.types.command import CommandResult, JobView
from mlgym_mcp.types.session import Event

Progress = Callable[[float, str], Awaitable[None]]
"""Told about once a second how long a command runs and its last line of output."""

_TICK_SECONDS = 1.0
_LINE_BYTES = 400


class Handles:
    """Answers about commands."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def answer(
        self, session: Session, running: Running, seconds: float, progress: Progress | None
    ) -> CommandResult | JobView:
        """The result, or a handle when there is none after `seconds`."""
        await self.wait(running, seconds, progress)
        if not running.finished.is_set():
            running.handed = True
            view = await self.view(session, running, 0)
            return view.result or view
        return _result(running)

    async def wait(self, running: Running, seconds: float, progress: Progress | None) -> None:
        """Wait for the end of a command up to `seconds`."""
        if running.finished.is_set():
            return
        with anyio.move_on_after(seconds):
            while progress is not None:
                with anyio.move_on_after(_TICK_SECONDS):
                    await running.finished.wait()
                if running.finished.is_set():
                    return
                elapsed = self._parts.clock.monotonic() - running.started
                await progress(elapsed, await _last_line(running))
            await running.finished.wait()

    async def view(self, session: Session, running: Running, cursor: int | None) -> JobView:
        """A command's state, and its output from `cursor` on.

        Raises:
            MlgymError: The command could not be started.
        """
        if not running.finished.is_set():
            view = await self._live(session, running, cursor)
            if view is not None:
                return view
        if running.lost is not None and cursor is None:
            return running.lost
        said = running.lost or _result(running)
        return await self._over(session, running.command, cursor, said)

    async def past(self, session: Session, request: JobRequest) -> JobView:
        """A command this process no longer holds, as the store remembers it.

        Raises:
            NotFound: The session never had it.
        """
        events = await self._parts.store.job_events(session.id, request.job_id)
        if len(events) < 2:
            raise NotFound(
                f"Session {session.id} has no job '{request.job_id[:80]}'.",
                fix="`session_status` lists its jobs.",
            )
        said = self.replayed(events[-1])
        if isinstance(said, JobView) and request.cursor is None:
            return said
        command = str(events[0].payload.get("arguments", {}).get("command", ""))
        return await self._over(session, command, request.cursor, said)

    def replayed(self, event: Event) -> CommandResult | JobView:
        """What a recorded command's caller is told again.

        Raises:
            MlgymError: What the first caller was told.
            RequestError: The request was not one for a command.
        """
        if event.name != "run":
            raise self.taken(event.request_id)
        if fault := event.payload.get("error"):
            raise revived(fault)
        if job := event.payload.get("job"):
            return JobView.model_validate(job)
        return CommandResult.model_validate(event.payload["result"])

    def taken(self, request_id: str | None) -> RequestError:
        """The error of a request id that was used for something else."""
        return RequestError(
            f"The request_id '{request_id}' was used for another kind of call.",
            fix="Give every call its own.",
        )

    async def _live(self, session: Session, running: Running, cursor: int | None) -> JobView | None:
        most = session.record.budget.limits.output_bytes
        elapsed = max(0.0, self._parts.clock.monotonic() - running.started)
        view = JobView(
            job_id=running.job_id, state="running", command=running.command, seconds=elapsed
        )
        if running.job is None:
            return view
        # when the sandbox is dead, whoever watches the command is about to say so
        with suppress(MlgymError):
            seen = await running.job.look(-most if cursor is None else cursor, most)
            if seen.state == "running":
                return seen.model_copy(update={"command": running.command})
        # over, but not yet recorded: nobody hears of it before it is
        await running.finished.wait()
        return None

    async def _over(
        self,
        session: Session,
        command: str,
        cursor: int | None,
        said: CommandResult | JobView,
    ) -> JobView:
        output, after = "", 0
        if cursor is not None:
            folder = self._parts.folder_of(session.id) / "outputs"
            most = session.record.budget.limits.output_bytes
            output, after = await anyio.to_thread.run_sync(
                read_output, folder, said.job_id, cursor, most
            )
        return JobView(
            job_id=said.job_id,
            state="lost" if isinstance(said, JobView) else "finished",
            command=command,
            seconds=said.seconds,
            output=output,
            cursor=after,
            result=said if isinstance(said, CommandResult) else None,
        )


def _result(running: Running) -> CommandResult:
    if running.result is not None:
        return running.result
    raise running.error or ServerError("The server is stopping; the command's end is not known.")


async def _last_line(running: Running) -> str:
    if running.job is None:
        return ""
    with suppress(MlgymError):
        output = (await running.job.look(-_LINE_BYTES, _LINE_BYTES)).output
        lines = output.replace("\r", "\n").strip().splitlines()
        return lines[-1] if lines else ""
    return ""
