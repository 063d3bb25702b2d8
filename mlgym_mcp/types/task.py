"""A task's spec: what `task.toml` says, checked."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from mlgym_mcp.types.budget import Budget
from mlgym_mcp.types.frozen import Frozen

Variant = Literal["full", "mini", "generated"]
"""full: the published dataset and sizes; mini: seconds on a laptop; generated: as mini, on data that
a seeded program draws, for machines that cannot have mini's files."""

TaskId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=60)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _stays_inside(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError("must be a relative path without '..'")
    return path


RelativePath = Annotated[str, AfterValidator(_stays_inside), Field(min_length=1, max_length=300)]


class Metric(Frozen):
    """The number that ranks submissions, and the published baseline for it."""

    name: str
    direction: Literal["max", "min"]
    others: tuple[str, ...] = ()
    """Further metrics the judge reports."""

    timed: tuple[str, ...] = ()
    """Metrics that a clock decides: two gradings of one submission may differ in them."""

    baseline: float
    """The published baseline on the `full` variant."""

    best: float | None = None
    """The best published score, if any."""

    source: str
    """Where `baseline` and `best` are published."""


class SubmissionSpec(Frozen):
    """What an agent hands in."""

    kind: Literal["predictions", "code", "model"]
    path: RelativePath
    """A file or folder, relative to the workspace."""

    table_schema: RelativePath | None = None
    """For predictions: a JSON Schema under `schemas/` that the csv's rows meet."""

    max_bytes: int = Field(default=64 * 2**20, gt=0)
    max_files: int = Field(default=64, gt=0)


class JudgeSpec(Frozen):
    """How a submission is scored."""

    environment: str = "base"
    """The environment in which the judge runs."""

    player: bool = False
    """Whether the submission's code runs in a player sandbox."""

    player_environment: str | None = None
    """The environment of the player; the task's own when not set."""

    seconds: float = Field(default=600.0, gt=0)
    """Wall seconds for one whole grading."""

    call_seconds: float = Field(default=5.0, gt=0)
    """Wall seconds for one call to the player."""

    validate_simulations: int | None = Field(default=None, gt=0)
    submit_simulations: int | None = Field(default=None, gt=0)


class Source(Frozen):
    """One pinned file a dataset is made from."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The file's name in the folder given to `dataset.py`."""

    url: str | None = Field(default=None, pattern=r"^https://")
    """Where it is published byte for byte; without one it comes from a mirror only."""

    sha256: Sha256
    size: int = Field(gt=0)
    """Bytes."""

    mirror: RelativePath
    """The path tried under each folder of `MLGYM_MCP_MIRRORS`."""

    variants: tuple[Variant, ...] = ("full", "mini")
    """The variants that are made from it."""

    origin: str = ""
    """Where a file without an address is from, or how it is made: whole sentences."""


class DatasetSpec(Frozen):
    """The data behind a task."""

    id: TaskId
    title: str
    licence: str
    environment: str
    """The environment in which `dataset.py` prepares it."""

    sources: tuple[Source, ...] = ()

    def sources_of(self, variant: Variant) -> tuple[Source, ...]:
        """The files that one variant is made from."""
        return tuple(source for source in self.sources if variant in source.variants)


class VariantSpec(Frozen):
    """What a variant is, where it differs from the published task."""

    description: str
    baseline: float | None = None
    """What the baseline reaches on this variant, where that is not the published `full` one."""

    budget: Budget | None = None
    """Instead of the task's budget."""

    validate_simulations: int | None = Field(default=None, gt=0)
    """Instead of the judge's."""

    submit_simulations: int | None = Field(default=None, gt=0)
    """Instead of the judge's."""


class TaskSpec(Frozen):
    """The whole of a `task.toml`."""

    spec_version: Literal[1]
    id: TaskId
    title: str
    area: Literal["tabular", "game", "sat", "vision", "language", "reinforcement-learning"]
    summary: str
    """One sentence for lists."""

    mlgym_id: str | None = None
    """The id of the task in MLGym-Bench."""

    environment: str
    """The environment of the agent's sandbox."""

    metric: Metric
    submission: SubmissionSpec
    judge: JudgeSpec = JudgeSpec()
    budget: Budget = Budget()
    dataset: DatasetSpec | None = None
    variants: dict[Variant, VariantSpec]

    @model_validator(mode="after")
    def _has_full(self) -> "TaskSpec":
        if "full" not in self.variants:
            raise ValueError("variants: 'full' is missing; it is the published dataset and sizes")
        return self

    def without_files(self, variant: Variant) -> Variant | None:
        """What is played where a variant's files cannot be had; None where nothing is."""
        return "generated" if variant == "mini" and "generated" in self.variants else None

    def baseline_of(self, variant: Variant) -> float | None:
        """The baseline's score on one variant; None where nobody has measured it."""
        return self.metric.baseline if variant == "full" else self.variants[variant].baseline

    def budget_of(self, variant: Variant) -> Budget:
        """The budget of one variant."""
        return self.variants[variant].budget or self.budget

    def simulations(self, variant: Variant, kind: Literal["validate", "submit"]) -> int | None:
        """How many games, runs or instances one grading plays; None where it does not apply."""
        own = self.variants[variant]
        if kind == "validate":
            return own.validate_simulations or self.judge.validate_simulations
        return own.submit_simulations or self.judge.submit_simulations


DataState = Literal["none", "ready", "fetchable", "missing"]
"""none: the task needs no data; ready: prepared here; fetchable: all sources are in the cache or
a mirror, so the first session prepares it; missing: must be fetched over the network."""


class TaskSummary(Frozen):
    """One line of a list of tasks."""

    id: str
    title: str
    area: str
    summary: str
    metric: str
    direction: Literal["max", "min"]
    baseline: float
    variants: tuple[Variant, ...]
    environment: str
    wall_seconds: float
    data: DataState
    """Of the `full` variant."""

    data_of: dict[Variant, DataState] = Field(default_factory=dict[Variant, DataState])
    """Of each variant."""

    fix: str = ""
    """What makes the data ready, when it is not."""
