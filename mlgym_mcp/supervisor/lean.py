"""What Python's own library has too, without all that its modules import and make.

Every sandbox starts the supervisor anew. Half of that time went into enumerations (`signal`),
regular expressions (`json`), collections (`contextlib`) and the types of C (`ctypes`), none of
which it needs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any
else:
    import _signal as signal

__all__ = ["TYPE_CHECKING", "address_of", "dumps", "loads", "prctl", "signal", "suppress"]


class suppress:  # noqa: N801 - the name that contextlib gives it
    """Go on after the block when one of these errors ends it."""

    def __init__(self, *errors: type[BaseException]) -> None:
        self._errors = errors

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        return kind is not None and issubclass(kind, self._errors)


def _refuse(what: object) -> object:
    raise ValueError(f"{what!r} cannot be said in JSON")


class _Rules:
    """What a scanner asks of its decoder."""

    strict = True
    object_hook = object_pairs_hook = array_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_refuse)


_rules: Any = _Rules
_write: Callable[[object, bool], Iterable[str]]
_read: Callable[[str, int], tuple[Any, int]]
try:
    # what `json` itself rests on, where it is CPython's
    import _json

    _text, _flags = _json.encode_basestring_ascii, (False, False, False)
    _write = _json.make_encoder(None, _refuse, _text, None, ":", ",", *_flags)
    _read = _json.make_scanner(_rules)
except (ImportError, AttributeError, TypeError):
    import json

    _write = json.JSONEncoder(separators=(",", ":"), allow_nan=False).iterencode
    _read = json.JSONDecoder(parse_constant=_refuse).raw_decode


try:
    import _ctypes

    _myself: Any = None
    _prctl = _ctypes.dlsym(_ctypes.dlopen(_myself, 2), "prctl")

    def prctl(*arguments: int | bytes) -> int:
        """What the C library's function of that name answers."""
        return _ctypes.call_function(_prctl, arguments)

    def address_of(data: bytes) -> int:
        """Where in memory it lies, as long as it is kept."""
        return id(data) + bytes.__basicsize__ - 1

except (ImportError, AttributeError, OSError):
    import ctypes

    prctl = ctypes.CDLL(None).prctl

    def address_of(data: bytes) -> int:
        """Where in memory it lies, as long as it is kept."""
        return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0


def dumps(value: object) -> str:
    """JSON without spaces.

    Raises:
        ValueError: There is none for it.
    """
    return "".join(_write(value, False))


def loads(text: str) -> Any:
    """What JSON without spaces around it says.

    Raises:
        ValueError, RecursionError: It is none.
    """
    try:
        value, end = _read(text, 0)
    # the last where it would import the class of its errors, but leaves that to `json`
    except (StopIteration, SystemError) as error:
        raise ValueError("not JSON") from error
    if end != len(text):
        raise ValueError("more than one JSON value")
    return value
