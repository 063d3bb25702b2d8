"""A task tried out in real sandboxes: its data, its baseline, its judge, as an author would.

Above: `tasks check --run`. Below: a scorer with a store of its own, so that nothing of a rehearsal
is kept, and the engine. It asks of each task: does the agent see nothing private, does the
baseline run and beat the starter, does the judge say the same twice, does it refuse what is broken?
"""

import math
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

import anyio

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.errors import MlgymError, SubmissionRejected
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.catalog import DatasetFolders, Datasets, Task, load_catalog
from mlgym_mcp.catalog.separation import card_faults, secrets_of, separation_faults
from mlgym_mcp.evaluation.spoiling import spoiled
from mlgym_mcp.sandbox.contract import WORKSPACE, Backend, Command, Mount, Report, SandboxSpec
from mlgym_mcp.sandbox.registry import open_backend
from mlgym_mcp.scoring import Scorer
from mlgym_mcp.store import open_store
from mlgym_mcp.types.command import CommandResult
from mlgym_mcp.types.finding import Finding
from mlgym_mcp.types.grade import Grade, GradeKind
from mlgym_mcp.types.task import Variant

_SEED = 1
_SAME = 1e-6
"""Relative difference below which two gradings agree: threads may add numbers in another order."""

_STALE = 0.1
"""Relative distance of a measured baseline from the recorded one that is worth a look."""

_SEARCH_SECONDS = 300.0
_SHOWN_CHARACTERS = 1000
_PYTHON = "solution.py"


async def rehearse(
    settings: Settings, wanted: Iterable[str], variant: Variant, bar: Callable[[str], Report]
) -> list[Finding]:
    """Rehearse tasks one after the other; datasets and environments stay, all else goes.

    Raises:
        NotFound, SpecInvalid: A wanted id is no sound task.
    """
    clock = SystemClock()
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = Path(mkdtemp(prefix=".check-", dir=settings.home))
    own = settings.model_copy(update={"home": folder})
    findings: list[Finding] = []
    try:
        async with open_backend(settings, clock) as backend, open_store(own, clock) as store:
            catalog = await anyio.to_thread.run_sync(load_catalog, settings)
            scorer = Scorer(own, clock, store, catalog, Datasets(settings), backend)
            async with scorer.running():
                for name in wanted:
                    task, place = catalog.task(name), folder / f"task-{name}"
                    place.mkdir()
                    rehearsal = Rehearsal(scorer, backend, task, variant, place, bar(name))
                    findings += await rehearsal.play()
                    await anyio.to_thread.run_sync(_remove, place)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_remove, folder)
    return findings


