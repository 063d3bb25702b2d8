"""The judge's end of the channel: calls into the player, every answer checked.

Above: a task's judge calls `player.call("name", ...)` and gets plain values; one that needs arrays
goes through `harness.arrays`. Below: one Unix socket. Whatever the player does (raise, hang, die,
talk nonsense) ends the grading with a label.
"""

import contextlib
import socket
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from . import failure
from .channel import Channel, Late, Overlong
from .frames import (
    MAX_ANSWER_BYTES,
    MAX_RAW_FRAME_BYTES,
    decode,
    decode_raw,
    encode,
    encode_head,
)
from .verdict import PLAYER_ENDED, Label, Verdict, invalid, tampered

_LOAD_CALLS = 10.0
"""Loading the submission may take as long as this many calls."""


class Listener:
    """The socket a player connects to, bound before the judge's own slow imports."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(path)
        # the player runs under another user id in Docker
        self._path.chmod(0o666)
        self._socket.listen(1)

    def accept(self, seconds: float) -> socket.socket:
        """The player's connection; there is only one, and the door closes behind it.

        Raises:
            TimeoutError: No player came; its sandbox failed, not the submission.
        """
        self._socket.settimeout(seconds)
        connection, _ = self._socket.accept()
        self.close()
        self._path.unlink()
        return connection

    def close(self) -> None:
        """Let nobody in any more."""
        self._socket.close()


class Player:
    """Submitted code in another sandbox, called by number and name.

    What it says of itself when it fails could carry anything that it was sent. So a failure is told
    in full until something hidden was sent, and from then on in few words (`harness.failure`); the
    operator has the rest.
    """

    def __init__(
        self,
        connection: socket.socket,
        call_seconds: float,
        deadline: float,
        submitted: Path | None = None,
    ) -> None:
        self.calls = 0
        """So far, rehearsals left out."""

        self._number = 0
        self._channel = Channel(connection)
        self._call_seconds = call_seconds
        self._deadline = deadline
        self._submitted = submitted
        self._what = ""
        self._open = True
        self._rehearsing = False

    def load(self, seed: int) -> None:
        """Have the submission loaded; its own randomness starts from `seed`."""
        self._what = "loading the submission"
        self._exchange(["load", seed], _LOAD_CALLS * self._call_seconds)

    @contextlib.contextmanager
    def rehearsal(self) -> Generator[None]:
        """Calls in this block send nothing hidden: what fails in it is told in full.

        Raises:
            RuntimeError: Something hidden may have been sent before; the judge is at fault.
        """
        if not self._open:
            raise RuntimeError("a rehearsal comes before every other call")
        self._rehearsing = True
        try:
            yield
        finally:
            self._rehearsing = False

    def call(self, name: str, *args: Any) -> Any:
        """The plain value the submission's function answers.

        Raises:
            Verdict: It raised, was late, died, or what came was no answer.
        """
        self._count(name)
        value, raw = self._exchange([name, args], self._call_seconds)
        if raw is not None:
            raise invalid(f"{self._what} answered with an array; expected a plain value")
        return value

    def call_raw(
        self, name: str, args: Any, raw: Sequence[memoryview]
    ) -> tuple[Any, memoryview | None]:
        """The same with raw bytes behind the arguments; and behind the answer, if it has any.

        Raises:
            Verdict: As for `call`.
            ValueError: The arguments are too big for one frame; the judge is at fault.
        """
        self._count(name)
        return self._exchange([name, args], self._call_seconds, raw)

    def unusable(self, answer: Any, expected: str) -> Verdict:
        """`invalid`: the last call's plain answer is another than `expected`, a whole sentence."""
        few, full = failure.answered(answer)
        return self.verdict("invalid", f"{few}; {expected}", f"{full}; {expected}")

    def verdict(self, label: Label, few: str, full: str) -> Verdict:
        """What is wrong with the last call: in full as long as the agent may know all that was sent.

        Args:
            label: What the submission gets.
            few: Words that have no room for anything hidden.
            full: The same with what the player sent.
        """
        if self._open:
            return Verdict(label, f"{self._what} {full}")
        said = f"{self._what} {few}"
        if few == full:
            return Verdict(label, said)
        note = "what it said itself is not shown, for it has seen what is hidden"
        return Verdict(label, f"{said}; {note}", kept=f"{self._what} {full}")

    def end(self) -> None:
        """See that nothing was sent that nobody asked for."""
        if self._channel.close():
            raise tampered("the player sent an answer that nobody asked for")

    def _count(self, name: str) -> None:
        self._open = self._rehearsing
        self.calls += not self._rehearsing
        self._number += 1
        self._what = f"call {self._number} of {name}"

    def _exchange(
        self, request: list[Any], seconds: float, raw: Sequence[memoryview] | None = None
    ) -> tuple[Any, memoryview | None]:
        left = self._deadline - (time.monotonic() - self._channel.stopped)
        if left <= 0:
            raise invalid(f"{self._what}: the time for the whole grading was over")
        number = self._number
        head = [number, *request]
        try:
            if raw is None:
                frame, most = [encode(head)], MAX_ANSWER_BYTES
            else:
                frame = [encode_head(head, sum(map(len, raw))), *raw]
                most = MAX_RAW_FRAME_BYTES
            came = self._channel.exchange(frame, min(seconds, left), most)
        except Late:
            raise invalid(f"{self._what} timed out: no answer within {seconds:g} s") from None
        except Overlong as error:
            raise tampered(str(error)) from None
        except ConnectionError:
            raise invalid(f"{self._what}: {PLAYER_ENDED}") from None
        return self._answer(*came, number)

    def _answer(
        self, payload: bytes | memoryview, has_raw: bool, number: int
    ) -> tuple[Any, memoryview | None]:
        raw = None
        try:
            if has_raw:
                head, raw = decode_raw(memoryview(payload))
            else:
                head = decode(payload)
        except (ValueError, RecursionError):
            raise tampered(f"{self._what}: what came back is not JSON") from None
        match head:
            case [int(given), "value", value] if given == number:
                return value, raw
            case [int(given), "raised", value] if given == number:
                raise self.verdict("invalid", *failure.raised(value, self._submitted))
            case [int(given), "refused", value] if given == number:
                raise self.verdict("invalid", *failure.refused(value))
            case _:
                raise tampered(f"{self._what}: what came back is no answer to this call")
