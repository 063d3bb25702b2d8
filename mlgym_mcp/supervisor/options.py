"""What a supervisor is told when it starts, as one JSON object on its command line.

Plain classes here and elsewhere in this package: importing `dataclasses` or `typing` would cost
more than all of its own code.
"""

from mlgym_mcp.supervisor.lean import loads


class Options:
    """Limits and identity of the commands it will start."""

    uid: int | None = None
    """Commands run as this user (the supervisor is root then); None: as the supervisor itself."""

    gid: int | None = None

    variables: dict[str, str]
    """Environment of the first command; later ones inherit from what the earlier left."""

    output_bytes: int = 32_768
    open_files: int = 4096
    disk_bytes: int = 8 * 2**30
    memory_bytes: int | None = None
    """Memory of all processes together, where no cgroup holds it; else None."""

    data_bytes: int | None = None
    """What one process may reserve of it; None beside a cgroup."""

    processes: int | None = None
    """Processes and threads, the supervisor's and waiting ones too, where no cgroup counts them."""

    user_processes: int | None = None
    """The same for the kernel to hold, where it can; else None."""

    not_counted: tuple[str, ...] = ()
    """Folders below the workspace that are not the session's own, such as mounted data."""

    outside_only: bool = False
    """Accept only peers from outside this process-id namespace (listening mode)."""

    def __init__(self) -> None:
        self.variables = {}


def parse_options(text: str) -> Options:
    """Read the command line's JSON."""
    options = Options()
    vars(options).update(loads(text))
    return options
