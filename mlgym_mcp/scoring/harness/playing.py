"""The player's program: loads the submission and answers the judge's calls, one by one.

Above: the judge, across a socket. Below: the task's `player.py`, and through it the submission,
which may do in this process whatever it likes: nothing here is trusted by the judge.
"""

import random
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .frames import LENGTH, MAX_ANSWER_BYTES, RAW, SOCKET, decode, decode_raw, encode, encode_head
from .loading import import_file

_CONNECT_SECONDS = 60.0
_POLL_SECONDS = 0.001
_SUBMITTED = "/submission/"
_MAX_TEXT = 400
Functions = Mapping[str, Callable[..., Any]]


class Raw(NamedTuple):
    """An answer with raw bytes behind its head; `harness.arrays` makes them."""

    head: Any
    parts: Sequence[memoryview]


def main() -> None:
    """Serve calls until the judge hangs up."""
    submission, public = (Path(argument) for argument in sys.argv[1:3])
    connection = _connect()
    functions: Functions = {}
    while (received := _receive(connection)) is not None:
        payload, has_raw = received
        args: Any
        if has_raw:
            (number, name, head), raw = decode_raw(payload)
            args = [head, raw]
        else:
            number, name, args = decode(payload)
        if number == 0:
            status, value, functions = _load(submission, public, args)
        else:
            status, value = _call(functions[name], args)
        for part in _answer(number, status, value):
            connection.sendall(part)


def _connect() -> socket.socket:
    """Connect as soon as the judge listens; both sandboxes open at the same time."""
    until = time.monotonic() + _CONNECT_SECONDS
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(SOCKET)
        except (FileNotFoundError, ConnectionRefusedError, PermissionError):
            connection.close()
            if time.monotonic() > until:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return connection


def _receive(connection: socket.socket) -> tuple[memoryview, bool] | None:
    """A call's payload, and whether it has raw bytes; None when the judge hung up."""
    data = connection.recv(2**16)
    while len(data) < LENGTH.size:
        more = connection.recv(2**16)
        if not more:
            return None
        data += more
    (length,) = LENGTH.unpack_from(data)
    has_raw = length >= RAW
    payload = memoryview(bytearray(length - RAW if has_raw else length))
    size = len(data) - LENGTH.size
    payload[:size] = data[LENGTH.size :]
    while size < len(payload):
        came = connection.recv_into(payload[size:])
        if not came:
            return None
        size += came
    return payload, has_raw


def _load(submission: Path, public: Path, seed: int) -> tuple[str, Any, Functions]:
    random.seed(seed)
    functions, error = _attempt(_functions, submission, public)
    if error is not None:
        return "raised", _describe(error), {}
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed % 2**32)
    return "value", None, functions


def _functions(submission: Path, public: Path) -> Functions:
    return import_file(Path("/player/player.py"), "task_player").load(submission, public)


def _call(function: Callable[..., Any], args: list[Any]) -> tuple[str, Any]:
    value, error = _attempt(function, *args)
    return ("value", value) if error is None else ("raised", _describe(error))


def _answer(number: int, status: str, value: Any) -> Sequence[bytes | memoryview]:
    if status != "value" or not isinstance(value, Raw):
        return [_frame(number, status, value)]
    size = sum(map(len, value.parts))
    head, error = _attempt(encode_head, [number, status, value.head], size)
    if error is not None:
        return [_refused(number, "an array that cannot be sent", _text(error))]
    return [head, *value.parts]


def _frame(number: int, status: str, value: Any) -> bytes:
    frame, error = _attempt(encode, [number, status, value])
    if error is not None:
        return _refused(number, "no plain value", _text(error))
    if len(frame) > MAX_ANSWER_BYTES:
        return _refused(number, "too many bytes", f"{len(frame)} bytes, over {MAX_ANSWER_BYTES}")
    return frame


def _refused(number: int, what: str, text: str) -> bytes:
    return encode([number, "refused", [what, text]])


def _describe(error: BaseException) -> list[Any]:
    """Python's name for this kind of error, the submitted file and line, and its own words."""
    kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
    return [kinds[0], *_place(error), _text(error)]


def _place(error: BaseException) -> tuple[str, int]:
    """The innermost line that was handed in, as (file, line); ("", 0) where there is none."""
    found, trace = ("", 0), error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name.startswith(_SUBMITTED):
            found = (name.removeprefix(_SUBMITTED), trace.tb_lineno)
        trace = trace.tb_next
    return found


def _text(error: BaseException) -> str:
    text, _ = _attempt(str, error)
    whole = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return whole[:_MAX_TEXT].encode("utf-8", "replace").decode()


def _attempt(function: Callable[..., Any], *args: Any) -> tuple[Any, BaseException | None]:
    """What it gives, or what it raises: submitted code may raise anything, wherever it is run."""
    try:
        return function(*args), None
    except BaseException as error:  # noqa: BLE001 - also SystemExit and KeyboardInterrupt
        return None, error
