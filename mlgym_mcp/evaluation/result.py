"""What came of playing a task, and how far a play is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, FiniteFloat

from mlgym_mcp.types.frozen import Frozen
from mlgym_mcp.types.grade import Integrity
from mlgym_mcp.types.task import Variant

Stage = Literal["starting", "uploading", "running", "validating", "submitting", "done"]
STAGES: tuple[Stage, ...] = (
    "starting",
    "uploading",
    "running",
    "validating",
    "submitting",
    "done",
)


@dataclass(frozen=True)
class PlayProgress:
    """Where one play stands."""

    task: str
    stage: Stage
    what: str = ""
    """What the server says it is doing, or the last line a command wrote."""

    @property
    def share(self) -> float:
        """The share of stages that are over, 0 to 1."""
        return STAGES.index(self.stage) / (len(STAGES) - 1)


OnProgress = Callable[[PlayProgress], None]
"""Told of each step of each play, on the event loop."""


def unheard(_progress: PlayProgress) -> None:
    """An `OnProgress` for callers who show nothing."""


class PlayResult(Frozen):
    """One play of one task, whether it worked or not."""

    task: str
    variant: Variant
    agent: str = "baseline"
    status: Literal["played", "failed"]
    error: str = ""
    """Why it failed, and what to do."""

    metric: str = ""
    direction: Literal["max", "min"] = "max"
    baseline: FiniteFloat | None = None
    """Published for the `full` variant, measured for the others."""

    validation: FiniteFloat | None = None
    """The primary metric of the one `validate`."""

    score: FiniteFloat | None = None
    """The primary metric of `submit`."""

    metrics: dict[str, FiniteFloat] = Field(default_factory=dict[str, float])
    versions: dict[str, str] = Field(default_factory=dict[str, str])
    """Of what graded it: the program, the task, Python, the engine."""

    integrity: Integrity | None = None
    session: str | None = None
    seconds: float = Field(default=0.0, ge=0)
    """Wall seconds of the whole play."""
