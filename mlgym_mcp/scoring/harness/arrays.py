"""Arrays across the channel: declared dtype and shape, then raw bytes; nothing is unpickled.

Above: a judge that calls `ask`, and a task's `player.py` that offers functions as `offered(...)`.
Below: the frames, which carry a head and raw bytes and know nothing of numpy. The head of a
question is `[number, name, arguments]`, where an argument is `["plain", value]` or
`["array", dtype, shape]`; the head of an answer is `[number, "value", argument]`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .frames import MAX_RAW_BYTES
from .player import Player
from .playing import Raw
from .verdict import printable

DTYPES = {
    name: np.dtype(name).newbyteorder("<")
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64"),
    )
}
"""What can cross: numbers of fixed size, the lowest byte first."""

_MAX_DIMENSIONS = 8
Array = NDArray[Any]


@dataclass(frozen=True)
class Expected:
    """What a judge takes for an answer, and nothing else."""

    dtype: str
    shape: tuple[int, ...]
    finite: bool = True
    """Whether infinity and not-a-number are refused."""

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"{self.dtype} cannot cross; expected one of {', '.join(DTYPES)}")


def ask(player: Player, name: str, *args: Any, expected: Expected) -> Array:
    """The array that the player's function answers; the arguments may be arrays too.

    Raises:
        Verdict: `invalid` if the answer is late or another than expected, `tampered` if it was
            not written by our code at the other end.
        TypeError, ValueError: An argument cannot cross; the judge is at fault.
    """
    head, raw = pack(args)
    answer, came = player.call_raw(name, head, raw)
    wanted = f"expected {_described(expected)}"
    if came is None:
        few = f"answered a plain value; {wanted}"
        raise player.verdict("invalid", few, few)
    try:
        (value,) = unpack([answer], came)
    except (TypeError, ValueError) as error:
        few = "answered what is no array"
        raise player.verdict("tampered", few, f"{few}: {error}") from None
    if not isinstance(value, np.ndarray):
        few = "answered what is no array"
        raise player.verdict("tampered", few, few)
    value = cast("Array", value)
    found = Expected(value.dtype.name, value.shape)
    if (found.dtype, found.shape) != (expected.dtype, expected.shape):
        few, full = "answered another array", f"answered {_described(found)}"
        raise player.verdict("invalid", f"{few}; {wanted}", f"{full}; {wanted}")
    if expected.finite and value.dtype.kind == "f" and not np.isfinite(value).all():
        few = "answered numbers that are infinite or not numbers"
        raise player.verdict("invalid", few, few)
    return value


def offered(function: Callable[..., Any]) -> Callable[[Any, memoryview], Raw]:
    """A function of arrays and plain values, as a player must offer it to a judge that asks."""

    def answer(head: Any, raw: memoryview) -> Raw:
        heads, parts = pack([np.asarray(function(*unpack(head, raw)))])
        return Raw(heads[0], parts)

    return answer


def pack(values: Sequence[Any]) -> tuple[list[Any], list[memoryview]]:
    """The head of these values, and the raw bytes of those that are arrays.

    Raises:
        TypeError: An array has a dtype that cannot cross.
        ValueError: The arrays are too big for one frame.
    """
    head: list[Any] = []
    raw: list[memoryview] = []
    for value in values:
        if not isinstance(value, np.ndarray):
            head.append(["plain", value])
            continue
        given = cast("Array", value)
        name = given.dtype.name
        if name not in DTYPES:
            raise TypeError(f"arrays of {name} cannot be sent")
        head.append(["array", name, list(given.shape)])
        flat: Any = np.ascontiguousarray(given, DTYPES[name]).reshape(-1)
        raw.append(memoryview(flat.view("u1")))
    size = sum(map(len, raw))
    if size > MAX_RAW_BYTES:
        raise ValueError(f"{size} bytes of arrays, over {MAX_RAW_BYTES}")
    return head, raw


def unpack(head: Any, raw: memoryview) -> list[Any]:
    """What `pack` was given; the arrays look into `raw`, and no byte of it is left over.

    Raises:
        TypeError, ValueError: The head is none, or does not fit the bytes.
    """
    values: list[Any] = []
    if not isinstance(head, list):
        raise TypeError("the head is no list")
    for part in cast("list[Any]", head):
        match part:
            case ["plain", value]:
                values.append(value)
            case ["array", str(name), declared]:
                shape = _shape(declared)
                size = _size(name, shape)
                values.append(_array(name, shape, raw[:size]))
                raw = raw[size:]
            case _:
                raise ValueError("its head says neither plain nor array")
    if raw:
        raise ValueError(f"{len(raw)} bytes too many")
    return values


def _shape(declared: Any) -> tuple[int, ...]:
    if not isinstance(declared, list):
        raise TypeError("its shape is no list")
    sizes = cast("list[Any]", declared)
    if len(sizes) > _MAX_DIMENSIONS:
        raise ValueError(f"{len(sizes)} dimensions, over {_MAX_DIMENSIONS}")
    if not all(type(size) is int and 0 <= size <= MAX_RAW_BYTES for size in sizes):
        raise ValueError("a dimension that is no size")
    return tuple(sizes)


def _size(name: str, shape: tuple[int, ...]) -> int:
    """The bytes of such an array, counted in Python's numbers, which do not overflow."""
    if name not in DTYPES:
        raise ValueError(f"'{printable(name)}' is no dtype that can be sent")
    return math.prod(shape) * DTYPES[name].itemsize


def _array(name: str, shape: tuple[int, ...], raw: memoryview) -> Array:
    if len(raw) != _size(name, shape):
        raise ValueError(f"{len(raw)} bytes where {_size(name, shape)} were declared")
    if name == "bool" and np.frombuffer(raw, "u1").max(initial=0) > 1:
        raise ValueError("a truth value that is neither 0 nor 1")
    # sizes in no order that multiplies to more than an address can hold come out as ValueError
    return np.frombuffer(raw, DTYPES[name]).reshape(shape)


def _described(array: Expected) -> str:
    return f"an array of {array.dtype} with shape {array.shape}"
