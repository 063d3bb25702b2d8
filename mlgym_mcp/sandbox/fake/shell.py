"""The fake's shell: runs a parsed script, with programs that are functions.

Above: the fake's jobs start one per command, in a thread of its own. Below: `words` cuts scripts,
`tree` finds files, `programs` are what can be called. It knows nothing of sessions or results.
"""

import io
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from mlgym_mcp.base.clock import Clock
from mlgym_mcp.base.errors import BadPath
from mlgym_mcp.sandbox.contract import WORKSPACE
from mlgym_mcp.sandbox.fake.tree import Place, Tree
from mlgym_mcp.sandbox.fake.words import BadSyntax, Simple, Step, Word, parse
from mlgym_mcp.types.command import LimitName

_TICK_SECONDS = 0.005
_OWN_PID = "2"


class Ended(Exception):
    """The script ends here: it called exit, or a signal came."""

    def __init__(self, code: int | None, signal: int | None = None) -> None:
        super().__init__(code, signal)
        self.code = code
        self.signal = signal


class Sink(Protocol):
    """Where output goes."""

    def write(self, data: bytes, /) -> object:
        """Take some output."""
        ...


@dataclass
class Call:
    """One call of a program."""

    shell: "Shell"
    words: list[str]
    """The program's name and its arguments."""

    stdin: bytes
    out: Sink
    err: Sink

    def complain(self, what: str, code: int = 1) -> int:
        """Say what is wrong, and return the exit status."""
        self.err.write(f"{self.words[0]}: {what}\n".encode())
        return code


Program = Callable[[Call], int]
"""Something a script can call; it returns an exit status."""


@dataclass
class State:
    """What lasts from one command to the next."""

    cwd: str = WORKSPACE
    variables: dict[str, str] = field(default_factory=dict[str, str])
    """Those a script exported or set; without the sandbox's own."""


@dataclass(frozen=True)
class World:
    """What the shells of one sandbox share."""

    tree: Tree
    clock: Clock
    programs: Mapping[str, Program]
    disk_bytes: int
    gone: threading.Event
    """Set when the sandbox is closed or killed."""


