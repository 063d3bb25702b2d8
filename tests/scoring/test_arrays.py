"""Arrays across the channel: they come back as they were, and a lie about them is a verdict."""

import json
import math
import socket
import struct
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest

from mlgym_mcp.scoring.harness.arrays import DTYPES, Expected, ask, offered, pack, unpack
from mlgym_mcp.scoring.harness.frames import (
    LENGTH,
    MAX_ANSWER_BYTES,
    MAX_RAW_BYTES,
    RAW,
    decode_raw,
    encode,
    encode_head,
)
from mlgym_mcp.scoring.harness.player import Player
from mlgym_mcp.scoring.harness.verdict import Verdict

THREE = Expected("float32", (3,))
ONES = struct.pack("<3f", 1, 1, 1)


@contextmanager
def playing(serve: Callable[[socket.socket], None], seconds: float = 0.5) -> Generator[Player]:
    ours, theirs = socket.socketpair()

    def run() -> None:
        with theirs, suppress(ConnectionError):
            serve(theirs)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield Player(ours, seconds, time.monotonic() + 60)
    finally:
        ours.close()
        thread.join()


def frame(answer: object, raw: bytes, number: int = 1) -> bytes:
    """A frame as it should not be written: nothing of it is checked."""
    head = json.dumps([number, "value", answer]).encode()
    whole = LENGTH.pack(len(head)) + head + raw
    return LENGTH.pack(RAW + len(whole)) + whole


def sending(answer: bytes) -> Callable[[socket.socket], None]:
    def serve(theirs: socket.socket) -> None:
        theirs.recv(2**16)
        theirs.sendall(answer)
        # what is asked may come in pieces; the judge hangs up, not the player
        while theirs.recv(2**16):
            pass

    return serve


def received(theirs: socket.socket) -> tuple[Any, memoryview]:
    data = bytearray()
    while len(data) < 4 or len(data) < 4 + LENGTH.unpack_from(data)[0] - RAW:
        if not (more := theirs.recv(2**20)):
            raise ConnectionResetError
        data += more
    return decode_raw(memoryview(data)[4:])


def serving(function: Callable[..., Any]) -> Callable[[socket.socket], None]:
    """A player that answers as the harness does."""

    def serve(theirs: socket.socket) -> None:
        while True:
            (number, _, head), raw = received(theirs)
            answer = offered(function)(head, raw)
            size = sum(map(len, answer.parts))
            theirs.sendall(encode_head([number, "value", answer.head], size))
            for part in answer.parts:
                theirs.sendall(part)

    return serve


def caught(answer: bytes, expected: Expected = THREE) -> Verdict:
    with playing(sending(answer)) as player, pytest.raises(Verdict) as info, player.rehearsal():
        ask(player, "act", np.zeros(2), expected=expected)
    return info.value


@pytest.mark.parametrize("name", DTYPES)
def test_an_array_comes_back_as_it_was(name: str) -> None:
    def echo(given: Any, more: Any) -> Any:
        return given if more["yes"] else None

    for shape in ((), (0,), (3,), (2, 0, 4), (5, 7)):
        sent = np.arange(math.prod(shape)).reshape(shape).astype(name)
        with playing(serving(echo)) as player:
            came = ask(player, "echo", sent, {"yes": True}, expected=Expected(name, shape))
        assert (came.dtype, came.shape) == (sent.dtype, sent.shape)
        assert (came == sent).all()


def test_arrays_that_are_not_contiguous_or_of_another_byte_order_cross_too() -> None:
    sent = np.arange(12, dtype=">i4").reshape(3, 4).T

    def flip(given: Any) -> Any:
        return given[:, ::-1]

    with playing(serving(flip)) as player:
        came = ask(player, "flip", sent, expected=Expected("int32", (4, 3)))
    assert (came == sent[:, ::-1]).all()


