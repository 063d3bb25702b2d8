"""Frames between a sandbox and its host: a JSON header and raw bytes, each with its length.

Both ends use this module. It knows sizes and shapes of frames, never what they mean; a frame that
is too big, cut short or not JSON is `BadFrame`, and the stream it came from is not to be trusted
any more.
"""

import struct

from mlgym_mcp.supervisor.lean import dumps, loads

VERSION = 2
"""Of the frames and operations; the supervisor says it in its first frame."""

MAX_HEADER = 64 * 1024
MAX_BODY = 2**20
"""Longer data goes in several frames."""

CHUNK = 512 * 1024
"""Bytes of a file that travel in one frame."""

_LENGTHS = struct.Struct("!II")

Header = dict[str, object]


class BadFrame(ValueError):
    """What came is no frame."""


def pack(header: Header, body: bytes | memoryview = b"") -> bytes:
    """One frame, ready to send."""
    text = dumps(header).encode()
    if len(text) > MAX_HEADER or len(body) > MAX_BODY:
        raise BadFrame(f"a frame of {len(text)} and {len(body)} bytes is too big to send")
    return b"".join((_LENGTHS.pack(len(text), len(body)), text, body))


class Unpacker:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def partial(self) -> bool:
        """Whether bytes of an unfinished frame are waiting."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[tuple[Header, bytes]]:
        """Take in bytes; the frames that are complete now.

        Raises:
            BadFrame: They can be no frame.
        """
        self._buffer += data
        frames: list[tuple[Header, bytes]] = []
        start = 0
        while len(self._buffer) - start >= _LENGTHS.size:
            header_size, body_size = _LENGTHS.unpack_from(self._buffer, start)
            if header_size > MAX_HEADER or body_size > MAX_BODY:
                raise BadFrame(f"a frame announces {header_size} and {body_size} bytes")
            middle = start + _LENGTHS.size + header_size
            end = middle + body_size
            if len(self._buffer) < end:
                break
            header = _parse(bytes(self._buffer[start + _LENGTHS.size : middle]))
            frames.append((header, bytes(self._buffer[middle:end])))
            start = end
        del self._buffer[:start]
        return frames


def _parse(text: bytes) -> Header:
    try:
        header: Header = loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise BadFrame("a header is not JSON") from error
    if type(header) is not dict:
        raise BadFrame("a header is not an object")
    return header