class Shell:
    """Runs one script."""

    def __init__(self, world: World, state: State, log: BinaryIO, deadline: float) -> None:
        self.world = world
        self.state = state
        self.stopped = threading.Event()
        """Set to end the script as a signal would."""

        self.reached = world.clock.monotonic()
        """The time that the script has come to, by its sleeps alone."""

        self.limits: list[LimitName] = []
        self._log = log
        self._deadline = deadline
        self._status = 0
        self._background: list[threading.Thread] = []

    def run(self, script: str, stdin: bytes = b"") -> tuple[int | None, int | None]:
        """Exit status or signal of the whole script."""
        try:
            steps = parse(script)
        except BadSyntax as error:
            self._log.write(f"bash: syntax error: {error}\n".encode())
            return 2, None
        try:
            self._run_steps(steps, stdin)
        except Ended as ended:
            return ended.code, ended.signal
        return self._status, None

    def end(self, limit: LimitName) -> None:
        """End it from outside, because of `limit`."""
        if limit not in self.limits:
            self.limits.append(limit)
        self.stopped.set()

    def sleep(self, seconds: float) -> None:
        """Wait until the sandbox's clock is `seconds` past the time that the script has come to.

        So it ends at one time, whether a clock was moved before its thread came here or after.
        """
        self.reached += seconds
        while (left := self.reached - self.world.clock.monotonic()) > 0:
            self.check()
            self.stopped.wait(min(left, _TICK_SECONDS))
        self.check()

    def check(self) -> None:
        """Go on, unless the script was ended or its time is over."""
        if self.world.clock.monotonic() >= self._deadline and not self.stopped.is_set():
            self.end("time")
        if self.stopped.is_set() or self.world.gone.is_set():
            raise Ended(None, 15)

    def find(self, path: str) -> Place:
        """Where a path leads from the working directory."""
        return self.world.tree.find(path, self.state.cwd)

    def write(self, place: Place, data: bytes, *, append: bool) -> None:
        """Write a file, within the limit of disk.

        Raises:
            OSError: It cannot be written.
        """
        if not place.writable:
            raise OSError(30, "Read-only file system")
        if self.world.tree.used() + len(data) > self.world.disk_bytes:
            if "disk" not in self.limits:
                self.limits.append("disk")
            raise OSError(28, "No space left on device")
        with place.host.open("ab" if append else "wb") as file:
            file.write(data)

    def _run_steps(self, steps: list[Step], stdin: bytes) -> None:
        go = True
        for step in steps:
            self.check()
            if go and step.then == "&":
                self._in_background(step, stdin)
            elif go:
                self._status = self._run_pipeline(step.pipeline, stdin)
            wanted = {"&&": self._status == 0, "||": self._status != 0}
            go = wanted.get(step.then, True)

    def _in_background(self, step: Step, stdin: bytes) -> None:
        state = State(self.state.cwd, dict(self.state.variables))
        child = Shell(self.world, state, self._log, float("inf"))
        child.stopped, child.reached = self.stopped, self.reached

        def work() -> None:
            try:
                child._run_pipeline(step.pipeline, stdin)
            except Ended:
                return

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._status = 0

    def _run_pipeline(self, pipeline: list[Simple], stdin: bytes) -> int:
        status = 0
        for simple in pipeline[:-1]:
            pipe = io.BytesIO()
            self._run_simple(simple, stdin, pipe)
            stdin = pipe.getvalue()
        status = self._run_simple(pipeline[-1], stdin, self._log)
        self.check()
        return status

    def _run_simple(self, simple: Simple, stdin: bytes, out: Sink) -> int:
        words = [text for word in simple.words for text in self._expand(word)]
        files = _Files(self, stdin, out, self._log)
        try:
            for operator, target in simple.redirections:
                files.redirect(operator, "".join(self._expand(target)), target)
            set_here = _assignments(words)
            if len(set_here) == len(words):
                self.state.variables |= set_here
                return 0
            return self._call(words[len(set_here) :], set_here, files)
        except (OSError, BadPath) as error:
            reason = error.strerror if isinstance(error, OSError) else error.message
            self._log.write(f"bash: {reason}\n".encode())
            return 1

    def _call(self, words: list[str], set_here: dict[str, str], files: "_Files") -> int:
        program = self.world.programs.get(words[0].rsplit("/", 1)[-1])
        if program is None:
            self._log.write(f"bash: {words[0]}: command not found\n".encode())
            return 127
        before = dict(self.state.variables)
        self.state.variables |= set_here
        try:
            return program(Call(self, words, files.stdin, files.out, files.err))
        except (OSError, BadPath) as error:
            reason = error.strerror if isinstance(error, OSError) else error.message
            files.err.write(f"{words[0]}: {reason}\n".encode())
            return 1
        finally:
            files.finish()
            if set_here:
                self.state.variables = before

    def _expand(self, word: Word) -> list[str]:
        texts = [""]
        quoted = not word
        for piece in word:
            text = piece.text
            if piece.kind == "variable":
                text = self._variable(piece.text) or piece.default
            elif piece.kind == "command":
                text = self._substitute(piece.text)
            quoted = quoted or piece.quoted or piece.kind == "text"
            if piece.kind in ("variable", "command") and not piece.quoted:
                first, *others = text.split() or [""]
                texts[-1] += first
                texts += others
            else:
                texts[-1] += text
        return texts if quoted or any(texts) else []

    def _variable(self, name: str) -> str:
        special = {"?": str(self._status), "$": _OWN_PID, "PWD": self.state.cwd, "!": "3"}
        return special.get(name, self.state.variables.get(name, ""))

    def _substitute(self, script: str) -> str:
        output = io.BytesIO()
        state = State(self.state.cwd, dict(self.state.variables))
        child = Shell(self.world, state, output, self._deadline)
        child.stopped, child.reached = self.stopped, self.reached
        self._status = child.run(script)[0] or 0
        self.reached = child.reached
        self.check()
        return output.getvalue().decode(errors="replace").rstrip("\n")


class _Files:
    """Standard input, output and error of one command."""

    def __init__(self, shell: Shell, stdin: bytes, out: Sink, err: Sink) -> None:
        self._shell = shell
        self.stdin = stdin
        self.out = out
        self.err = err
        self._written: list[tuple[Place, io.BytesIO]] = []

    def redirect(self, operator: str, target: str, word: Word) -> None:
        """Apply one redirection."""
        if operator == "2>&1":
            self.err = self.out
        elif operator == ">&2":
            self.out = self.err
        elif operator == "<":
            here = bool(word) and word[0].kind == "here"
            self.stdin = target.encode() if here else self._read(target)
        else:
            sink = self._open(target, append=operator.endswith(">>"))
            if not operator.startswith("2"):
                self.out = sink
            if operator[0] in "2&":
                self.err = sink

    def finish(self) -> None:
        """Put what was written into its files."""
        for place, buffer in self._written:
            self._shell.write(place, buffer.getvalue(), append=True)

    def _read(self, target: str) -> bytes:
        if target in ("/dev/null", "/dev/zero"):
            return b""
        return self._shell.find(target).host.read_bytes()

    def _open(self, target: str, *, append: bool) -> Sink:
        buffer = io.BytesIO()
        if target != "/dev/null":
            place = self._shell.find(target)
            if not append or not place.host.exists():
                self._shell.write(place, b"", append=False)
            self._written.append((place, buffer))
        return buffer


def _assignments(words: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            break
        found[name] = value
    return found


def host_of(call: Call, path: str) -> Path:
    """The host's path of an argument."""
    return call.shell.find(path).host