def test_an_array_as_large_as_the_cap_crosses() -> None:
    count = MAX_RAW_BYTES // 4

    def add(given: Any) -> Any:
        return given + 1

    with playing(serving(add), seconds=30) as player:
        came = ask(player, "add", np.zeros(count, "f4"), expected=Expected("float32", (count,)))
    assert came.sum() == count


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (frame(["array", "float32", [-3]], ONES), "a dimension that is no size"),
        (frame(["array", "float32", [3.0]], ONES), "a dimension that is no size"),
        (frame(["array", "float32", [True]], ONES[:4]), "a dimension that is no size"),
        (frame(["array", "float32", [2**40, 2**40]], ONES), "a dimension that is no size"),
        (frame(["array", "float32", [2**26] * 8], ONES), "12 bytes where"),
        (frame(["array", "float32", [0] + [2**26] * 7], b""), "no array"),
        (frame(["array", "float32", [1] * 33], ONES[:4]), "33 dimensions"),
        (frame(["array", "float32", 3], ONES), "its shape is no list"),
        (frame(["array", "float32", [4]], ONES), "12 bytes where 16 were declared"),
        (frame(["array", "float32", [2]], ONES), "4 bytes too many"),
        (frame(["array", "object", [3]], ONES), "'object' is no dtype"),
        (frame(["array", "O", [3]], ONES), "'O' is no dtype"),
        (frame(["array", "V4", [3]], ONES), "'V4' is no dtype"),
        (frame(["array", "complex64", [1]], ONES[:8]), "'complex64' is no dtype"),
        (frame(["array", "f4,f4", [1]], ONES[:8]), "'f4,f4' is no dtype"),
        (frame(["array", ["f4"], [3]], ONES), "neither plain nor array"),
        (frame(["array", "bool", [3]], b"\1\0\2"), "neither 0 nor 1"),
        (frame(["array", "float32"], ONES), "neither plain nor array"),
        (frame(["pickle", "float32", [3]], ONES), "neither plain nor array"),
        (frame("array", ONES), "neither plain nor array"),
        (frame(["plain", [1, 1, 1]], b""), "no array"),
        (frame(["plain", [1, 1, 1]], ONES), "12 bytes too many"),
        (frame(["array", "float32", [3]], ONES, number=2), "is no answer to this call"),
        (frame(["array", "float32", [3]], ONES) * 2, "more than one answer"),
        (struct.pack("!I", RAW), "is not JSON"),
        (struct.pack("!III", RAW + 8, 2**32 - 1, 0), "is not JSON"),
        (struct.pack("!II", RAW + 8, 4) + b"[1,N", "is not JSON"),
        (struct.pack("!II", RAW + 8, 4) + b"\xff\xfe\0\0", "is not JSON"),
        (struct.pack("!I", 2**32 - 1), "announced an answer of more than 68157444 bytes"),
        (struct.pack("!I", RAW + MAX_RAW_BYTES + 2 * MAX_ANSWER_BYTES), "announced an answer of"),
    ],
)
def test_a_frame_that_our_code_would_not_write_is_tampered_with(answer: bytes, said: str) -> None:
    verdict = caught(answer)
    assert verdict.label == "tampered"
    assert said in verdict.evidence[0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (frame(["array", "float64", [3]], ONES * 2), "an array of float64 with shape (3,)"),
        (frame(["array", "float32", [3, 1]], ONES), "shape (3, 1); expected an array of float32"),
        (frame(["array", "float32", [0]], b""), "with shape (0,)"),
        (frame(["array", "float32", [3]], struct.pack("<3f", 1, 1, math.nan)), "not numbers"),
        (frame(["array", "float32", [3]], struct.pack("<3f", 1, 1, -math.inf)), "not numbers"),
        (encode([1, "value", [1, 1, 1]]), "a plain value; expected an array of float32"),
        (encode([1, "raised", ["ValueError", "", 0, "ValueError: no"]]), "raised ValueError: no"),
    ],
)
def test_an_array_that_nobody_can_use_is_invalid(answer: bytes, said: str) -> None:
    verdict = caught(answer)
    assert verdict.label == "invalid"
    assert said in verdict.evidence[0]


def test_infinity_may_be_allowed() -> None:
    minus = frame(["array", "float32", [3]], struct.pack("<3f", 1, 1, -math.inf))
    with playing(sending(minus)) as player:
        assert ask(player, "act", expected=Expected("float32", (3,), finite=False))[2] == -math.inf


def test_an_array_in_answer_to_a_plain_call_is_invalid() -> None:
    answer = sending(frame(["array", "float32", [3]], ONES))
    with playing(answer) as player, pytest.raises(Verdict, match="expected a plain value"):
        player.call("move")


def test_a_plain_call_takes_no_large_frame_of_arrays() -> None:
    answer = sending(frame(["array", "uint8", [2**21]], b"\0" * 2**21))
    with playing(answer) as player, pytest.raises(Verdict, match="announced") as info:
        player.call("move")
    assert info.value.label == "tampered"


def test_an_array_that_never_comes_whole_is_late() -> None:
    verdict = caught(frame(["array", "float32", [3]], ONES)[:-1])
    assert (verdict.label, "timed out" in verdict.evidence[0]) == ("invalid", True)


def test_a_player_that_reads_an_array_drop_by_drop_is_late() -> None:
    def sip(theirs: socket.socket) -> None:
        over = threading.Event()
        while theirs.recv(2**15):
            over.wait(0.1)

    started = time.monotonic()
    with playing(sip, seconds=0.3) as player, pytest.raises(Verdict, match="timed out"):
        ask(player, "act", np.zeros(2**22), expected=THREE)
    assert time.monotonic() - started < 5


def test_what_is_no_number_of_fixed_size_or_too_big_is_not_sent() -> None:
    for bad in (np.array([object()]), np.array(["a"]), np.array([1j]), np.zeros(1, "f4,i4")):
        with pytest.raises(TypeError, match="cannot be sent"):
            pack([bad])
    with pytest.raises(ValueError, match="over 67108864"):
        pack([np.zeros(MAX_RAW_BYTES + 1, "u1")])
    with pytest.raises(ValueError, match="complex64 cannot cross"):
        Expected("complex64", (1,))


def test_the_bytes_begin_where_processors_like_to_read_them() -> None:
    head, raw = pack([np.arange(3.0)])
    for more in range(70):
        whole = encode_head([1, "x" * more, head], len(raw[0])) + bytes(raw[0])
        assert (len(whole) - len(raw[0]) - LENGTH.size) % 64 == 0
        (_, _, found), rest = decode_raw(memoryview(whole)[4:])
        assert unpack(found, rest)[0].tolist() == [0, 1, 2]