@dataclass
class Rehearsal:
    """One task on one variant; `play` does it all once."""

    scorer: Scorer
    backend: Backend
    task: Task
    variant: Variant
    folder: Path
    """An empty folder for workspaces and the like; it is the caller's to remove."""

    report: Report
    findings: list[Finding] = field(default_factory=list[Finding])

    async def play(self) -> list[Finding]:
        """Everything that was found; what cannot go on ends with the error as a finding."""
        try:
            data = await self._data()
            await self._judging(data)
        except (MlgymError, OSError) as error:
            fix = error.fix if isinstance(error, MlgymError) else ""
            self._say("rehearsal", "failed", str(error), fix)
        return self.findings

    async def _data(self) -> DatasetFolders | None:
        self.report("preparing data", 0.05)
        data = await self.scorer.data(self.task, self.variant, self.report)
        if data is None:
            return None
        faults = await anyio.to_thread.run_sync(card_faults, data)
        self._judge_of("card", faults, f"{len(data.card)} keys")
        faults = await anyio.to_thread.run_sync(separation_faults, self.task, data)
        self._judge_of("separation", faults, "nothing private is in the public folder")
        return data

    async def _judging(self, data: DatasetFolders | None) -> None:
        self.report("running the starter", 0.1)
        starter = await self._starter(data)
        self.report("running the baseline", 0.25)
        workspace = await self._workspace("baseline", data, "bash baseline/run.sh")
        self.report("grading twice", 0.5)
        first = await self._grade(workspace, "submit")
        self._baseline(first)
        if first.integrity != "clean" or first.status != "graded":
            return
        self._same(first, await self._grade(workspace, "submit"))
        self._judged(await self._grade(workspace, "validate"))
        self.report("grading the starter", 0.65)
        await self._floor(starter, first)
        self.report("grading broken submissions", 0.7)
        await self._broken(workspace)

    async def _starter(self, data: DatasetFolders | None) -> Path | None:
        """A workspace with what the starter hands in; None where it hands in nothing."""
        script = None
        path = self.task.spec.submission.path
        if not (self.task.starter / path).exists():
            programs = sorted(p.name for p in self.task.starter.glob("*.py"))
            script = f"python {_PYTHON if _PYTHON in programs else min(programs, default='')}"
            if len(programs) > 1 and _PYTHON not in programs and "train.py" in programs:
                script = "python train.py"
        try:
            workspace = await self._workspace("starter", data, script)
        except _Unplayed:
            return None
        return workspace if (workspace / path).exists() else None

    async def _workspace(self, name: str, data: DatasetFolders | None, script: str | None) -> Path:
        """A session's workspace after the script ran in it, in a sandbox like an agent's."""
        workspace, outputs = self.folder / name, self.folder / f"{name}-outputs"
        await anyio.to_thread.run_sync(_lay_out, self.task, workspace, outputs)
        limits = self.task.spec.budget_of(self.variant).limits
        await self.backend.prepare(self.task.spec.environment, self.report)
        sandbox = await self.backend.open(
            SandboxSpec(
                name=f"check-{name}-{secrets.token_hex(6)}",
                environment=self.task.spec.environment,
                workspace=workspace,
                outputs=outputs,
                mounts=(Mount(data.public, f"{WORKSPACE}/data"),) if data else (),
                limits=limits,
                variables={"MLGYM_TASK": self.task.id, "MLGYM_SEED": str(_SEED)},
            )
        )
        try:
            if script is not None:
                seconds = self.task.spec.budget_of(self.variant).command_seconds
                result = await sandbox.run(Command(script, timeout_seconds=seconds))
                if not result.ok:
                    raise _Unplayed(_ending(script, result))
            if name == "baseline" and data:
                search, names = await anyio.to_thread.run_sync(_search, data)
                found = await sandbox.run(Command(search, _SEARCH_SECONDS, output_bytes=2**20))
                hits = [said for digest, said in names.items() if digest in found.output]
                faults = [f"the agent can read private/{hit}" for hit in hits]
                self._judge_of(
                    "reach", faults, f"no file has the bytes of a private one ({len(names)})"
                )
        finally:
            with anyio.CancelScope(shield=True):
                await sandbox.close()
        return workspace

    async def _grade(self, workspace: Path, kind: GradeKind) -> Grade:
        submission = await self.scorer.take_path(self.task, workspace)
        return await self.scorer.grade(self.task, self.variant, submission, kind, seed=_SEED)

    def _baseline(self, grade: Grade) -> None:
        if grade.score is None:
            self._say("baseline", "failed", f"it got no score: {_why(grade)}")
            return
        metric, recorded = self.task.spec.metric, self.task.spec.baseline_of(self.variant)
        said = f"{metric.name} {grade.score:g} in {grade.seconds:.1f} s of grading"
        if recorded is None or metric.name in metric.timed:
            self._say("baseline", "ok", said)
        elif abs(grade.score - recorded) > _STALE * abs(recorded):
            fix = "Correct `baseline` in task.toml, or the baseline."
            self._say("baseline", "warning", f"{said}; task.toml says {recorded:g}", fix)
        else:
            self._say("baseline", "ok", f"{said}; task.toml says {recorded:g}")

    def _same(self, first: Grade, second: Grade) -> None:
        timed = self.task.spec.metric.timed
        names = (set(first.metrics) | set(second.metrics)) - set(timed)
        other = [n for n in sorted(names) if not _close(first.metrics, second.metrics, n)]
        faults = [
            f"{n} is {first.metrics.get(n)}, then {second.metrics.get(n)} with the same seed"
            for n in other
        ]
        exempt = f"; a clock decides {', '.join(timed)}" if timed else ""
        self._judge_of("determinism", faults, f"{len(names)} metrics agree{exempt}")

    def _judged(self, grade: Grade) -> None:
        fine = grade.status == "graded" and grade.integrity == "clean"
        said = f"{grade.metric} {grade.score:g}" if grade.score is not None else _why(grade)
        self._say("validate", "ok" if fine else "failed", said)

    async def _floor(self, starter: Path | None, baseline: Grade) -> None:
        """The starter as it comes is the floor: a baseline below it shows nothing."""
        if starter is None:
            fix = f"Let {_PYTHON} in starter/ leave {self.task.spec.submission.path}."
            self._say("floor", "warning", "the starter hands nothing in; there is no floor", fix)
            return
        floor = await self._grade(starter, "submit")
        if floor.score is None or baseline.score is None:
            state = "warning" if floor.status == "graded" else "failed"
            self._say("floor", state, f"the starter got no score: {_why(floor)}")
            return
        sign = 1 if self.task.spec.metric.direction == "max" else -1
        ahead = sign * (baseline.score - floor.score)
        said = f"baseline {baseline.score:g}, starter {floor.score:g}"
        fine = ahead >= 0 or self.task.spec.metric.name in self.task.spec.metric.timed
        self._say("floor", "ok" if fine else "failed", said)

    async def _broken(self, workspace: Path) -> None:
        spec = self.task.spec.submission
        faults: list[str] = []
        copies = await anyio.to_thread.run_sync(
            _copies, workspace / spec.path, spec.path, self.folder
        )
        for number, (what, place) in enumerate(copies):
            self.report(f"grading broken submissions: {what}", 0.7 + 0.3 * number / len(copies))
            try:
                grade = await self._grade(place, "submit")
            except SubmissionRejected:
                continue
            # half a program may be a program
            may_pass = what == "truncated" and spec.kind == "code"
            if grade.status != "graded":
                faults.append(f"{what}: the judge failed: {await self._log(grade)}")
            elif grade.integrity == "clean" and not may_pass:
                faults.append(f"{what}: it was scored {grade.score:g}")
        self._judge_of("broken submissions", faults, f"{len(copies)} were refused")

    async def _log(self, grade: Grade) -> str:
        log = await anyio.Path(self.folder.parent / str(grade.details.get("log"))).read_text()
        return log.strip()[-_SHOWN_CHARACTERS:]

    def _judge_of(self, part: str, faults: Iterable[str], otherwise: str) -> None:
        """One finding: the faults, or what is said when there are none."""
        said = "; ".join(faults)
        self._say(part, "failed" if said else "ok", said or otherwise)

    def _say(self, part: str, state: str, detail: str, fix: str = "") -> None:
        check = f"task {self.task.id}: {part}"
        self.findings.append(
            Finding.model_validate({"check": check, "state": state, "detail": detail, "fix": fix})
        )


