"""Validations and submissions.

Above: `validate` and `submit`. Below: the scorer takes the files out and grades them. A submission
is on the disk before anyone hears of it; its grading belongs to the server and goes on when the
caller is gone, and after a restart when the server was.
"""

import secrets
from contextlib import suppress

import anyio
import structlog

from mlgym_mcp.base.errors import MlgymError, RequestError, ServerError, SubmissionRejected
from mlgym_mcp.catalog import Task
from mlgym_mcp.sandbox.contract import Report, silent
from mlgym_mcp.sessions.budget import require_open, require_validation
from mlgym_mcp.sessions.faults import fault_of, revived
from mlgym_mcp.sessions.parts import Parts
from mlgym_mcp.sessions.registry import Registry
from mlgym_mcp.sessions.session import Session
from mlgym_mcp.sessions.stopping import Stopping
from mlgym_mcp.store import Entry
from mlgym_mcp.types.grade import Grade, Submission
from mlgym_mcp.types.session import Event, SessionRecord

_SEED_BITS = 48
"""Submitted code sees what is drawn from the seed: it must not be able to try all seeds."""

_log = structlog.get_logger(__name__)


class Verdict:
    """The grade of one submission, while it is made."""

    def __init__(self, request_id: str | None) -> None:
        self.request_id = request_id
        self.done = anyio.Event()
        self.grade: Grade | None = None
        self.error: MlgymError | None = None
        self.report: Report = silent
        """Where the caller who waits now sees progress."""

    def tell(self, what: str, share: float | None) -> None:
        """Pass progress on."""
        self.report(what, share)


