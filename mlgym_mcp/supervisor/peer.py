"""One connection to a host: frames in, frames out, never blocking the loop."""

from __future__ import annotations

import os

from mlgym_mcp.supervisor.lean import TYPE_CHECKING
from mlgym_mcp.supervisor.loop import READ, WRITE, Loop
from mlgym_mcp.supervisor.wire import BadFrame, Header, Unpacker, pack

if TYPE_CHECKING:
    from collections.abc import Callable

_READ_SIZE = 64 * 1024
"""A larger buffer is mapped and unmapped anew for each frame, most of which are short."""


class Peer:
    """The host at the other end; `read_fd` and `write_fd` may be the same."""

    def __init__(
        self,
        loop: Loop,
        fds: tuple[int, int],
        on_frame: Callable[[Peer, Header, bytes], None],
        on_gone: Callable[[Peer], None],
    ) -> None:
        self._loop = loop
        self._read_fd, self._write_fd = fds
        self._on_frame = on_frame
        self._on_gone = on_gone
        self._unpacker = Unpacker()
        self._unsent = bytearray()
        self.gone = False
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        loop.watch(self._read_fd, READ, self._readable)

    def send(self, header: Header, body: bytes = b"") -> None:
        """Send a frame; what does not fit now goes when there is room."""
        if self.gone:
            return
        self._unsent += pack(header, body)
        self._flush()

    def close(self) -> None:
        """Hang up."""
        if self.gone:
            return
        self.gone = True
        for fd in {self._read_fd, self._write_fd}:
            self._loop.forget(fd)
            os.close(fd)
        self._on_gone(self)

    def _readable(self, ready: int) -> None:
        if ready & WRITE and self._read_fd == self._write_fd:
            self._flush()
        if not ready & READ or self.gone:
            return
        try:
            data = os.read(self._read_fd, _READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        try:
            frames = self._unpacker.feed(data)
        except BadFrame:
            self.close()
            return
        for header, body in frames:
            self._on_frame(self, header, body)

    def _flush(self) -> None:
        while self._unsent and not self.gone:
            try:
                sent = os.write(self._write_fd, self._unsent)
            except BlockingIOError:
                break
            except OSError:
                self.close()
                return
            del self._unsent[:sent]
        if self.gone:
            return
        if self._read_fd == self._write_fd:
            events = READ | (WRITE if self._unsent else 0)
            self._loop.watch(self._read_fd, events, self._readable)
        elif self._unsent:
            self._loop.watch(self._write_fd, WRITE, lambda _ready: self._flush())
        else:
            self._loop.forget(self._write_fd)
