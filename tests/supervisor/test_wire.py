"""Frames: whatever is cut where, the same frames come out; what is none is refused."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgym_mcp.supervisor.wire import MAX_BODY, MAX_HEADER, BadFrame, Unpacker, pack

headers = st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text(max_size=20))
frames = st.lists(st.tuples(headers, st.binary(max_size=200)), max_size=6)


@settings(deadline=None)
@given(frames, st.integers(min_value=1, max_value=50))
def test_frames_survive_any_cutting(sent: list[tuple[dict[str, object], bytes]], step: int) -> None:
    stream = b"".join(pack(header, body) for header, body in sent)
    unpacker = Unpacker()
    got: list[tuple[dict[str, object], bytes]] = []
    for start in range(0, len(stream), step):
        got += unpacker.feed(stream[start : start + step])
    assert got == sent
    assert not unpacker.partial


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_refused_or_waited_on_and_nothing_else(data: bytes) -> None:
    unpacker = Unpacker()
    try:
        unpacker.feed(data)
    except BadFrame:
        return
    assert unpacker.partial or not data


@pytest.mark.parametrize(
    "lengths", [(MAX_HEADER + 1, 0), (2, MAX_BODY + 1), (2**32 - 1, 2**32 - 1)]
)
def test_an_announced_length_beyond_the_caps_is_refused_at_once(lengths: tuple[int, int]) -> None:
    with pytest.raises(BadFrame, match="announces"):
        Unpacker().feed(struct.pack("!II", *lengths))


@pytest.mark.parametrize(
    "text", [b"{", b"[]", b"1", b'"x"', b'{"a":NaN}', b"\xff\xfe", b"[" * 60_000, b"9" * 5000]
)
def test_a_header_that_is_no_json_object_is_refused(text: bytes) -> None:
    with pytest.raises(BadFrame):
        Unpacker().feed(struct.pack("!II", len(text), 0) + text)


def test_what_is_too_big_is_not_sent() -> None:
    with pytest.raises(BadFrame, match="too big"):
        pack({"a": "x" * MAX_HEADER})
    with pytest.raises(BadFrame, match="too big"):
        pack({}, bytes(MAX_BODY + 1))
