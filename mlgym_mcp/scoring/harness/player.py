"""The judge's end of the channel: calls into the player, every answer checked.

Above: a task's judge calls `player.call("name", ...)` and gets plain values; one that needs arrays
goes through `harness.arrays`. Below: one Unix socket. Whatever the player does (raise, hang, die,
talk nonsense) ends the grading with a label.
"""

import contextlib
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .frames import (
    LENGTH,
    MAX_ANSWER_BYTES,
    MAX_RAW_FRAME_BYTES,
    RAW,
    decode,
    decode_raw,
    encode,
    encode_head,
)
from .verdict import Verdict, invalid, printable, tampered

_READ = 2**16
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
    """Submitted code in another sandbox, called by number and name."""

    def __init__(self, connection: socket.socket, call_seconds: float, deadline: float) -> None:
        self.calls = 0
        self._socket = connection
        self._call_seconds = call_seconds
        self._deadline = deadline

    def load(self, seed: int) -> None:
        """Have the submission loaded; its own randomness starts from `seed`."""
        self._exchange(["load", seed], "loading the submission", _LOAD_CALLS * self._call_seconds)

    def call(self, name: str, *args: Any) -> Any:
        """The plain value the submission's function answers.

        Raises:
            Verdict: It raised, was late, died, or what came was no answer.
        """
        self.calls += 1
        what = f"call {self.calls} of {name}"
        value, raw = self._exchange([name, args], what, self._call_seconds)
        if raw is not None:
            raise invalid(f"{what} answered with an array; expected a plain value")
        return value

    def call_raw(
        self, name: str, args: Any, raw: Sequence[memoryview]
    ) -> tuple[Any, memoryview | None]:
        """The same with raw bytes behind the arguments; and behind the answer, if it has any.

        Raises:
            Verdict: As for `call`.
            ValueError: The arguments are too big for one frame; the judge is at fault.
        """
        self.calls += 1
        what = f"call {self.calls} of {name}"
        return self._exchange([name, args], what, self._call_seconds, raw)

    def end(self) -> None:
        """See that nothing was sent that nobody asked for."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            if self._socket.recv(1):
                raise tampered("the player sent an answer that nobody asked for")
        self._socket.close()

    def _exchange(
        self,
        request: list[Any],
        what: str,
        seconds: float,
        raw: Sequence[memoryview] | None = None,
    ) -> tuple[Any, memoryview | None]:
        limit = min(time.monotonic() + seconds, self._deadline)
        if limit <= time.monotonic():
            raise invalid(f"{what}: the time for the whole grading was over")
        number = self.calls
        try:
            self._set_timeout(seconds)
            if raw is None:
                self._socket.sendall(encode([number, *request]))
                return _answer(*self._receive(limit, MAX_ANSWER_BYTES), number, what)
            self._send_raw([number, *request], raw, limit)
            return _answer(*self._receive(limit, MAX_RAW_FRAME_BYTES), number, what)
        except BlockingIOError:
            raise invalid(f"{what} timed out: no answer within {seconds:g} s") from None
        except ConnectionError:
            raise invalid(f"{what}: the player's process ended without an answer") from None

    def _set_timeout(self, seconds: float) -> None:
        # kernel timeouts cost no extra poll per call, unlike Python's; set when they change
        if getattr(self, "_timeout", None) != seconds:
            self._timeout = seconds
            whole = int(seconds)
            value = struct.pack("ll", whole, max(1, int((seconds - whole) * 1e6)))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)

    def _send_raw(self, head: list[Any], raw: Sequence[memoryview], limit: float) -> None:
        self._socket.sendall(encode_head(head, sum(map(len, raw))))
        for whole in raw:
            # in pieces: the kernel would begin its time-out anew whenever the player reads a little
            rest = whole
            while rest:
                rest = rest[self._socket.send(rest[:_READ]) :]
                if time.monotonic() > limit:
                    raise BlockingIOError

    def _receive(self, limit: float, most: int) -> tuple[bytes | memoryview, bool]:
        """An answer's payload of at most so many bytes, and whether it has raw bytes."""
        data = self._read(limit)
        while len(data) < LENGTH.size:
            data += self._read(limit)
        (length,) = LENGTH.unpack_from(data)
        if length >= RAW:
            return self._receive_raw(data, length - RAW, limit, most), True
        if length > MAX_ANSWER_BYTES:
            raise tampered(f"the player announced an answer of {length} bytes")
        whole = LENGTH.size + length
        if len(data) < whole:
            parts, size = [data], len(data)
            while size < whole:
                parts.append(self._read(limit))
                size += len(parts[-1])
            data = b"".join(parts)
        if len(data) > whole:
            raise tampered("the player sent more than one answer to one call")
        return data[LENGTH.size :], False

    def _receive_raw(self, begun: bytes, length: int, limit: float, most: int) -> memoryview:
        if length > most:
            raise tampered(f"the player announced an answer of {length} bytes")
        size = len(begun) - LENGTH.size
        if size > length:
            raise tampered("the player sent more than one answer to one call")
        payload = memoryview(bytearray(length))
        payload[:size] = begun[LENGTH.size :]
        while size < length:
            came = self._socket.recv_into(payload[size:])
            self._check(came, limit)
            size += came
        return payload

    def _read(self, limit: float) -> bytes:
        data = self._socket.recv(_READ)
        self._check(len(data), limit)
        return data

    def _check(self, came: int, limit: float) -> None:
        if not came:
            raise ConnectionResetError
        if time.monotonic() > limit:
            raise BlockingIOError


def _answer(
    payload: bytes | memoryview, has_raw: bool, number: int, what: str
) -> tuple[Any, memoryview | None]:
    raw = None
    try:
        if has_raw:
            head, raw = decode_raw(memoryview(payload))
        else:
            head = decode(payload)
        match head:
            case [int(given), str(status), value] if given == number:
                pass
            case _:
                raise tampered(f"{what}: what came back is no answer to this call")
    except (ValueError, RecursionError):
        raise tampered(f"{what}: what came back is not JSON") from None
    if status == "value":
        return value, raw
    raise _refusal(status, value, what)


def _refusal(status: str, value: Any, what: str) -> Verdict:
    said = printable(value) if isinstance(value, str) else ""
    if status == "raised":
        return invalid(f"{what} raised {said}")
    if status == "refused":
        return invalid(f"{what} answered {said}")
    return tampered(f"{what}: '{printable(status)}' is no kind of answer")
