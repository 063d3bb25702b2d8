"""One bubblewrap process with its share of the machine and its end of the stream: started once, ended once.

Above: the bubblewrap backend composes its command line. Below: the process, the kernel's files. It
does not know what is said over the stream.
"""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Generator, Sequence

import anyio
from anyio import to_thread
from anyio.abc import SocketStream

from mlgym_mcp.sandbox.cgroup import Cgroup
from mlgym_mcp.sandbox.contract import SandboxSpec
from mlgym_mcp.sandbox.link import Link
from mlgym_mcp.sandbox.seccomp import seccomp_file, seccomp_program
from mlgym_mcp.sandbox.share import Share

_LEAVE_SECONDS = 1.0


class Cell:
    """One `bwrap` process and its share of the machine."""

    def __init__(self, spec: SandboxSpec, share: Share) -> None:
        self.spec = spec
        self.share = share
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = os.memfd_create("errors")
        program = seccomp_program(pinned=bool(share.processors))
        self.filter = None if program is None else seccomp_file(program)
        self._socket: socket.socket | None = None
        self._stream: SocketStream | None = None
        self._ending = anyio.Lock()
        self._ended = False
        self._said = ""

    def launch(self, argv: list[str]) -> None:
        """Start it, from this very thread: it dies with the thread that started it."""
        ours, theirs = socket.socketpair()
        self._socket = ours
        with theirs, _only_on(self.share.processors):
            self._process = subprocess.Popen(
                argv,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._errors,
                env=dict[str, str](),
                start_new_session=True,
                pass_fds=() if self.filter is None else (self.filter,),
            )

    async def link(self) -> Link:
        """The link to its supervisor."""
        assert self._socket is not None
        self._stream = await SocketStream.from_socket(self._socket)
        return Link(self._stream, self.spec.name)

    def said(self) -> str:
        """What it wrote to its standard error; nothing when all is well."""
        return self._said.strip()[-2000:]

    async def end(self) -> None:
        """End it and wait until nothing of it is left. Idempotent, bounded, never raises."""
        with anyio.CancelScope(shield=True):
            async with self._ending:
                if not self._ended:
                    self._ended = True
                    await self._leave()

    async def _leave(self) -> None:
        if self._stream is not None:
            # At the end of its input the supervisor ends, and with it every process inside.
            with anyio.move_on_after(_LEAVE_SECONDS):
                await self._stream.aclose()
        elif self._socket is not None:
            self._socket.close()
        if self._process is not None:
            await _wait(self._process)
        self._said = os.pread(self._errors, 4096, 0).decode(errors="replace")
        os.close(self._errors)
        if self.filter is not None:
            os.close(self.filter)
        if self.share.cgroup is not None:
            await to_thread.run_sync(_remove, self.share.cgroup)


@contextlib.contextmanager
def _only_on(processors: Sequence[int]) -> Generator[None]:
    """What this thread starts meanwhile may run on those processors alone, if there are any."""
    if not processors:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def _wait(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that is about to end, and help it."""
    ended = os.pidfd_open(process.pid)
    try:
        with anyio.move_on_after(_LEAVE_SECONDS):
            await anyio.wait_readable(ended)
            return
        process.kill()
        with anyio.move_on_after(_LEAVE_SECONDS):
            await anyio.wait_readable(ended)
    finally:
        os.close(ended)
        process.poll()


def _remove(cgroup: Cgroup) -> None:
    """Remove a group once the kernel has let go of the last process; a sweep finds it else."""
    for _attempt in range(100):
        if cgroup.remove():
            return
        time.sleep(0.01)
