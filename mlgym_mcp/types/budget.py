"""What a session may spend, and what is left of it."""

from pydantic import Field

from mlgym_mcp.types.frozen import Frozen


class Limits(Frozen):
    """What one sandbox may use at any moment."""

    memory_bytes: int = Field(default=4 * 2**30, gt=0)
    """Memory of all its processes together, in bytes."""

    cpus: float = Field(default=2.0, gt=0)
    """CPU time per wall second, in cores."""

    processes: int = Field(default=256, gt=0)
    """Processes and threads alive at once."""

    open_files: int = Field(default=4096, gt=0)
    """Open file descriptors per process."""

    disk_bytes: int = Field(default=8 * 2**30, gt=0)
    """Bytes in the workspace and kept outputs together; also the largest single file."""

    output_bytes: int = Field(default=32_768, gt=0)
    """Bytes of one command's output that are returned: the head and the tail, half each."""

    gpus: int = Field(default=0, ge=0)
    """Whole GPUs, exclusive."""


class Budget(Frozen):
    """What one session may spend before it ends."""

    wall_seconds: float = Field(default=3600.0, gt=0)
    """Seconds from opening to the last accepted call; the clock does not stop on a restart."""

    steps: int = Field(default=1000, gt=0)
    """Calls that read, change or run something in the workspace."""

    validations: int = Field(default=10, ge=0)
    """Calls of `validate`."""

    command_seconds: float = Field(default=1800.0, gt=0)
    """Wall seconds of one command."""

    limits: Limits = Limits()


class BudgetLeft(Frozen):
    """What a session has left."""

    wall_seconds: float
    steps: int
    validations: int
