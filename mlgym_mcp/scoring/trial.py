"""One grading in its sandboxes: a judge, and a player where submitted code must run.

Above: the scorer turns the report into a grade. Below: the backend's sandboxes, fresh ones for
every trial. The report is the one file the judge's harness writes; output is only logs. A trial
knows nothing of stores or sessions.
"""

import json
import os
import stat
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
from pydantic import ValidationError

from mlgym_mcp.base.errors import JudgeFailed, SandboxError
from mlgym_mcp.base.programs import Program
from mlgym_mcp.base.shipped import package_folder
from mlgym_mcp.catalog import DatasetFolders, Task
from mlgym_mcp.sandbox.contract import Backend, Command, Job, Mount, Sandbox, SandboxSpec
from mlgym_mcp.scoring.harness.verdict import PLAYER_ENDED
from mlgym_mcp.scoring.scratch import disk_blamed
from mlgym_mcp.types.budget import Limits
from mlgym_mcp.types.command import CommandResult
from mlgym_mcp.types.grade import GradeKind, JudgeReport
from mlgym_mcp.types.task import Variant

MAX_REPORT_BYTES = 2**20
HARNESS = Program(package_folder() / "scoring" / "harness", "/harness", "harness")
"""What runs in judges and players."""

_START_SECONDS = 90.0
"""For opening the other sandbox, beside the judge's own time."""

_AFTERMATH_SECONDS = 0.3
"""For the end of a player that most likely lives."""

_ENDED_SECONDS = 3.0
"""For word of one that has ended: a busy machine takes its time over it."""

_VARIABLES = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}


@dataclass(frozen=True)
class Trial:
    """Everything one grading needs."""

    id: str
    task: Task
    variant: Variant
    kind: GradeKind
    seed: int
    data: DatasetFolders | None
    harness: Path
    """A copy of `HARNESS`."""

    folder: Path
    """A scratch folder; the submission's copy is in `submission/` of it."""


class Room:
    """One open sandbox and the program that was started in it."""

    def __init__(self, sandbox: Sandbox, job: Job) -> None:
        self.sandbox = sandbox
        self.job = job


@asynccontextmanager
async def held(backend: Backend, trial: Trial) -> AsyncGenerator[JudgeReport]:
    """The judge's report; its sandboxes are closed after the block.

    Raises:
        JudgeFailed: There is no report to believe; the message ends with the judge's last lines.
        SandboxError: A sandbox could not be opened.
    """
    plans = await anyio.to_thread.run_sync(_plans, trial)
    rooms: dict[str, Room] = {}
    try:
        await _open_all(backend, plans, rooms)
        seconds = trial.task.spec.judge.seconds + _START_SECONDS
        result = await rooms["judge"].job.wait(seconds)
        report = await anyio.to_thread.run_sync(_read_report, trial, result)
        yield await _with_aftermath(report, trial, rooms.get("player"))
    finally:
        await _close_all(rooms)


async def _open_all(
    backend: Backend, plans: Mapping[str, tuple[SandboxSpec, Command]], rooms: dict[str, Room]
) -> None:
    failures: list[SandboxError] = []

    async def open_one(name: str, spec: SandboxSpec, command: Command) -> None:
        try:
            sandbox = await backend.open(spec)
        except SandboxError as error:
            failures.append(error)
            return
        try:
            rooms[name] = Room(sandbox, await sandbox.start(command))
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await sandbox.close()
            if not isinstance(error, SandboxError):
                raise
            failures.append(error)

    async with anyio.create_task_group() as group:
        for name, (spec, command) in plans.items():
            group.start_soon(open_one, name, spec, command)
    if failures:
        raise failures[0]


async def _close_all(rooms: Mapping[str, Room]) -> None:
    with anyio.CancelScope(shield=True):
        async with anyio.create_task_group() as group:
            for room in rooms.values():
                group.start_soon(room.sandbox.close)


def _plans(trial: Trial) -> dict[str, tuple[SandboxSpec, Command]]:
    plans = {"judge": _judge_plan(trial)}
    if trial.task.player:
        plans["player"] = _player_plan(trial)
    return plans


def _judge_plan(trial: Trial) -> tuple[SandboxSpec, Command]:
    spec = trial.task.spec.judge
    mounts = [
        Mount(trial.task.judge, "/judge"),
        Mount(_made(trial, "report"), "/report", writable=True),
    ]
    if trial.data:
        mounts.append(Mount(trial.data.private, "/private"))
    if schema := trial.task.table_schema:
        mounts.append(Mount(schema, "/schemas/table.schema.json"))
    if trial.task.player:
        mounts.append(Mount(_made(trial, "channel"), "/channel", writable=True))
    request = json.dumps(_request(trial)).encode()
    script = _start("judging")
    command = Command(script, timeout_seconds=spec.seconds + _START_SECONDS, stdin=request)
    return _sandbox(trial, "judge", spec.environment, mounts, Limits()), command


