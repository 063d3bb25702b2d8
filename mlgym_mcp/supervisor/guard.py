"""What the kernel is asked so that commands cannot touch the supervisor, nor escape it."""

import errno
import os
import resource

from mlgym_mcp.supervisor.filter import refuse_reserving
from mlgym_mcp.supervisor.lean import prctl, signal, suppress
from mlgym_mcp.supervisor.options import Options

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_RLIMIT_LOCKS = 10
_LIMIT_TRIES = 10_000


def protect_self() -> None:
    """Let nobody of the same user trace this process or open what it has open."""
    if prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise OSError("the kernel would let others trace the supervisor")
    # Caught rather than ignored: what is ignored stays so in a program that is started.
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, lambda _signal, _frame: None)
    adopt_orphans()
    refuse_reserving()


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ended."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def confine(pid: int, options: Options, mark: int) -> None:
    """Limit a bash that waits at its gate, and mark it and all that it will start.

    The mark is a limit that the kernel has not enforced since Linux 2.4.25, but still hands down
    from parent to child: it says whose a process is that left its parent and its session.

    Raises:
        OSError: It could not be limited; it must not run.
    """
    for what, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, options.open_files),
        (resource.RLIMIT_FSIZE, options.disk_bytes),
        (resource.RLIMIT_DATA, options.data_bytes),
        (resource.RLIMIT_NPROC, options.user_processes),
        (_RLIMIT_LOCKS, mark),
    ):
        if value is not None:
            hard = resource.getrlimit(what)[1]
            _limit(pid, what, value if hard == resource.RLIM_INFINITY else min(value, hard))


def narrow(pid: int, options: Options, size: int) -> None:
    """Let files that a bash and its descendants write to become so long at most."""
    with suppress(ProcessLookupError), CommandsUser(options):
        _limit(pid, resource.RLIMIT_FSIZE, min(size, options.disk_bytes))


def _limit(pid: int, what: int, value: int) -> None:
    """Until it is no longer the program that starts bash, a moment after that was started."""
    for _try in range(_LIMIT_TRIES):
        try:
            resource.prlimit(pid, what, (value, value))
        except PermissionError:
            os.sched_yield()
        else:
            return
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


class DoomedFirst:
    """What is started in the block is ended by the kernel before the supervisor is, for memory."""

    def __init__(self) -> None:
        self._fd = -1
        self._usual = b"0"

    def __enter__(self) -> None:
        with suppress(OSError):
            self._fd = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
            self._usual = os.read(self._fd, 16)
            os.pwrite(self._fd, b"500", 0)

    def __exit__(self, *_error: object) -> None:
        with suppress(OSError):
            os.pwrite(self._fd, self._usual, 0)
            os.close(self._fd)


class CommandsUser:
    """Be the commands' user altogether, so that what is started is; only root's name is kept.

    Nobody inside can use the moment: signals that would end the first process of a sandbox do not
    reach it from within, and tracing it needs that name as well.
    """

    def __init__(self, options: Options) -> None:
        self._ids = options.uid, options.gid

    def __enter__(self) -> None:
        uid, gid = self._ids
        if uid is not None and gid is not None:
            try:
                os.setgroups([])
                os.setresgid(gid, gid, 0)
                os.setresuid(uid, uid, 0)
            except OSError:
                self.__exit__()
                raise

    def __exit__(self, *_error: object) -> None:
        if None not in self._ids:
            os.setresuid(0, 0, 0)
            os.setresgid(0, 0, 0)


class RightsOf:
    """Touch files with the rights of the commands' user, not of root."""

    def __init__(self, options: Options) -> None:
        self._ids = options.uid, options.gid

    def __enter__(self) -> None:
        uid, gid = self._ids
        if uid is not None and gid is not None:
            os.setegid(gid)
            os.seteuid(uid)

    def __exit__(self, *_error: object) -> None:
        if None not in self._ids:
            os.seteuid(0)
            os.setegid(0)
