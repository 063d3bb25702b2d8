"""What the kernel is asked so that commands cannot touch the supervisor, nor escape it."""

import contextlib
import ctypes
import os
import resource
import signal
from collections.abc import Generator

from mlgym_mcp.supervisor.options import Options

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_prctl = ctypes.CDLL(None).prctl


def protect_self() -> None:
    """Let nobody of the same user trace this process or open what it has open."""
    _prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    # Caught rather than ignored: what is ignored stays so in a program that is started.
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, lambda _signal, _frame: None)
    adopt_orphans()


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ended."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def confine_child(options: Options) -> None:
    """In a forked child: lower its limits, then its user."""
    for what, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, options.open_files),
        (resource.RLIMIT_FSIZE, options.disk_bytes),
        (resource.RLIMIT_AS, options.address_bytes),
        (resource.RLIMIT_NPROC, options.user_processes),
    ):
        if value is not None:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(what, (value, value))
    # The kernel ends a command before the supervisor when memory runs out.
    with contextlib.suppress(OSError):
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(fd, b"500")
        os.close(fd)
    if options.gid is not None:
        os.setgroups([])
        os.setresgid(options.gid, options.gid, options.gid)
    if options.uid is not None:
        os.setresuid(options.uid, options.uid, options.uid)


@contextlib.contextmanager
def rights_of(options: Options) -> Generator[None]:
    """Touch files with the rights of the commands' user, not of root."""
    if options.uid is None or options.gid is None:
        yield
        return
    os.setegid(options.gid)
    os.seteuid(options.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
