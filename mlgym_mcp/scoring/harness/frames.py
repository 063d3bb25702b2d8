"""The frames between judge and player: four bytes of length, then that many bytes.

They are JSON; or, where the length's highest bit is set, a head in JSON (its own length first)
and behind it the raw bytes that the head describes. Both ends use it. What the judge reads was
perhaps not written by our code at the other end, so `decode` takes nothing that plain JSON does
not have: no NaN, no infinity. What raw bytes mean is the business of `harness.arrays`.
"""

import json
import struct
from typing import Any, NoReturn

LENGTH = struct.Struct("!I")
RAW = 2**31
"""Added to the length of a frame that has raw bytes behind a head."""

MAX_ANSWER_BYTES = 2**20
"""Longer answers, and longer heads of raw bytes, are refused on both ends."""

MAX_RAW_BYTES = 2**26
"""More raw bytes in one frame are refused on both ends."""

MAX_RAW_FRAME_BYTES = LENGTH.size + MAX_ANSWER_BYTES + MAX_RAW_BYTES
SOCKET = "/channel/player.sock"
_ALIGNMENT = 64


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_decode = json.JSONDecoder(parse_constant=_no_constant).decode


def encode(value: Any) -> bytes:
    """One whole frame.

    Raises:
        TypeError, ValueError, RecursionError: The value is not plain JSON.
    """
    payload = _encode(value).encode()
    return LENGTH.pack(len(payload)) + payload


def decode(payload: bytes | memoryview) -> Any:
    """The value in a frame's payload.

    Raises:
        ValueError, RecursionError: It is not plain JSON in UTF-8.
    """
    return _decode(str(payload, "utf-8"))


def encode_head(value: Any, raw_bytes: int) -> bytes:
    """The beginning of a frame whose head is `value`; so many raw bytes must follow it.

    Raises:
        TypeError, RecursionError: The value is not plain JSON.
        ValueError: It is not, or there are too many bytes.
    """
    if raw_bytes > MAX_RAW_BYTES:
        raise ValueError(f"{raw_bytes} bytes of arrays, over {MAX_RAW_BYTES}")
    head = _encode(value).encode()
    # spaces, so that the raw bytes lie where processors like to read numbers
    head = head.ljust(len(head) + -(len(head) + LENGTH.size) % _ALIGNMENT)
    if len(head) > MAX_ANSWER_BYTES:
        raise ValueError(f"{len(head)} bytes beside arrays, over {MAX_ANSWER_BYTES}")
    length = LENGTH.size + len(head) + raw_bytes
    return LENGTH.pack(RAW + length) + LENGTH.pack(len(head)) + head


def decode_raw(payload: memoryview) -> tuple[Any, memoryview]:
    """The head of a frame's payload, and the raw bytes behind it.

    Raises:
        ValueError, RecursionError: The head is not plain JSON, or one end is over its size.
    """
    if len(payload) < LENGTH.size:
        raise ValueError("no head")
    (length,) = LENGTH.unpack_from(payload)
    end = LENGTH.size + length
    if not (end <= len(payload) <= end + MAX_RAW_BYTES and length <= MAX_ANSWER_BYTES):
        raise ValueError("the sizes of head and raw bytes")
    return decode(payload[LENGTH.size : end]), payload[end:]
