"""What a sandbox is, whichever engine makes it.

Above: scoring and sessions open sandboxes and run commands in them. Below: a backend per engine.
A failed command is a `CommandResult`; a dead sandbox is `SandboxDead`. A sandbox does not know
tasks, sessions, budgets or scores: it is given folders, limits and commands.

Inside every sandbox the workspace is `/workspace`, kept outputs are `/outputs`, and `PATH` starts
with the environment's own `bin`, so that `python` is the environment's Python.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlgym_mcp.types.budget import Limits
from mlgym_mcp.types.command import CommandResult, JobView
from mlgym_mcp.types.files import Listing
from mlgym_mcp.types.finding import Finding

WORKSPACE = "/workspace"
OUTPUTS = "/outputs"

Report = Callable[[str, float | None], None]
"""Progress of long work: what is being done, and the share done (0 to 1) when it is known."""


def silent(_what: str, _share: float | None) -> None:
    """A `Report` for callers who show nothing."""


@dataclass(frozen=True)
class Mount:
    """A host folder or file seen inside the sandbox."""

    source: Path
    """An absolute host path that exists."""

    target: str
    """An absolute path in the sandbox."""

    writable: bool = False


@dataclass(frozen=True)
class SandboxSpec:
    """Everything a backend needs to open one sandbox."""

    name: str
    """Unique and stable: lowercase letters, digits and dashes. A session's id, or a grading's."""

    environment: str
    """The environment whose Python and libraries it has."""

    workspace: Path
    """The host folder mounted writable at /workspace."""

    outputs: Path
    """The host folder mounted at /outputs, where whole outputs of commands are kept."""

    mounts: tuple[Mount, ...] = ()
    """Further mounts, in order; a target under /workspace is allowed."""

    limits: Limits = field(default_factory=Limits)
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """Environment variables of every command."""

    survives: bool = False
    """Whether it should outlive this process where the engine can (Docker); sessions do,
    judges and players do not."""


@dataclass(frozen=True)
class Command:
    """One command to run."""

    script: str
    """Read by a fresh `bash`."""

    timeout_seconds: float = 60.0
    """Wall seconds, then SIGTERM to the whole tree, 2 s, SIGKILL."""

    cwd: str | None = None
    """Instead of where the last command left off."""

    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """Set for this command alone."""

    stdin: bytes = b""
    output_bytes: int | None = None
    """Instead of the sandbox's limit."""

    keep_state: bool = True
    """Whether directory, variables, functions and options carry over from and to others."""

    job_id: str | None = None
    """The handle to give it; a fresh one when not set."""


@dataclass(frozen=True)
class Usage:
    """What a sandbox uses now."""

    memory_bytes: int
    processes: int
    disk_bytes: int
    cpu_seconds: float


class Job(ABC):
    """A started command. It ends by itself, by its time-out, by `cancel`, or with its sandbox."""

    job_id: str

    @abstractmethod
    async def wait(self, seconds: float) -> CommandResult | None:
        """Wait up to `seconds`; None while it still runs.

        Raises:
            SandboxDead: The sandbox died before the command ended.
        """

    @abstractmethod
    async def look(self, cursor: int = 0, max_bytes: int = 32_768) -> JobView:
        """State and output from byte `cursor` on; a negative cursor counts from the end."""

    @abstractmethod
    async def cancel(self) -> CommandResult:
        """End its whole process tree; the result names the limit `cancelled`.

        Cancelling a finished job returns its result.
        """


class Sandbox(ABC):
    """An isolated place to run commands and keep files."""

    spec: SandboxSpec

    @property
    @abstractmethod
    def alive(self) -> bool:
        """False once it is known to be dead or closed; no call is made to find out."""

    @abstractmethod
    async def run(self, command: Command) -> CommandResult:
        """Run to the end. Being cancelled ends the command in the sandbox too."""

    @abstractmethod
    async def start(self, command: Command) -> Job:
        """Start without waiting."""

    @abstractmethod
    async def job(self, job_id: str) -> Job | None:
        """A job started earlier, perhaps by an earlier process of this server."""

    @abstractmethod
    async def read_file(self, path: str, max_bytes: int = 64 * 2**20) -> bytes:
        """The whole file. Relative paths start at /workspace.

        Raises:
            NotFound: Nothing is there.
            BadPath: It leaves the workspace, its data or outputs (by `..` or a link), is a
                folder, a device or a pipe, may not be read, or is longer than `max_bytes`.
        """

    @abstractmethod
    async def write_file(self, path: str, data: bytes) -> None:
        """Create or replace a file under /workspace, with its folders, at once or not at all."""

    @abstractmethod
    async def list_files(self, path: str = ".", depth: int = 1, limit: int = 1000) -> Listing:
        """Entries below a folder, in path order; links are listed, never followed."""

    @abstractmethod
    async def usage(self) -> Usage:
        """What it uses now."""

    @abstractmethod
    async def close(self) -> None:
        """End every process and free what it holds. Idempotent, bounded, and never raises."""


class Backend(ABC):
    """An engine that opens sandboxes."""

    name: str

    @abstractmethod
    async def prepare(self, environment: str, report: Report = silent) -> None:
        """Make an environment ready (build its image or virtual environment), once.

        Raises:
            EngineMissing: The engine, or the environment's folder, is not there.
            SandboxError: The build failed; the message ends with its last lines.
        """

    @abstractmethod
    async def open(self, spec: SandboxSpec) -> Sandbox:
        """Open a sandbox; prepares its environment if that was not done.

        Raises:
            EngineMissing: The engine is not there; the fix says which command installs it.
            SandboxError: The engine refused.
        """

    @abstractmethod
    async def attach(self, spec: SandboxSpec) -> Sandbox | None:
        """The sandbox of that name an earlier process left running, or None."""

    @abstractmethod
    async def sweep(self, keep: frozenset[str]) -> int:
        """Remove sandboxes of this home that no name in `keep` claims; how many were removed."""

    @abstractmethod
    async def check(self) -> list[Finding]:
        """What `doctor` says of this engine here."""

    @abstractmethod
    async def close(self) -> None:
        """Close every sandbox that does not survive. Idempotent and bounded."""