class Grading:
    """Grades workspaces of sessions."""

    def __init__(self, parts: Parts, registry: Registry, stopping: Stopping) -> None:
        self._parts = parts
        self._registry = registry
        self._stopping = stopping

    async def validate(self, session: Session, report: Report) -> Grade:
        """Grade the workspace as it is; counted, unless it is rejected or the judge fails.

        Raises:
            BudgetSpent: No validations or no time are left.
            SubmissionRejected: There is nothing that can be graded; not counted.
        """
        await self._stopping.require_open(session)
        require_validation(session.record, session.validating)
        session.validating += 1
        counted = 0
        try:
            task = self._parts.task_of(session)
            submission = await self._taken(session, task, "validate")
            seed = secrets.randbits(_SEED_BITS)
            grade = await self._parts.scorer.grade(
                task,
                session.record.variant,
                submission,
                "validate",
                session=session.id,
                seed=seed,
                report=report,
            )
            counted = int(grade.status == "graded")
        finally:
            session.validating -= 1
            used = session.record.validations_used + counted
            session.change(validations_used=used, last_call_at=self._parts.clock.now())
        payload = {"grade": grade.model_dump(mode="json")}
        with anyio.CancelScope(shield=True):
            await self._registry.record(session, Entry("validation", "validate", payload))
        return grade

    async def submit(self, session: Session, request_id: str | None, report: Report) -> Grade:
        """Take the submission, end the session, grade it.

        Raises:
            SubmissionRejected: There is nothing that can be graded; the session goes on.
            SessionEnded: It is over already, and this is not the call that submitted it.
        """
        recorded = await self._recorded(session, request_id)
        if recorded is not None:
            return recorded
        verdict = session.requests.get(request_id or "")
        if verdict is None:
            verdict = await self._submitted(session, request_id)
        if not isinstance(verdict, Verdict):
            raise _taken_id(request_id)
        verdict.report = report
        await verdict.done.wait()
        if verdict.grade is None:
            raise verdict.error or ServerError(
                "The server is stopping; the submission is kept and will be graded."
            )
        return verdict.grade

    async def resume(self, record: SessionRecord) -> None:
        """Grade what was submitted before this process lived, or find its grade.

        Once this returns, whoever submits again by the same request id waits for that grade; it is
        made in the background.
        """
        session = Session(record)
        for event in await self._parts.store.events(session.id, limit=1_000_000):
            if event.kind == "submission":
                verdict = Verdict(event.request_id)
                session.requests[event.request_id or ""] = verdict
                self._registry.add(session)
                submission = Submission.model_validate(event.payload["submission"])
                seed = int(event.payload["seed"])
                self._parts.tasks.start_soon(self._grade, session, submission, seed, verdict)

    async def _recorded(self, session: Session, request_id: str | None) -> Grade | None:
        if request_id is None or request_id in session.requests:
            return None
        event = await self._parts.store.result_of(session.id, request_id)
        if event is None or event.kind == "submission":
            return None
        return _replayed(event, request_id)

    async def _submitted(self, session: Session, request_id: str | None) -> Verdict:
        verdict = Verdict(request_id)
        async with session.grading:
            # the same call may have been made again while this one waited
            if isinstance(known := session.requests.get(request_id or ""), Verdict):
                return known
            await self._stopping.require_open(session)
            submission = await self._taken(session, self._parts.task_of(session), "submit")
            seed = secrets.randbits(_SEED_BITS)
            with anyio.CancelScope(shield=True):
                await self._acknowledge(session, submission, seed, verdict)
                self._parts.tasks.start_soon(self._finish, session, submission, seed, verdict)
        return verdict

    async def _acknowledge(
        self, session: Session, submission: Submission, seed: int, verdict: Verdict
    ) -> None:
        record = session.record
        await self._parts.store.add_submission(submission, session.id, record.task, record.variant)
        changes = {
            "state": "submitted",
            "reason": "its submission was taken.",
            "ended_at": self._parts.clock.now(),
        }
        payload = {"submission": submission.model_dump(mode="json"), "seed": seed}
        entry = Entry("submission", "submit", payload, verdict.request_id)
        async with session.ending:
            require_open(session.record)
            await self._registry.record(session, entry, changes, durable=True)
            session.change(**changes)
        session.requests[verdict.request_id or ""] = verdict

    async def _finish(
        self, session: Session, submission: Submission, seed: int, verdict: Verdict
    ) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._silence, session)
            await self._grade(session, submission, seed, verdict)

    async def _silence(self, session: Session) -> None:
        try:
            await self._stopping.silence(session)
        except MlgymError as error:
            _log.warning("a sandbox was not closed", session=session.id, error=str(error))

    async def _grade(
        self, session: Session, submission: Submission, seed: int, verdict: Verdict
    ) -> None:
        """Never raises but when cancelled: whoever waits is told."""
        try:
            grade = await self._kept(session) or await self._parts.scorer.grade(
                self._parts.task_of(session),
                session.record.variant,
                submission,
                "submit",
                session=session.id,
                seed=seed,
                report=verdict.tell,
            )
            payload = {"grade": grade.model_dump(mode="json")}
            entry = Entry("grade", "submit", payload, verdict.request_id)
            await self._registry.record(session, entry)
            verdict.grade = grade
        except MlgymError as error:
            fix = f"The submission is kept and graded at the next start. {error.fix}".strip()
            verdict.error = type(error)(error.message, fix=fix)
            _log.error("a submission was not graded", session=session.id, error=str(error))
        except Exception:  # noqa: BLE001 - the outermost boundary of a background task
            verdict.error = ServerError("The submission is kept, but grading it failed.")
            _log.exception("a submission was not graded", session=session.id)
        finally:
            verdict.done.set()
            self._registry.drop(session)

    async def _kept(self, session: Session) -> Grade | None:
        grades = await self._parts.store.grades(session=session.id)
        return next((grade for grade in grades if grade.kind == "submit"), None)

    async def _taken(self, session: Session, task: Task, name: str) -> Submission:
        workspace = self._parts.folder_of(session.id) / "workspace"
        try:
            return await self._parts.scorer.take(task, workspace)
        except SubmissionRejected as error:
            entry = Entry("result", name, {"error": fault_of(error)})
            with suppress(ServerError):
                await self._registry.record(session, entry)
            raise


def _replayed(event: Event, request_id: str) -> Grade:
    if event.name != "submit":
        raise _taken_id(request_id)
    if fault := event.payload.get("error"):
        raise revived(fault)
    return Grade.model_validate(event.payload["grade"])


def _taken_id(request_id: str | None) -> RequestError:
    return RequestError(
        f"The request_id '{request_id}' was used for another kind of call.",
        fix="Give every call its own.",
    )
