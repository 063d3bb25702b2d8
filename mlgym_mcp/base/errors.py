"""Every error that crosses a floor, in one tree.

A failure is blamed once, on one boundary; the class says which, the `code` says what, and
`fix` says what to do next. Nothing below knows how an error is shown: the MCP edge turns it
into an `is_error` result, the command line into two lines on stderr.

    MlgymError
    |-- RequestError          the caller's arguments are wrong
    |   |-- NotFound          an unknown task, session, job, path or submission
    |   '-- BadPath           a path that leaves the workspace or is of the wrong kind
    |-- SessionError          the session's state or budget forbids it
    |   |-- SessionEnded      submitted, expired, closed or failed
    |   '-- BudgetSpent       no steps, validations or wall time left
    |-- SandboxError          the sandbox, not the command in it
    |   |-- SandboxDead       the stream broke, the supervisor died, a frame was no frame
    |   '-- EngineMissing     no engine that can isolate is ready here
    |-- TaskError             the task's own folder or data
    |   |-- SpecInvalid       task.toml breaks the schema
    |   |-- DataMissing       the dataset is not on this machine
    |   |-- DataCorrupt       a source's hash or size is not the pinned one
    |   '-- JudgeFailed       the judge itself crashed; never the agent's zero
    |-- SubmissionRejected    what was submitted cannot be taken (missing, a link, too big)
    '-- ServerError           the host: full disk, unreadable store, port in use
        '-- NoCapacity        no room for another session now
"""

from typing import ClassVar, Literal

ErrorCode = Literal[
    "bad_request",
    "not_found",
    "bad_path",
    "session_ended",
    "budget_spent",
    "sandbox_failed",
    "sandbox_dead",
    "engine_missing",
    "task_invalid",
    "data_missing",
    "data_corrupt",
    "judge_failed",
    "submission_rejected",
    "server_failed",
    "no_capacity",
]
"""The closed list of codes a client can meet."""


class MlgymError(Exception):
    """The root: `message` says what happened and where, `fix` what to do next."""

    code: ClassVar[ErrorCode] = "server_failed"

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".rstrip()


class RequestError(MlgymError):
    """The caller's arguments are wrong."""

    code = "bad_request"


class NotFound(RequestError):
    """The named task, session, job, file or submission does not exist (for this caller)."""

    code = "not_found"


class BadPath(RequestError):
    """The path leaves the workspace, or names something of another kind than asked."""

    code = "bad_path"


class SessionError(MlgymError):
    """The session's state or budget forbids the call."""

    code = "session_ended"


class SessionEnded(SessionError):
    """The session was submitted, expired, closed or failed."""


class BudgetSpent(SessionError):
    """Nothing is left of a budget: steps, validations, or wall time."""

    code = "budget_spent"


class SandboxError(MlgymError):
    """The sandbox failed, not the command in it."""

    code = "sandbox_failed"


class SandboxDead(SandboxError):
    """The sandbox is gone: its stream broke, its supervisor died or spoke nonsense."""

    code = "sandbox_dead"


class EngineMissing(SandboxError):
    """No engine that can isolate is ready on this machine."""

    code = "engine_missing"


class TaskError(MlgymError):
    """The task's own folder or data is at fault."""

    code = "task_invalid"


class SpecInvalid(TaskError):
    """A task.toml breaks the schema."""


class DataMissing(TaskError):
    """The task's dataset is not on this machine."""

    code = "data_missing"


class DataCorrupt(TaskError):
    """A source of the dataset is not the pinned one."""

    code = "data_corrupt"


class JudgeFailed(TaskError):
    """The judge itself crashed; the submission is kept and can be graded again."""

    code = "judge_failed"


class SubmissionRejected(MlgymError):
    """What was submitted cannot be taken: missing, a link, of another kind, too big."""

    code = "submission_rejected"


class ServerError(MlgymError):
    """The host failed: full disk, unreadable store, port in use."""


class NoCapacity(ServerError):
    """No room for another session now."""

    code = "no_capacity"
