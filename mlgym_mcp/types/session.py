"""Sessions as their owner sees them, and the events they are made of."""

from typing import Any, Literal

from pydantic import Field

from mlgym_mcp.types.budget import Budget, BudgetLeft
from mlgym_mcp.types.command import JobView
from mlgym_mcp.types.files import Listing
from mlgym_mcp.types.frozen import Frozen
from mlgym_mcp.types.grade import Grade
from mlgym_mcp.types.task import Variant

SessionState = Literal["opening", "active", "submitted", "expired", "closed", "failed"]
OPEN_STATES: tuple[SessionState, ...] = ("opening", "active")


class SessionRecord(Frozen):
    """What the store keeps of a session."""

    id: str
    principal: str
    """Who opened it; nobody else sees it."""

    task: str
    variant: Variant
    seed: int
    label: str = ""
    state: SessionState
    reason: str = ""
    """Why it ended, in a sentence."""

    budget: Budget
    steps_used: int = Field(default=0, ge=0)
    validations_used: int = Field(default=0, ge=0)
    opened_at: float
    """Seconds since the epoch."""

    last_call_at: float
    ended_at: float | None = None


class SessionView(Frozen):
    """A session's state, for its owner."""

    session: str
    task: str
    variant: Variant
    label: str
    state: SessionState
    reason: str = ""
    opened_at: float
    ended_at: float | None = None
    budget: Budget
    left: BudgetLeft
    metric: str
    best_validation: float | None = None
    """The best counted validation so far."""

    jobs: tuple[JobView, ...] = ()
    grade: Grade | None = None
    """The grade of the submission, once there is one."""


class SessionOpened(Frozen):
    """The answer to `start_session`."""

    session: str
    task: str
    variant: Variant
    """As asked for, or `generated` where the files of `mini` are not on the machine."""

    about: str = ""
    """What the variant is."""

    brief: str
    budget: Budget
    files: Listing
    workspace: str = "/workspace"


EventKind = Literal[
    "opened", "call", "result", "validation", "submission", "grade", "lost", "ended", "reopened"
]


class Event(Frozen):
    """One recorded thing that happened in a session."""

    session: str
    seq: int = Field(ge=1)
    """Counts from 1 in each session, without gaps."""

    kind: EventKind
    at: float
    """Seconds since the epoch."""

    request_id: str | None = None
    name: str = ""
    """The tool that was called."""

    payload: dict[str, Any] = Field(default_factory=dict)
