"""Submissions in, grades out.

Above: sessions, and the command line without any agent. Below: the catalog has tasks and data, the
store keeps submissions and grades, a trial holds one grading in its sandboxes. A judge's failure
is a grade that says so, never the agent's zero; the submission is kept and can be graded again.
"""

import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self, TypeVar

import anyio
import structlog
from anyio.abc import TaskGroup, TaskStatus

from mlgym_mcp.base.clock import Clock
from mlgym_mcp.base.errors import EngineMissing, JudgeFailed, NotFound, SandboxError, ServerError
from mlgym_mcp.base.programs import ProgramCopy
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.tasks import owned_tasks
from mlgym_mcp.catalog import Catalog, DatasetFolders, Datasets, Preparation, Task
from mlgym_mcp.sandbox.contract import Backend, Report, silent
from mlgym_mcp.scoring.keeping import keep, lay_out, locate
from mlgym_mcp.scoring.preparing import prepare_dataset
from mlgym_mcp.scoring.scratch import Scratch
from mlgym_mcp.scoring.trial import HARNESS, Trial, held
from mlgym_mcp.store import Store
from mlgym_mcp.types.grade import Grade, GradeKind, JudgeReport, Submission
from mlgym_mcp.types.session import OPEN_STATES
from mlgym_mcp.types.task import SubmissionSpec, Variant

T = TypeVar("T")
_SEED_BITS = 48
_MOVED_DETAILS = ("judge_seconds", "python")
_log = structlog.get_logger(__name__)


