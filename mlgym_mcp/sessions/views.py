"""Sessions, tasks and leaderboards as their readers see them."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from operator import itemgetter
from typing import get_args

from mlgym_mcp.base.errors import MlgymError
from mlgym_mcp.catalog import Task
from mlgym_mcp.sessions.budget import left_of
from mlgym_mcp.sessions.parts import Parts
from mlgym_mcp.sessions.session import Running, Session
from mlgym_mcp.types.command import JobView
from mlgym_mcp.types.grade import Grade
from mlgym_mcp.types.session import SessionRecord, SessionView
from mlgym_mcp.types.task import Variant

_VARIANTS = get_args(Variant)


class Views:
    """Makes what is shown."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def session(self, session: Session, grades: Iterable[Grade]) -> SessionView:
        """A session, with what came of its gradings."""
        record, own = session.record, [g for g in grades if g.session == session.id]
        submitted = [grade for grade in own if grade.kind == "submit"]
        return SessionView(
            session=record.id,
            task=record.task,
            variant=record.variant,
            label=record.label,
            state=record.state,
            reason=record.reason,
            opened_at=record.opened_at,
            ended_at=record.ended_at,
            budget=record.budget,
            left=left_of(record, self._parts.clock.now()),
            metric=self._metric(record)[0],
            best_validation=self._best(record, own),
            jobs=tuple(self._job(job) for job in session.jobs.values() if _shown(job)),
            grade=submitted[0] if submitted else None,
        )

    def leaderboard(self, task: Task, grades: Iterable[Grade]) -> list[Grade]:
        """Submissions that count, without what tells whose they are.

        Those of one variant follow each other, the best first.
        """
        sign = -1 if task.spec.metric.direction == "max" else 1
        counted = [
            (_VARIANTS.index(grade.variant), sign * grade.score, grade.graded_at, grade)
            for grade in grades
            if grade.kind == "submit" and grade.status == "graded" and grade.score is not None
        ]
        counted.sort(key=itemgetter(0, 1, 2))
        hidden: Mapping[str, object] = {"session": None, "details": {}}
        return [grade.model_copy(update=hidden) for *_, grade in counted]

    def _best(self, record: SessionRecord, grades: Iterable[Grade]) -> float | None:
        scores = [g.score for g in grades if g.kind == "validate" and g.score is not None]
        choose = max if self._metric(record)[1] == "max" else min
        return choose(scores, default=None)

    def _metric(self, record: SessionRecord) -> tuple[str, str]:
        # a task that was removed since must not hide the sessions on it
        with suppress(MlgymError):
            metric = self._parts.catalog.task(record.task).spec.metric
            return metric.name, metric.direction
        return "", "max"

    def _job(self, running: Running) -> JobView:
        if running.lost is not None:
            return running.lost
        elapsed = self._parts.clock.monotonic() - running.started
        result = running.result
        return JobView(
            job_id=running.job_id,
            state="finished" if running.finished.is_set() else "running",
            command=running.command,
            seconds=result.seconds if result else max(0.0, elapsed),
            result=result,
        )


def _shown(running: Running) -> bool:
    """Whether it runs, or somebody was given its handle and may ask what came of it."""
    return not running.finished.is_set() or (running.handed and running.error is None)
