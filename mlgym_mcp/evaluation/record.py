"""What each task's baseline scored, and where: `baseline/scores.json` in the task's folder.

Above: `mlgym-mcp eval --record`. Below: results of plays. A record is for people who compare a
machine of theirs; nothing reads it to score anybody, and no agent gets it.
"""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, FiniteFloat, ValidationError

from mlgym_mcp.base.errors import SpecInvalid
from mlgym_mcp.catalog import Task
from mlgym_mcp.evaluation.result import PlayResult
from mlgym_mcp.types.frozen import Frozen
from mlgym_mcp.types.grade import Integrity
from mlgym_mcp.types.task import Variant

SCORES_NAME = "scores.json"


class Recorded(Frozen):
    """One play of a baseline."""

    command: str
    """What plays it again."""

    score: FiniteFloat | None = None
    """The primary metric; None where nobody has played this variant yet."""

    metrics: dict[str, FiniteFloat] = Field(default_factory=dict[str, float])
    integrity: Integrity | None = None
    seconds: float | None = None
    """Wall seconds from the session's start to its grade."""

    machine: str = ""
    versions: dict[str, str] = Field(default_factory=dict[str, str])
    date: str = ""


class Scores(Frozen):
    """All of a `scores.json`."""

    metric: str
    plays: dict[Variant, Recorded]


def read_scores(task: Task) -> Scores:
    """The record of one task; every variant is in it, also those not played.

    Raises:
        SpecInvalid: The file is none of ours.
    """
    path = task.baseline / SCORES_NAME
    plays: dict[Variant, Recorded] = {
        variant: _not_played(task, variant) for variant in task.spec.variants
    }
    if path.is_file():
        try:
            plays |= Scores.model_validate_json(path.read_bytes()).plays
        except ValidationError as error:
            raise SpecInvalid(
                f"{path} is not a record of baselines: {error.errors()[0]['msg']}.",
                fix="Delete it, and write it anew with `mlgym-mcp eval --record`.",
            ) from error
    return Scores(metric=task.spec.metric.name, plays=plays)


def record(task: Task, result: PlayResult) -> Path:
    """Put a play that was scored into its task's record; the file.

    Raises:
        SpecInvalid: The file there is none of ours.
    """
    scores = read_scores(task)
    played = Recorded(
        command=_not_played(task, result.variant).command,
        score=result.score,
        metrics=result.metrics,
        integrity=result.integrity,
        seconds=result.seconds,
        machine=_machine(),
        versions={name: text for name, text in result.versions.items() if name != "task"},
        date=datetime.now(UTC).date().isoformat(),
    )
    whole = scores.model_copy(update={"plays": {**scores.plays, result.variant: played}})
    path = task.baseline / SCORES_NAME
    text = json.dumps(whole.model_dump(mode="json", exclude_defaults=True), indent=2)
    path.write_text(f"{text}\n", encoding="utf-8")
    return path


def _not_played(task: Task, variant: Variant) -> Recorded:
    chosen = "" if variant == "full" else f" --variant {variant}"
    return Recorded(command=f"mlgym-mcp eval --agent baseline --tasks {task.id}{chosen}")


def _machine() -> str:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    model = names[0] if names else platform.machine()
    return f"{model}, {os.cpu_count()} cores, {pages / 2**30:.0f} GiB"
