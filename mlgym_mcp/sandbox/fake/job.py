"""A command of a fake sandbox: a thread that interprets it, and a file it writes to."""

import threading

from anyio import CapacityLimiter, get_cancelled_exc_class, to_thread

from mlgym_mcp.base.clock import Clock, SystemClock
from mlgym_mcp.base.errors import SandboxDead
from mlgym_mcp.sandbox.contract import Command, Job, SandboxSpec
from mlgym_mcp.sandbox.failure import result_of
from mlgym_mcp.sandbox.fake.shell import Shell, State, World
from mlgym_mcp.types.command import CommandResult, JobView

WAITERS = CapacityLimiter(1000)
"""Threads that wait for fakes; apart from those that work."""

_SLICE_SECONDS = 0.05
_MANUAL_SLICE_SECONDS = 0.002


class FakeJob(Job):
    """A command that runs in its own thread."""

    def __init__(self, job_id: str, command: Command, spec: SandboxSpec, world: World) -> None:
        self.job_id = job_id
        self.command = command
        self._spec = spec
        self._world = world
        self._log_path = spec.outputs / f"{job_id}.log"
        self._started = world.clock.monotonic()
        self._done = threading.Event()
        self._result: CommandResult | None = None
        self._log = self._log_path.open("xb", buffering=0)
        deadline = self._started + command.timeout_seconds
        self._shell = Shell(world, State(), self._log, deadline)

    def begin(self, state: State, leave: "Leave") -> None:
        """Run it from `state` on; `leave` is told the state it ended in."""
        self._shell.state = state
        threading.Thread(target=self._work, args=(leave,), daemon=True).start()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return not self._done.is_set()

    async def wait(self, seconds: float) -> CommandResult | None:
        """Wait up to `seconds` of the sandbox's clock."""
        stop = threading.Event()
        try:
            await to_thread.run_sync(
                _wait,
                self._done,
                stop,
                self._world,
                seconds,
                abandon_on_cancel=True,
                limiter=WAITERS,
            )
        except get_cancelled_exc_class():
            stop.set()
            raise
        return self._finished()

    async def look(self, cursor: int = 0, max_bytes: int = 32_768) -> JobView:
        """State, and output from `cursor` on."""
        result = self._finished()
        size = await to_thread.run_sync(lambda: self._log_path.stat().st_size)
        start = max(0, size + cursor) if cursor < 0 else min(cursor, size)
        data = await to_thread.run_sync(self._read, start, max_bytes)
        seconds = result.seconds if result else self._world.clock.monotonic() - self._started
        return JobView(
            job_id=self.job_id,
            state="running" if result is None else "finished",
            command=self.command.script[:2048],
            seconds=seconds,
            output=data.decode(errors="replace"),
            cursor=start + len(data),
            result=result,
        )

    async def cancel(self) -> CommandResult:
        """End it."""
        if self.running:
            self._shell.end("cancelled")
        result = await self.wait(float("inf"))
        assert result is not None
        return result

    def stop(self) -> None:
        """End it without waiting, because nobody wants its result any more."""
        self._shell.end("cancelled")

    def _finished(self) -> CommandResult | None:
        if self._result is None and self._world.gone.is_set():
            raise dead(self._spec)
        return self._result

    def _work(self, leave: "Leave") -> None:
        code, signal = self._shell.run(self.command.script, self.command.stdin)
        self._log.close()
        if code is not None and self.command.keep_state:
            leave(self._shell.state)
        if not self._world.gone.is_set():
            self._result = self._as_result(code, signal)
        self._done.set()

    def _as_result(self, code: int | None, signal: int | None) -> CommandResult:
        size = self._log_path.stat().st_size
        most = self.command.output_bytes or self._spec.limits.output_bytes
        head, limits = self._read(0, size), list(self._shell.limits)
        tail = b""
        if size > most:
            head, tail = head[: most - most // 2], head[size - most // 2 :]
            limits.append("output")
        said = {
            "exit_code": code,
            "signal": signal,
            "size": size,
            "seconds": self._world.clock.monotonic() - self._started,
            "cwd": self._shell.state.cwd,
            "limits": limits,
            "head": len(head),
        }
        return result_of(self.job_id, said, head + tail)

    def _read(self, start: int, most: int) -> bytes:
        with self._log_path.open("rb") as file:
            file.seek(start)
            return file.read(most)


class Leave:
    """Keeps the state that the last finished command left."""

    def __init__(self) -> None:
        self.state = State()

    def __call__(self, state: State) -> None:
        """Keep `state`."""
        self.state = state


def dead(spec: SandboxSpec) -> SandboxDead:
    """The error of a sandbox that is closed or was killed."""
    return SandboxDead(
        f"Sandbox '{spec.name}' is dead: it was closed or killed.",
        fix="The workspace is kept; the next call opens a new sandbox on it.",
    )


def _wait(done: threading.Event, stop: threading.Event, world: World, seconds: float) -> None:
    clock: Clock = world.clock
    tick = _SLICE_SECONDS if isinstance(clock, SystemClock) else _MANUAL_SLICE_SECONDS
    until = clock.monotonic() + seconds
    # A dead sandbox's thread may be deep in a program: it is not waited for.
    while not (done.is_set() or stop.is_set() or world.gone.is_set()):
        left = until - clock.monotonic()
        if left <= 0:
            return
        done.wait(min(left, tick))
