"""Submissions and grades."""

from typing import Any, Literal

from pydantic import Field, FiniteFloat

from mlgym_mcp.types.frozen import Frozen
from mlgym_mcp.types.task import Sha256, Variant

GradeKind = Literal["validate", "submit"]
Integrity = Literal["clean", "tampered", "leaked", "invalid"]


class SubmittedFile(Frozen):
    """One file of a submission."""

    path: str
    sha256: Sha256
    size: int = Field(ge=0)


class Submission(Frozen):
    """Files taken out of a workspace, addressed by content."""

    sha256: Sha256
    """The hash of the manifest: paths, sizes and hashes in path order."""

    files: tuple[SubmittedFile, ...]
    size: int = Field(ge=0)


class JudgeReport(Frozen):
    """What a judge writes on its own channel; checked before anything believes it."""

    metrics: dict[str, FiniteFloat] = Field(default_factory=dict, max_length=64)
    integrity: Integrity = "clean"
    evidence: tuple[str, ...] = Field(default=(), max_length=50)
    """What was detected, one sentence each, safe to show to the agent."""

    kept: str = Field(default="", max_length=2000)
    """What only the operator is told, such as submitted code's own words; not part of a grade."""

    details: dict[str, Any] = Field(default_factory=dict)
    """Counts and seconds worth keeping (rows, simulations, calls)."""


class Grade(Frozen):
    """The record of one scoring."""

    id: str
    task: str
    variant: Variant
    kind: GradeKind
    status: Literal["graded", "judge_failed"] = "graded"
    submission: Sha256
    session: str | None = None
    metric: str
    """Name of the primary metric."""

    score: FiniteFloat | None
    """The primary metric; None unless the integrity is clean and the judge worked."""

    metrics: dict[str, FiniteFloat]
    integrity: Integrity
    evidence: tuple[str, ...] = ()
    seed: int
    seconds: float = Field(ge=0)
    """Wall seconds of the whole scoring."""

    judge_seconds: float = Field(default=0.0, ge=0)
    """Wall seconds inside `grade` of the judge alone."""

    versions: dict[str, str] = Field(default_factory=dict)
    """Of the server, the task folder (hash), the judge's Python and the engine."""

    graded_at: float
    """Seconds since the epoch."""

    details: dict[str, Any] = Field(default_factory=dict)
