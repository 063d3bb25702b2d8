"""All commands of the sandbox: starting, waiting, time-outs, ending, reaping.

Keeps a bash or two ready at the gate with the latest state, so that a command does not wait for a
process to start.
"""

import os
import time

from mlgym_mcp.supervisor.disk import FULL_BYTES, Disk
from mlgym_mcp.supervisor.ending import Ending
from mlgym_mcp.supervisor.guard import narrow
from mlgym_mcp.supervisor.job import Job, Order
from mlgym_mcp.supervisor.lean import suppress
from mlgym_mcp.supervisor.loop import Loop
from mlgym_mcp.supervisor.options import Options
from mlgym_mcp.supervisor.output import FOLDER, log_path
from mlgym_mcp.supervisor.processes import Process, table
from mlgym_mcp.supervisor.shell import Shell
from mlgym_mcp.supervisor.state import State, script_text
from mlgym_mcp.supervisor.watchman import Watchman

_CLOSE_SECONDS = 0.1
"""Commands this close to each other have two shells kept waiting for those that follow: the next
takes one while the one after it still starts. Others have one, as the first has."""

_MOST_STARTS = 5
_MAKE_ROOM_SECONDS = 0.2
_REMEMBERED = 1000
_NO_MEMORY = (b"MemoryError", b"Cannot allocate memory", b"bad_alloc", b"out of memory")
_NO_PROCESS = (b"Resource temporarily unavailable", b"can't start new thread")
_CANNOT_START = 126 << 8


