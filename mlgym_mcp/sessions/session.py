"""One session as this process holds it: its record, its sandbox, its running commands.

Above: every part of this floor works on it. It holds and does nothing; `registry` finds and
records, `sandboxes` opens, `commands` runs, `ending` ends.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio

from mlgym_mcp.sandbox.contract import Job, Sandbox, SandboxSpec
from mlgym_mcp.store import Entry
from mlgym_mcp.types.command import CommandResult, JobView
from mlgym_mcp.types.session import SessionRecord

_lock = partial(anyio.Lock, fast_acquire=True)
"""A free one is taken without a turn of the event loop, of which a step is made."""


@dataclass(eq=False)
class Running:
    """A command and everyone who waits for it."""

    job_id: str
    command: str
    started: float
    """On the monotonic clock."""

    request_id: str | None = None
    job: Job | None = None
    """Set once the sandbox has started it."""

    call: Entry | None = None
    """What begins its record, as long as that is not written."""

    recording: anyio.Lock = field(default_factory=_lock)
    """Held while something of it is written."""

    finished: anyio.Event = field(default_factory=anyio.Event)
    """Set once its end is recorded."""

    result: CommandResult | None = None
    lost: JobView | None = None
    """What is known of it when its sandbox died."""

    error: Exception | None = None
    """Why there is no result."""

    stopped: bool = False
    """Whether it was to be cancelled before it had started."""

    waiters: int = 0
    handed: bool = False
    """Whether somebody has its handle."""


@dataclass(eq=False)
class Session:
    """A session this process serves, or the record of one that is over."""

    record: SessionRecord
    sandbox: Sandbox | None = None
    spec: SandboxSpec | None = None
    """Made when its sandbox is first needed by this process."""

    adopted: bool = False
    """Whether an earlier process opened it, so that its sandbox may have outlived that one."""

    jobs: dict[str, Running] = field(default_factory=dict[str, Running])
    """Commands that run, and the latest that ended after their handle was given out."""

    requests: dict[str, Any] = field(default_factory=dict[str, Any])
    """Calls in progress that have a request id."""

    validating: int = 0
    """Validations that run now."""

    submitting: bool = False
    holding: anyio.Lock = field(default_factory=_lock)
    """Held while its sandbox is opened."""

    editing: anyio.Lock = field(default_factory=_lock)
    """Held while a file is read, changed and written."""

    ending: anyio.Lock = field(default_factory=_lock)
    """Held while it ends."""

    grading: anyio.Lock = field(default_factory=_lock)
    """Held while a submission is taken."""

    @property
    def id(self) -> str:
        """Its unguessable name."""
        return self.record.id

    def change(self, **fields: Any) -> None:
        """Replace fields of the record in memory."""
        self.record = self.record.model_copy(update=fields)
