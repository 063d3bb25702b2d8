"""What a caller asks of a session, where that is more than a path."""

from typing import Literal

from pydantic import Field

from mlgym_mcp.types.frozen import Frozen
from mlgym_mcp.types.task import Variant


class StartRequest(Frozen):
    """Open a session."""

    task: str
    variant: Variant = "full"
    seed: int | None = Field(default=None, ge=0, lt=2**31)
    """Given to commands as MLGYM_SEED; a random one when not set. Grading uses others."""

    label: str = Field(default="", max_length=200)
    """The caller's own name for it."""

    wall_seconds: float | None = Field(default=None, gt=0)
    """A shorter wall budget than the task's."""


class RunRequest(Frozen):
    """Run a command."""

    command: str = Field(min_length=1)
    timeout_seconds: float | None = Field(default=None, gt=0)
    """Wall seconds, at most the budget's; the budget's when not set."""

    wait_seconds: float = Field(default=45.0, ge=0)
    """After this long a handle is returned instead of the result."""

    request_id: str | None = Field(default=None, min_length=1, max_length=200)
    """A second call with the same one runs nothing and gets the first one's result."""


class JobRequest(Frozen):
    """Ask about a command that has a handle."""

    job_id: str
    action: Literal["wait", "tail", "cancel"] = "wait"
    cursor: int | None = None
    """Output from this byte on; negative counts from the end. The last part when not set."""

    wait_seconds: float = Field(default=45.0, ge=0)
    """For `wait`: how long at most."""


class EditRequest(Frozen):
    """Change a text file: replace `old`, or the lines `start` to `end`, by `new`."""

    path: str
    new: str
    old: str | None = None
    """Exact text that occurs once in the file."""

    start: int | None = Field(default=None, ge=1)
    """The first line to replace, from 1."""

    end: int | None = Field(default=None, ge=1)
    """The last line to replace; `start` when not set."""

    force: bool = False
    """Keep the change although the Python in the file no longer parses."""


class SearchRequest(Frozen):
    """Search the text of files."""

    text: str = Field(min_length=1, max_length=2000)
    path: str = "."
    regex: bool = False
    """Whether `text` is an extended regular expression."""

    glob: str | None = Field(default=None, max_length=200)
    """Only files whose names match."""
