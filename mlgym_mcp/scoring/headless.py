"""Scoring without an agent and without a server: one path, or a manifest of many.

Above: the command line. Below: the scorer, and the parts it is wired from.
"""

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
from pydantic import Field, ValidationError

from mlgym_mcp.base.clock import Clock
from mlgym_mcp.base.errors import ErrorCode, MlgymError, RequestError
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.catalog import Datasets, load_catalog
from mlgym_mcp.sandbox.contract import Backend
from mlgym_mcp.sandbox.registry import open_backend
from mlgym_mcp.scoring.scorer import Scorer
from mlgym_mcp.store import open_store
from mlgym_mcp.types.frozen import Frozen
from mlgym_mcp.types.grade import Grade, GradeKind
from mlgym_mcp.types.task import Variant


class BatchEntry(Frozen):
    """One line of a manifest."""

    task: str
    path: Path
    """A file or folder; a relative one starts at the manifest's folder."""

    variant: Variant = "full"
    kind: GradeKind = "submit"
    seed: int | None = Field(default=None, ge=0)


class BatchResult(Frozen):
    """What came of one line: a grade, or why there is none."""

    line: int = Field(ge=1)
    """The line's number in the manifest."""

    task: str = ""
    path: str = ""
    grade: Grade | None = None
    code: ErrorCode | None = None
    message: str = ""
    fix: str = ""

    @property
    def ok(self) -> bool:
        """Whether it was graded; a grade that is not clean still is one."""
        return self.grade is not None and self.grade.status == "graded"


OnResult = Callable[[BatchResult], None]


@asynccontextmanager
async def open_scorer(
    settings: Settings, clock: Clock, backend: Backend | None = None
) -> AsyncGenerator[Scorer]:
    """A scorer with its own store, catalog, data and, unless one is given, backend.

    Raises:
        EngineMissing: No engine that can isolate is ready here.
        ServerError: The store cannot be opened.
    """
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings, clock))
        if backend is None:
            backend = await stack.enter_async_context(open_backend(settings, clock))
        catalog = await anyio.to_thread.run_sync(load_catalog, settings)
        scorer = Scorer(settings, clock, store, catalog, Datasets(settings), backend)
        await scorer.sweep()
        yield await stack.enter_async_context(scorer.running())


async def score_path(
    scorer: Scorer,
    task: str,
    variant: Variant,
    path: Path,
    kind: GradeKind = "submit",
    seed: int | None = None,
) -> Grade:
    """Grade one file or folder.

    Raises:
        NotFound: There is no such task or variant.
        SubmissionRejected: The path cannot be taken.
        DataMissing: The task's data must first be fetched.
    """
    found = scorer.catalog.task(task)
    if variant not in found.spec.variants:
        known = ", ".join(found.spec.variants)
        raise RequestError(f"{task} has no variant '{variant}'.", fix=f"It has: {known}.")
    submission = await scorer.take_path(found, path)
    return await scorer.grade(found, variant, submission, kind, seed=seed)


async def score_batch(
    scorer: Scorer, manifest: Path, parallel: int, on_result: OnResult
) -> list[BatchResult]:
    """Grade every line of a JSON Lines manifest; one that fails does not stop the rest.

    `on_result` hears of each as it ends; the answer is in the manifest's order.

    Raises:
        RequestError: The manifest cannot be read.
    """
    lines = await anyio.to_thread.run_sync(_read_lines, manifest)
    results: dict[int, BatchResult] = {}
    limiter = anyio.CapacityLimiter(max(1, parallel))

    async def one(number: int, text: str) -> None:
        async with limiter:
            result = await _score_line(scorer, manifest.parent, number, text)
        results[number] = result
        on_result(result)

    async with anyio.create_task_group() as group:
        for number, text in lines:
            group.start_soon(one, number, text)
    return [results[number] for number in sorted(results)]


async def _score_line(scorer: Scorer, folder: Path, number: int, text: str) -> BatchResult:
    try:
        entry = BatchEntry.model_validate_json(text)
    except ValidationError as error:
        return BatchResult(line=number, code="bad_request", message=_sentence(number, error))
    result = BatchResult(line=number, task=entry.task, path=str(entry.path))
    try:
        path = folder / entry.path
        grade = await score_path(scorer, entry.task, entry.variant, path, entry.kind, entry.seed)
    except MlgymError as error:
        failure = {"code": error.code, "message": error.message, "fix": error.fix}
        return result.model_copy(update=failure)
    return result.model_copy(update={"grade": grade})


def _read_lines(manifest: Path) -> list[tuple[int, str]]:
    try:
        text = manifest.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise RequestError(
            f"The manifest {manifest} cannot be read: {reason}.",
            fix='Give a file with a line like {"task": "house-prices", "path": "submission.csv"} '
            "for each submission.",
        ) from error
    numbered: Iterable[tuple[int, str]] = enumerate(text.splitlines(), start=1)
    return [(number, line) for number, line in numbered if line.strip()]


def _sentence(number: int, error: ValidationError) -> str:
    faults = (f"`{'.'.join(map(str, f['loc'])) or 'line'}`: {f['msg']}" for f in error.errors())
    return f"Line {number} of the manifest is not valid: {'; '.join(faults)}."
