"""One fresh bash, started ahead of its command and waiting at a gate.

While it waits it has already restored what earlier commands left: directory, variables, functions
and options. Opening the gate makes it run one script, and at its exit it writes the state it
leaves to a private descriptor. Nothing of this passes through its output.
"""

import fcntl
import os
from itertools import count

from mlgym_mcp.supervisor.guard import CommandsUser, DoomedFirst, confine
from mlgym_mcp.supervisor.lean import signal, suppress
from mlgym_mcp.supervisor.options import Options
from mlgym_mcp.supervisor.state import RESTORE_FD, STATE_FD, State, read_state, restore_text

STDIN_FD = 58
GATE_FD = 59
SCRIPT_FD = 62

_GIVEN = range(STDIN_FD, SCRIPT_FD + 1)
_marks = count(1)

_WAIT = (
    f". /proc/self/fd/{RESTORE_FD} 2>/dev/null; "
    f"read -r -u {GATE_FD} || exit; mapfile -d '' -t __mlgym_script <&{SCRIPT_FD}; "
    f"exec {RESTORE_FD}<&- {GATE_FD}<&- {SCRIPT_FD}<&-; "
    'eval "unset __mlgym_script REPLY; ${__mlgym_script[0]}"; { __mlgym_end $?; } 2>/dev/null; exit'
)

_BASH = "/bin/bash"
_ARGV = ["bash", "--noprofile", "--norc", "-c", _WAIT]
_NO_INPUT = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)


class Shell:
    """A started bash. Its output goes to the file `log_path`."""

    def __init__(self, options: Options, state: State | None, log_path: str) -> None:
        self.state = state
        self._place = state.place() if state else None
        self.log_path = log_path
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self.log_fd = os.open(log_path, flags, 0o644)
        self._left_fd = os.memfd_create("state")
        self._script_fd = os.memfd_create("script")
        self._stdin_fd = os.memfd_create("stdin")
        self.mark = next(_marks)
        gate, self._gate_fd = os.pipe2(os.O_CLOEXEC)
        restore = os.memfd_create("restore")
        os.write(restore, restore_text(state))
        given = {
            STATE_FD: self._left_fd,
            RESTORE_FD: restore,
            GATE_FD: gate,
            SCRIPT_FD: self._script_fd,
            STDIN_FD: self._stdin_fd,
            1: self.log_fd,
            2: self.log_fd,
        }
        try:
            variables = state.variables if state else options.variables
            self.pid = _spawn(options, variables, given, self.mark)
        except OSError:
            self.drop()
            raise
        finally:
            os.close(gate)
            os.close(restore)

    def fits(self, state: State | None) -> bool:
        """Whether it has restored `state`, in a directory that is still there."""
        return self.state is state and (state is None or state.place() == self._place)

    def open_gate(self, script: bytes, stdin: bytes) -> None:
        """Let it run `script`."""
        if stdin:
            _write_all(self._stdin_fd, stdin)
            script = f"exec </proc/self/fd/{STDIN_FD} {STDIN_FD}<&-;".encode() + script
        else:
            script = f"exec {STDIN_FD}<&-;".encode() + script
        _write_all(self._script_fd, script)
        os.lseek(self._script_fd, 0, os.SEEK_SET)
        with suppress(BrokenPipeError):
            os.write(self._gate_fd, b"\n")
        for fd in (self._stdin_fd, self._gate_fd):
            os.close(fd)
        self._stdin_fd = self._gate_fd = -1

    def idle(self) -> bool:
        """Whether it has not read its script: the place in that file is its and ours together."""
        return os.lseek(self._script_fd, 0, os.SEEK_CUR) == 0

    def left(self) -> State | None:
        """The state it left behind, once it has ended; None when it could not say."""
        return read_state(self._left_fd)

    def drop(self) -> None:
        """Close what is held of it; one still at the gate then ends by itself."""
        for fd in (self._script_fd, self._stdin_fd, self._gate_fd, self._left_fd, self.log_fd):
            if fd >= 0:
                os.close(fd)
        self._script_fd = self._stdin_fd = self._gate_fd = self._left_fd = self.log_fd = -1


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _spawn(
    options: Options,
    variables: dict[str, str] | dict[bytes, bytes],
    given: dict[int, int],
    mark: int,
) -> int:
    """Start bash with those descriptors.

    Not by `fork`: copying an interpreter's memory costs more than the whole command. What has to
    be said of the new process is said from here, while it waits at the gate.
    """
    # Out of the way of every number given, so that no dup2 overwrites a source of the next.
    raised = {fd: _raised(fd) for fd in given.values() if fd in _GIVEN}
    actions = [_NO_INPUT]
    actions += [(os.POSIX_SPAWN_DUP2, raised.get(fd, fd), to) for to, fd in given.items()]
    try:
        with DoomedFirst(), CommandsUser(options):
            pid = os.posix_spawn(_BASH, _ARGV, variables, file_actions=actions, setsid=True)
            try:
                confine(pid, options, mark)
            except OSError:
                os.kill(pid, signal.SIGKILL)
                raise
        return pid
    finally:
        for fd in raised.values():
            os.close(fd)


def _raised(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _GIVEN.stop)
