"""What is told of submitted code that failed: in few words, and in its own.

Its own words can carry everything it was ever sent. The few have no room: Python's name for a kind
of error, a file and a line that were handed in, a kind of answer. Above: `player` chooses between
the two. Nothing that came from the far end is believed to be what our code there would send.
"""

import builtins
from pathlib import Path
from typing import Any

from .verdict import printable

_MAX_LINE = 10_000
_KINDS = frozenset(
    name
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, BaseException)
)
_REFUSALS = ("no plain value", "an array that cannot be sent", "too many bytes")
_ANSWERS = {int: "a whole number", float: "a number with a point", str: "text", list: "a list"}
_MAX_SHOWN = 120


def raised(value: Any, submitted: Path | None) -> tuple[str, str]:
    """An exception: in few words, and in its own."""
    match value:
        case [str(kind), str(file), int(line), str(text)]:
            where = _place(file, line, submitted)
            few = kind if kind in _KINDS else "an error"
            return f"raised {few}{where}", f"raised {printable(text)}{where}"
        case _:
            return "raised an error", "raised an error that was not described"


def refused(value: Any) -> tuple[str, str]:
    """An answer that the far end could not send: in few words, and in its own."""
    match value:
        case [str(what), str(text)] if what in _REFUSALS:
            return f"answered with {what}", f"answered with {what}: {printable(text)}"
        case _:
            return "answered with what cannot be sent", "answered with what cannot be sent"


def answered(value: Any) -> tuple[str, str]:
    """An answer that a judge cannot use: in few words, and as it is."""
    if value is None or value is True or value is False:
        return f"answered {value}", f"answered {value}"
    few = next((name for kind, name in _ANSWERS.items() if type(value) is kind), "a mapping")
    return f"answered {few}", f"answered {_shown(value)}"


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        # nested too deeply, or a number of too many digits
        text = "what cannot be printed"
    return printable(text[:_MAX_SHOWN])


def _place(file: str, line: int, submitted: Path | None) -> str:
    """Where it was raised, if that is a line of a file that was handed in."""
    if submitted is None or not 0 < line <= _MAX_LINE:
        return ""
    for path in submitted.rglob("*.py"):
        if path.relative_to(submitted).as_posix() == file and path.is_file():
            with path.open("rb") as stream:
                known = line <= sum(1 for _ in stream)
            return f" (line {line} of {printable(file)})" if known else ""
    return ""