class _Unplayed(MlgymError):
    """The starter or the baseline did not run to its end."""


def _ending(script: str, result: CommandResult) -> str:
    ended = ", ".join(result.limits_hit) or f"exit status {result.exit_code}"
    return f"`{script}` ended with {ended}: {result.output[-_SHOWN_CHARACTERS:]}"


def _lay_out(task: Task, workspace: Path, outputs: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(task.starter, workspace, ignore=ignored)
    shutil.copytree(task.baseline, workspace / "baseline", ignore=ignored)
    (workspace / "data").mkdir(exist_ok=True)
    workspace.chmod(0o755)
    outputs.mkdir()


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _copies(good: Path, name: str, into: Path) -> list[tuple[str, Path]]:
    return list(spoiled(good, name, into))


def _search(data: DatasetFolders) -> tuple[str, dict[str, str]]:
    """A command that hashes every file of a private file's size, and the private files by hash."""
    secrets = secrets_of(data)
    sizes = sorted({size for _, size in secrets.values()})
    tests = " -o ".join(f"-size {size}c" for size in sizes) or "-false"
    command = (
        "find / \\( -path /proc -o -path /sys -o -path /dev \\) -prune -o "
        f"-type f \\( {tests} \\) -exec sha256sum {{}} + 2>/dev/null || true"
    )
    return command, {digest: name for digest, (name, _) in secrets.items()}


def _close(first: Mapping[str, float], second: Mapping[str, float], name: str) -> bool:
    if name not in first or name not in second:
        return False
    return math.isclose(first[name], second[name], rel_tol=_SAME, abs_tol=1e-12)


def _why(grade: Grade) -> str:
    said = "; ".join(grade.evidence)
    return f"{grade.status if grade.status != 'graded' else grade.integrity}: {said}"
