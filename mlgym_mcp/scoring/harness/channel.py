"""The judge's end of the socket: a frame out, a frame in, and the patience for both.

Above: `player`, which knows what is asked and who is to blame. Time is counted in ticks of the
kernel's own time-out, and a tick that took longer counts as one: then this process was stopped,
with its machine or by it, and whoever was to answer most likely with it.
"""

import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from .frames import LENGTH, MAX_ANSWER_BYTES, RAW

T = TypeVar("T")
_READ = 2**16
_TICK = 0.25


class Late(Exception):
    """The time for one frame out and one in is over."""


class Overlong(Exception):
    """More came than one answer, or more was announced than an answer may have."""


class Channel:
    """One socket to a player."""

    def __init__(self, connection: socket.socket) -> None:
        self.stopped = 0.0
        """Seconds in which this process waited and did not run, all in all."""

        self._socket = connection
        self._left = 0.0
        # kernel time-outs cost no extra poll per call, unlike Python's
        value = struct.pack("ll", 0, int(_TICK * 1e6))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)

    def exchange(
        self, frame: Sequence[bytes | memoryview], seconds: float, most: int
    ) -> tuple[bytes | memoryview, bool]:
        """The payload of the answer to a frame, and whether it has raw bytes (at most `most`).

        Raises:
            Late: Both took longer than `seconds`.
            Overlong: What came is no single answer.
            ConnectionError: The far end is gone.
        """
        self._left = seconds
        for part in frame:
            rest = memoryview(part)
            while rest:
                # in pieces: each counts, also when the player reads a little now and then
                rest = rest[self._waited(lambda rest=rest: self._socket.send(rest[:_READ])) :]
        return self._receive(most)

    def close(self) -> bool:
        """Hang up; whether something was there that nobody had asked for."""
        self._socket.setblocking(False)
        try:
            return bool(self._socket.recv(1))
        except (BlockingIOError, ConnectionError):
            return False
        finally:
            self._socket.close()

    def _receive(self, most: int) -> tuple[bytes | memoryview, bool]:
        data = self._read()
        while len(data) < LENGTH.size:
            data += self._read()
        (length,) = LENGTH.unpack_from(data)
        has_raw = length >= RAW
        length -= RAW * has_raw
        allowed = most if has_raw else MAX_ANSWER_BYTES
        if length > allowed:
            raise Overlong(f"the player announced an answer of more than {allowed} bytes")
        size = len(data) - LENGTH.size
        if size > length:
            raise Overlong("the player sent more than one answer to one call")
        if size == length:
            return memoryview(data)[LENGTH.size :], has_raw
        payload = memoryview(bytearray(length))
        payload[:size] = data[LENGTH.size :]
        while size < length:
            came = self._waited(lambda size=size: self._socket.recv_into(payload[size:]))
            if not came:
                raise ConnectionResetError
            size += came
        return payload, has_raw

    def _read(self) -> bytes:
        if data := self._waited(lambda: self._socket.recv(_READ)):
            return data
        raise ConnectionResetError

    def _waited(self, operation: Callable[[], T]) -> T:
        while True:
            began = time.monotonic()
            try:
                done = operation()
            except BlockingIOError:
                done = None
            took = time.monotonic() - began
            self._left -= min(took, _TICK)
            self.stopped += max(0.0, took - _TICK)
            if self._left < 0:
                raise Late
            if done is not None:
                return done