def _player_plan(trial: Trial) -> tuple[SandboxSpec, Command]:
    spec = trial.task.spec
    player = trial.task.judge / "player.py"
    mounts = [Mount(player, "/player/player.py"), Mount(_made(trial, "channel"), "/channel")]
    environment = spec.judge.player_environment or spec.environment
    limits = spec.budget_of(trial.variant).limits
    script = f"{_start('playing')} /submission/{spec.submission.path} /public"
    command = Command(script, timeout_seconds=spec.judge.seconds + 2 * _START_SECONDS)
    return _sandbox(trial, "player", environment, mounts, limits), command


def _start(program: str) -> str:
    body = f"import sys; sys.path.insert(0, '/harness'); from harness.{program} import main; main()"
    return f'exec python -I -c "{body}"'


def _sandbox(
    trial: Trial, role: str, environment: str, mounts: list[Mount], limits: Limits
) -> SandboxSpec:
    common = [
        Mount(trial.harness, HARNESS.root),
        Mount(trial.folder / "submission", "/submission"),
        Mount(trial.data.public if trial.data else _made(trial, "public"), "/public"),
    ]
    return SandboxSpec(
        name=f"{role}-{trial.id}",
        environment=environment,
        workspace=_made(trial, f"{role}/workspace"),
        outputs=_made(trial, f"{role}/outputs"),
        mounts=(*common, *mounts),
        limits=limits,
        variables=_VARIABLES,
    )


def _made(trial: Trial, name: str) -> Path:
    folder = trial.folder / name
    with disk_blamed(trial.folder):
        folder.mkdir(parents=True, exist_ok=True)
        # Docker's sandboxes of a root server run under another user id, whatever the umask is here
        folder.chmod(0o755)
    return folder


def _request(trial: Trial) -> dict[str, Any]:
    spec = trial.task.spec
    return {
        "submission": f"/submission/{spec.submission.path}",
        "seed": trial.seed,
        # one way: knowing its own seed tells a player nothing about the judge's
        "player_seed": int.from_bytes(sha256(f"player {trial.seed}".encode()).digest()[:6], "big"),
        "kind": trial.kind,
        "variant": trial.variant,
        "simulations": spec.simulations(trial.variant, trial.kind),
        "table_schema": "/schemas/table.schema.json" if trial.task.table_schema else None,
        "player": trial.task.player is not None,
        "seconds": spec.judge.seconds,
        "call_seconds": spec.judge.call_seconds,
    }


def _read_report(trial: Trial, result: CommandResult | None) -> JudgeReport:
    if result is None or not result.ok:
        raise JudgeFailed(_failure(trial, result))
    try:
        data = _read_capped(trial.folder / "report" / "grade.json")
        report = JudgeReport.model_validate_json(data)
    except (OSError, ValidationError) as error:
        said = f"The judge of {trial.task.id} left no report to believe: {error}"
        raise JudgeFailed(said) from error
    metric = trial.task.spec.metric.name
    if report.integrity == "clean" and metric not in report.metrics:
        raise JudgeFailed(f"The judge of {trial.task.id} did not report its metric, {metric}.")
    return report


def _read_capped(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as stream:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_REPORT_BYTES:
            raise OSError(f"no regular file of at most {MAX_REPORT_BYTES} bytes")
        return stream.read(MAX_REPORT_BYTES + 1)


def _failure(trial: Trial, result: CommandResult | None) -> str:
    if result is None or "time" in result.limits_hit:
        return f"The judge of {trial.task.id} did not end in {trial.task.spec.judge.seconds:g} s."
    how = f"exit status {result.exit_code}" if result.signal is None else f"signal {result.signal}"
    limits = f", limits hit: {', '.join(result.limits_hit)}" if result.limits_hit else ""
    return f"The judge of {trial.task.id} ended with {how}{limits}:\n{result.output[-4000:]}"


async def _with_aftermath(report: JudgeReport, trial: Trial, player: Room | None) -> JudgeReport:
    """Name the limit that ended a player, which only its own sandbox knows."""
    if player is None or report.integrity != "invalid":
        return report
    ended = any(PLAYER_ENDED in line for line in report.evidence)
    try:
        result = await player.job.wait(_ENDED_SECONDS if ended else _AFTERMATH_SECONDS)
    except SandboxError:
        return _with_evidence(report, "the player's sandbox died")
    limits = set(result.limits_hit if result else ()) - {"output"}
    if "memory" in limits:
        size = trial.task.spec.budget_of(trial.variant).limits.memory_bytes
        return _with_evidence(report, f"the player ran out of memory: its limit is {size} bytes")
    if limits:
        return _with_evidence(report, f"the player hit its limits: {', '.join(sorted(limits))}")
    return report


def _with_evidence(report: JudgeReport, line: str) -> JudgeReport:
    return report.model_copy(update={"evidence": (*report.evidence, line)})
