"""Progress of a long call: seconds so far, and what is going on.

Above: tools hand its methods to sessions. Below: the SDK's channel of one request. A caller that
asked for no progress costs nothing: no task, no notification.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio

from mlgym_mcp.base.tasks import owned_tasks

_LOOK_SECONDS = 0.25
_BEAT_SECONDS = 1.0
_LINE_CHARACTERS = 200

Send = Callable[[float, float | None, str | None], Awaitable[None]]
"""Sends one notification: seconds so far, total, message."""

Line = Callable[[float, str], Awaitable[None]]
"""Takes a command's seconds so far, and its last line."""


class Progress:
    """The latest of one call; a task sends it on."""

    def __init__(self) -> None:
        self.line: Line | None = self._note_line
        """Takes the last line a command wrote; None when nobody listens."""

        self._latest = ""

    def report(self, what: str, share: float | None) -> None:
        """Note what is being done, and the share done; may be called from any thread."""
        self._latest = what if share is None else f"{what} ({share:.0%})"

    async def beat(self, send: Send) -> None:
        """Send seconds and message for ever: when the message changed, else once a second."""
        started = anyio.current_time()
        sent, shown = started - _BEAT_SECONDS, None
        while True:
            await anyio.sleep(_LOOK_SECONDS)
            now = anyio.current_time()
            if self._latest != shown or now - sent >= _BEAT_SECONDS:
                sent, shown = now, self._latest
                seconds = round(now - started, 2)
                await send(seconds, None, f"{seconds:.0f} s {shown}".rstrip())

    async def _note_line(self, _seconds: float, last_line: str) -> None:
        self._latest = last_line[-_LINE_CHARACTERS:]


def _unheard() -> Progress:
    progress = Progress()
    progress.line = None
    return progress


_UNHEARD = _unheard()


@asynccontextmanager
async def heard(send: Send | None) -> AsyncGenerator[Progress]:
    """Progress that is sent on while the body runs; to nobody when `send` is None."""
    if send is None:
        yield _UNHEARD
        return
    progress = Progress()
    async with owned_tasks() as tasks:
        tasks.start_soon(progress.beat, send)
        yield progress
