"""One command: from its start to its result."""

from __future__ import annotations

import os
import time

from mlgym_mcp.supervisor.ending import Ending
from mlgym_mcp.supervisor.lean import TYPE_CHECKING, signal
from mlgym_mcp.supervisor.loop import Timer
from mlgym_mcp.supervisor.output import Excerpt, excerpt, log_path, read_part, size_of
from mlgym_mcp.supervisor.processes import Process
from mlgym_mcp.supervisor.shell import Shell
from mlgym_mcp.supervisor.wire import Header

if TYPE_CHECKING:
    from collections.abc import Callable

_KEPT_SCRIPT = 2048
_LAST_WORDS = 2048


class Order:
    """What was asked for."""

    def __init__(self, header: Header, body: bytes) -> None:
        self.job = str(header["job"])
        self.timeout = float(str(header["timeout"]))
        self.output_bytes = int(str(header["output_bytes"]))
        self.keep_state = bool(header["keep_state"])
        cwd = header.get("cwd")
        self.cwd = None if cwd is None else str(cwd)
        variables = header.get("variables")
        self.variables: dict[str, str] = variables if isinstance(variables, dict) else {}
        self.script = body


class Job:
    """A command that runs or ran."""

    def __init__(self, order: Order, shell: Shell | None) -> None:
        self.order = order
        self.job = order.job
        self.shell: Shell | None = None
        self.pid = self.mark = 0
        if shell is not None:
            self.run_in(shell)
        self.stdin = b""
        self.starts = 0
        self.command = order.script[:_KEPT_SCRIPT].decode(errors="replace")
        self.path = log_path(order.job)
        self.timer: Timer | None = None
        self.ending: Ending | None = None
        self.status: int | None = None
        self.limits: list[str] = []
        self.finished: Header | None = None
        self.waiting: list[Callable[[], None]] = []
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since its start, or in all."""
        if self.finished is not None:
            return float(str(self.finished["seconds"]))
        return time.monotonic() - self._started

    def run_in(self, shell: Shell) -> None:
        """Let it run in that bash."""
        self.shell, self.pid, self.mark = shell, shell.pid, shell.mark

    def owns(self, process: Process) -> bool:
        """Whether it comes from this command."""
        return process.session == self.pid or process.mark() == self.mark

    def hit(self, limit: str) -> None:
        """Name a limit that bit."""
        if limit not in self.limits:
            self.limits.append(limit)

    def finish(self, cwd: str) -> None:
        """Fix the result, and tell who waits."""
        size = size_of(self.path)
        if size > self.order.output_bytes:
            self.hit("output")
        status = self.status or 0
        by_signal = os.WIFSIGNALED(status)
        self.finished = {
            "exit_code": None if by_signal else os.waitstatus_to_exitcode(status),
            "signal": os.WTERMSIG(status) if by_signal else None,
            "size": size,
            "seconds": round(self.seconds, 6),
            "cwd": cwd,
            "limits": self.limits,
        }
        self.order.script = self.stdin = b""
        waiting, self.waiting = self.waiting, []
        for tell in waiting:
            tell()

    def ran_out_of_file(self) -> bool:
        """Whether it, or its last command, was ended for writing too long a file."""
        status = self.status or 0
        if os.WIFSIGNALED(status):
            return os.WTERMSIG(status) == signal.SIGXFSZ
        return os.WEXITSTATUS(status) == 128 + signal.SIGXFSZ

    def last_words(self) -> bytes:
        """The end of the output."""
        size = size_of(self.path)
        return read_part(self.path, max(0, size - _LAST_WORDS), _LAST_WORDS)

    def result(self) -> tuple[Header, bytes]:
        """The result as it is sent: head and tail of the output behind it."""
        finished = self.finished or {}
        part: Excerpt = excerpt(self.path, int(str(finished["size"])), self.order.output_bytes)
        return finished | {"head": len(part.head)}, part.head + part.tail