class Jobs:
    """The table of commands."""

    def __init__(self, loop: Loop, options: Options) -> None:
        self._loop = loop
        self._options = options
        self._jobs: dict[str, Job] = {}
        self._running: dict[int, Job] = {}
        self._state: State | None = None
        self._cwd = "/workspace"
        self._ready: list[Shell] = []
        self._wanted = 1
        self._ended = float("-inf")
        self._watchman = Watchman(loop, options, self._running)
        self._kills, self._refused = self._watchman.counted()
        self.disk = Disk(loop, options, self._any_lives, self._disk_full)
        loop.later(0, self._prepare)

    def get(self, job: str) -> Job | None:
        """The job of that name."""
        return self._jobs.get(job)

    def start(self, order: Order, stdin: bytes) -> Job:
        """Start a command."""
        close = self._running or time.monotonic() < self._ended + _CLOSE_SECONDS
        self._wanted = 2 if close else 1
        self.disk.settle()
        try:
            shell = self._take_shell(order)
        except OSError as error:
            return self._refuse(order, error)
        job = Job(order, shell)
        self._jobs[job.job] = job
        self._open_gate(job, shell, stdin)
        job.timer = self._loop.later(order.timeout, lambda: self.end(job, "time"))
        self.disk.watch()
        self._watchman.watch()
        return job

    def _open_gate(self, job: Job, shell: Shell, stdin: bytes) -> None:
        with suppress(FileNotFoundError):
            os.rename(shell.log_path, job.path)
        self._running[job.pid] = job
        if self.disk.full:
            narrow(job.pid, self._options, FULL_BYTES)
        before = script_text(shell.state, job.order.cwd, job.order.variables)
        shell.open_gate(before + job.order.script, stdin)
        job.stdin = stdin
        job.starts += 1

    def _start_again(self, job: Job) -> bool:
        """Give a command another bash when the first was killed before it read a word of it.

        So it goes when an earlier command sends a signal to all there are.
        """
        if job.shell is None or job.ending or not os.WIFSIGNALED(job.status or 0):
            return False
        if not job.shell.idle() or job.starts == _MOST_STARTS:
            return False
        try:
            shell = self._new_shell(job.shell.state)
        except OSError:
            return False
        del self._running[job.pid]
        job.shell.drop()
        job.run_in(shell)
        job.status = None
        self._open_gate(job, shell, job.stdin)
        return True

    def end(self, job: Job, limit: str) -> None:
        """End its whole tree, because of `limit`."""
        if job.finished is not None:
            return
        job.hit(limit)
        if job.ending is None:
            job.ending = Ending(self._loop, job.owns, lambda: self._tree_gone(job))

    def reap(self) -> None:
        """Take note of every child that ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                # to the first process of a sandbox comes whoever lost its parent
                if os.getpid() == 1:
                    self.disk.rest()
                return
            if pid == 0:
                return
            job = self._running.get(pid)
            if job is not None:
                job.status = status
                if job.ending is not None:
                    job.ending.look()
                elif not self._start_again(job):
                    self._finish(job)
            else:
                self._drop_ready([shell for shell in self._ready if shell.pid == pid])

    def _tree_gone(self, job: Job) -> None:
        if job.status is None:
            self.reap()
        self._finish(job)

    def _finish(self, job: Job) -> None:
        if self._running.pop(job.pid, None) is None:
            return
        if job.timer is not None:
            job.timer.cancel()
        self._note_limits(job)
        state = job.shell.left() if job.shell else None
        if job.shell is not None:
            job.shell.drop()
            job.shell = None
        if state is not None and job.order.keep_state:
            self._cwd = state.cwd
            if not state.same(self._state):
                self._state = state
        job.finish(state.cwd if state else self._cwd)
        self._forget_old()
        self._ended = time.monotonic()
        self._loop.later(0, self._prepare)

    def _note_limits(self, job: Job) -> None:
        kills, refused = self._watchman.counted()
        if kills > self._kills:
            job.hit("memory")
        if refused > self._refused:
            job.hit("processes")
            if "time" in job.limits and self._watchman.crowded():
                self._make_room()
        self._kills, self._refused = kills, refused
        if job.status and self._options.memory_bytes is not None:
            self._note_said(job)
        if job.ran_out_of_file():
            job.hit("disk")
        elif job.status and not job.limits and self.disk.full:
            self.disk.count()
            if self.disk.full:
                job.hit("disk")

    def _note_said(self, job: Job) -> None:
        """Without control groups nobody counts: what a command's last words say must do."""
        last = job.last_words()
        if any(word in last for word in _NO_MEMORY):
            job.hit("memory")
        if any(word in last for word in _NO_PROCESS):
            job.hit("processes")

    def _take_shell(self, order: Order) -> Shell:
        state = self._state if order.keep_state else None
        for shell in self._ready:
            if shell.fits(state):
                self._ready.remove(shell)
                return shell
        return self._new_shell(state)

    def _new_shell(self, state: State | None) -> Shell:
        return Shell(self._options, state, f"{FOLDER}/.next-{os.urandom(6).hex()}")

    def _prepare(self) -> None:
        self._drop_ready([shell for shell in self._ready if not shell.fits(self._state)])
        if len(self._ready) < self._wanted:
            with suppress(OSError):
                self._ready.append(self._new_shell(self._state))
                if len(self._ready) < self._wanted:
                    self._loop.later(0, self._prepare)

    def _make_room(self) -> None:
        """End what earlier commands left running: it leaves no room for others to work."""
        self._loop.later(_MAKE_ROOM_SECONDS, self._prepare)
        Ending(self._loop, self._left_over, lambda: None, grace=0)

    def _left_over(self, process: Process) -> bool:
        mark = process.mark()
        in_use = {shell.mark for shell in self._ready}
        return mark is not None and mark not in in_use and not self._owned(process)

    def _any_lives(self) -> bool:
        """Whether a command runs, or anything that an earlier one left running."""
        ours = {os.getpid(), *(shell.pid for shell in self._ready)}
        return bool(self._running) or any(
            process.alive and self._left_over(process) for process in table(without=ours).values()
        )

    def _owned(self, process: Process) -> bool:
        return any(job.owns(process) for job in self._running.values())

    def _drop_ready(self, shells: list[Shell]) -> None:
        for shell in shells:
            with suppress(OSError):
                os.unlink(shell.log_path)
            shell.drop()
            self._ready.remove(shell)

    def _refuse(self, order: Order, error: OSError) -> Job:
        """A command that cannot start is a failed command."""
        job = Job(order, None)
        self._jobs[job.job] = job
        job.status = _CANNOT_START
        if error.filename:
            job.hit("disk")
        else:
            job.hit("processes")
            self._make_room()
        with suppress(OSError):
            fd = os.open(log_path(job.job), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            os.write(fd, f"cannot start: {error.strerror}\n".encode())
            os.close(fd)
        job.finish(self._cwd)
        return job

    def _forget_old(self) -> None:
        if len(self._jobs) > _REMEMBERED:
            oldest = next(iter(self._jobs))
            if self._jobs[oldest].finished is not None:
                del self._jobs[oldest]

    def _disk_full(self) -> None:
        for job in list(self._running.values()):
            self.end(job, "disk")
        Ending(self._loop, self._left_over, lambda: None, grace=0)