class Scorer:
    """Grades submissions of the catalog's tasks with one backend, while it is `running`."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        store: Store,
        catalog: Catalog,
        datasets: Datasets,
        backend: Backend,
    ) -> None:
        self.catalog = catalog
        self.datasets = datasets
        self.store = store
        self._home = settings.home
        self._scratch = Scratch(settings.home)
        self._clock = clock
        self._backend = backend
        self._harness = ProgramCopy(settings.home, HARNESS)
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Self]:
        """Able to grade in the block; what gradings leave is tidied up at its end at the latest."""
        async with owned_tasks(cancel=False) as self._tasks:
            yield self

    @property
    def engine(self) -> str:
        """The name of the engine that isolates."""
        return self._backend.name

    async def sweep(self) -> None:
        """Remove what killed processes left on this home, unless another lives there.

        Sandboxes of open sessions stay: their sessions go on.
        """
        async with self.store.instances.alone() as alone:
            if alone:
                open_ones = await self.store.sessions(states=OPEN_STATES)
                await self._backend.sweep(frozenset(record.id for record in open_ones))
                await self._scratch.sweep()

    async def data(
        self, task: Task, variant: Variant, report: Report = silent
    ) -> DatasetFolders | None:
        """The prepared dataset, made now if its sources are here; None for tasks without data.

        Raises:
            DataMissing: A source must first be fetched.
            DataCorrupt: A source is not the pinned one.
        """

        async def prepare(work: Preparation, inner: Report) -> None:
            async with self._scratch.folder(f"preparing-{secrets.token_hex(4)}") as scratch:
                await prepare_dataset(self._backend, scratch, work, inner)

        return await self.datasets.ready(task, variant, prepare, report)

    async def take(self, task: Task, root: Path) -> Submission:
        """Copy the submission out of a workspace; it is on the disk when this returns.

        Raises:
            SubmissionRejected: It is missing, of another kind than asked, or too big.
            ServerError: The disk is full.
        """
        return await self._take(task.spec.submission, root, task.spec.submission.path)

    async def take_path(self, task: Task, path: Path) -> Submission:
        """Take a file or folder that lies anywhere: the submission itself, or a workspace.

        Raises:
            SubmissionRejected: It is missing, of another kind than asked, or too big.
        """
        root, wanted = await _in_thread(locate, task.spec.submission, path)
        return await self._take(task.spec.submission, root, wanted)

    async def grade(  # noqa: PLR0913 - what is graded, and the record it belongs to
        self,
        task: Task,
        variant: Variant,
        submission: Submission,
        kind: GradeKind,
        *,
        session: str | None = None,
        seed: int | None = None,
        report: Report = silent,
    ) -> Grade:
        """Grade a taken submission in fresh sandboxes and keep the grade.

        Raises:
            DataMissing, DataCorrupt: The task's data is not here; nothing was graded.
            EngineMissing: No engine that can isolate is ready here.
        """
        if await self.store.submission(submission.sha256) is None:
            await self.store.add_submission(submission, session, task.id, variant)
        data = await self.data(task, variant, report)
        report(f"grading {task.id}", None)
        grade_id = f"g-{secrets.token_hex(8)}"
        started = self._clock.monotonic()
        if seed is None:
            seed = secrets.randbits(_SEED_BITS)
        harness = await self._harness.folder()
        folder = self._scratch.place(grade_id)
        trial = Trial(grade_id, task, variant, kind, seed, data, harness, folder)
        status, judged = await self._judged(trial, submission)
        grade = Grade(
            id=grade_id,
            task=task.id,
            variant=variant,
            kind=kind,
            status=status,
            submission=submission.sha256,
            session=session,
            seed=seed,
            seconds=self._clock.monotonic() - started,
            graded_at=self._clock.now(),
            **_findings(task, judged),
            versions=await _in_thread(_versions, task, judged, self.engine),
        )
        # from here on it can be seen: whoever asked for it must not be rid of it by leaving now
        with anyio.CancelScope(shield=True):
            await self.store.add_grade(grade)
        return grade

    async def rescore(self, reference: str) -> tuple[Grade, Grade]:
        """Grade a stored submission again, by the id of a grade or by its sha256: old and new.

        Raises:
            NotFound: No grade has that id, and no graded submission that hash.
        """
        old = await self.store.grade(reference)
        if old is None:
            graded = await self.store.grades(submission=reference)
            submits = [grade for grade in graded if grade.kind == "submit"]
            if not (candidates := submits or graded):
                raise NotFound(
                    f"There is no grade or graded submission '{reference[:80]}'.",
                    fix="Give the `id` or the `submission` of a grade.",
                )
            old = candidates[-1]
        submission = await self.store.submission(old.submission)
        if submission is None:
            raise NotFound(f"The submission {old.submission} is no longer in the store.")
        task = self.catalog.task(old.task)
        new = await self.grade(
            task, old.variant, submission, old.kind, session=old.session, seed=old.seed
        )
        return old, new

    async def _take(self, spec: SubmissionSpec, root: Path, wanted: str) -> Submission:
        async with self._scratch.folder(f"taking-{secrets.token_hex(4)}") as scratch:
            return await _in_thread(keep, self.store.artefacts, spec, root, wanted, scratch)

    async def _judged(self, trial: Trial, submission: Submission) -> tuple[Any, JudgeReport]:
        """The report, or what stands for it when the judge or its sandbox failed."""
        if self._tasks is None:
            raise ServerError("The scorer is not running.", fix="Use it in `async with running()`.")
        log = self._home / "failures" / f"{trial.id}.log"
        named = {"log": log.relative_to(self._home).as_posix()}
        try:
            report: JudgeReport = await self._tasks.start(self._try, trial, submission)
        except EngineMissing:
            raise
        except (JudgeFailed, SandboxError) as error:
            await _in_thread(_write_log, log, str(error))
            _log.error("judge failed", grade=trial.id, task=trial.task.id, log=str(log))
            said = "The judge failed, not the submission; it is kept and can be graded again."
            return "judge_failed", JudgeReport(evidence=(said,), details=named)
        if not report.kept:
            return "graded", report
        # the agent hears of the evidence only
        await _in_thread(_write_log, log, "\n".join((*report.evidence, report.kept, "")))
        return "graded", report.model_copy(update={"details": {**report.details, **named}})

    async def _try(
        self, trial: Trial, submission: Submission, *, task_status: TaskStatus[JudgeReport]
    ) -> None:
        """Hold one trial; nobody who waits for its report waits until all is tidied up."""
        async with self._scratch.folder(trial.id) as folder:
            place = folder / "submission"
            await _in_thread(lay_out, self.store.artefacts, submission, place)
            async with held(self._backend, trial) as report:
                task_status.started(report)


async def _in_thread(function: Callable[..., T], *args: Any) -> T:
    return await anyio.to_thread.run_sync(function, *args)


def _findings(task: Task, judged: JudgeReport) -> dict[str, Any]:
    metric = task.spec.metric.name
    return {
        "metric": metric,
        "score": judged.metrics.get(metric) if judged.integrity == "clean" else None,
        "metrics": judged.metrics,
        "integrity": judged.integrity,
        "evidence": judged.evidence,
        "judge_seconds": judged.details.get("judge_seconds", 0.0),
        "details": {k: v for k, v in judged.details.items() if k not in _MOVED_DETAILS},
    }


def _versions(task: Task, judged: JudgeReport, engine: str) -> dict[str, str]:
    return {
        "mlgym-mcp": version("mlgym-mcp"),
        "task": task.digest,
        "python": str(judged.details.get("python", "")),
        "engine": engine,
    }


def _write_log(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(text, encoding="utf-8")
