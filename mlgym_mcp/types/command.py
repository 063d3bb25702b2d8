"""Commands in a sandbox, and what came of them."""

from typing import Literal

from pydantic import Field

from mlgym_mcp.types.frozen import Frozen

LimitName = Literal["time", "output", "memory", "processes", "disk", "cancelled"]
"""What can cut a command short or cut its output."""


class CommandResult(Frozen):
    """One finished command. A failed command is a result, not an error."""

    job_id: str
    exit_code: int | None
    """The shell's exit status; None when a signal ended it."""

    signal: int | None = None
    """The signal that ended it, or None."""

    output: str
    """Standard output and error as they came, UTF-8; head and tail when longer than the limit."""

    output_bytes: int = Field(ge=0)
    """Bytes the command wrote in all."""

    dropped_bytes: int = Field(default=0, ge=0)
    """Bytes missing between head and tail."""

    output_path: str = ""
    """Where in the sandbox the whole output can be read."""

    seconds: float = Field(ge=0)
    """Wall seconds from start to exit."""

    cwd: str = ""
    """The working directory the next command starts in."""

    limits_hit: tuple[LimitName, ...] = ()
    """Every limit that bit."""

    @property
    def ok(self) -> bool:
        """Whether the command exited with 0."""
        return self.exit_code == 0


class JobView(Frozen):
    """A command that has a handle: running, finished, or lost with its sandbox."""

    job_id: str
    state: Literal["running", "finished", "lost"]
    command: str = ""
    seconds: float = Field(default=0.0, ge=0)
    """Wall seconds so far, or in all."""

    output: str = ""
    """Output from the asked cursor on, capped."""

    cursor: int = Field(default=0, ge=0)
    """Pass this to read on from here, in bytes of the whole output."""

    result: CommandResult | None = None
    """Set once finished."""
