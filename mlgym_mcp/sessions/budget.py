"""What is left of a session's budget, and the errors that name what is not.

Above: every step asks here first. It only reads a record; who counts and who ends a session is
elsewhere.
"""

from mlgym_mcp.base.errors import BudgetSpent, MlgymError, SessionEnded
from mlgym_mcp.types.budget import BudgetLeft
from mlgym_mcp.types.session import OPEN_STATES, SessionRecord

_START = "Open another one with `start_session`."


def deadline(record: SessionRecord) -> float:
    """When the wall budget is over, in seconds since the epoch."""
    return record.opened_at + record.budget.wall_seconds


def left_of(record: SessionRecord, now: float) -> BudgetLeft:
    """What is left now, or was left when it ended."""
    moment = now if record.ended_at is None else record.ended_at
    return BudgetLeft(
        wall_seconds=max(0.0, round(deadline(record) - moment, 3)),
        steps=max(0, record.budget.steps - record.steps_used),
        validations=max(0, record.budget.validations - record.validations_used),
    )


def is_open(record: SessionRecord) -> bool:
    """Whether it still takes calls."""
    return record.state in OPEN_STATES


def require_open(record: SessionRecord) -> None:
    """Refuse what needs an open session.

    Raises:
        BudgetSpent: Its wall budget is over.
        SessionEnded: It ended for another reason.
    """
    if is_open(record):
        return
    if record.state == "expired" and (record.ended_at or 0) >= deadline(record):
        raise wall_spent(record)
    raise ended(record)


def require_step(record: SessionRecord) -> None:
    """Refuse a step beyond the budget.

    Raises:
        BudgetSpent: No steps are left.
    """
    if record.steps_used >= record.budget.steps:
        raise BudgetSpent(
            f"Session {record.id} has used all {record.budget.steps} of its `steps`.",
            fix="`validate` and `submit` still work; `end_session` ends it without a grade.",
        )


def require_validation(record: SessionRecord, running: int) -> None:
    """Refuse a validation beyond the budget; `running` ones are not counted in the record yet.

    Raises:
        BudgetSpent: No validations are left.
    """
    if record.validations_used + running >= record.budget.validations:
        raise BudgetSpent(
            f"Session {record.id} has used all {record.budget.validations} of its `validations`.",
            fix="`submit` grades the workspace as it is and ends the session.",
        )


def wall_spent(record: SessionRecord) -> BudgetSpent:
    """The error of a session whose time is over."""
    return BudgetSpent(
        f"Session {record.id} has spent its `wall_seconds` budget of "
        f"{record.budget.wall_seconds:g} s and expired; nothing was submitted.",
        fix=_START,
    )


def ended(record: SessionRecord) -> MlgymError:
    """The error of a session that takes no more calls."""
    reason = f": {record.reason}" if record.reason else "."
    return SessionEnded(f"Session {record.id} was {record.state}{reason}", fix=_START)
