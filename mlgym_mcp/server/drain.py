"""Streams that stay open by design are ended when the server stops.

An ASGI wrapper. A client's standing GET stream has no end of its own; without this every stop would
wait for its whole grace time.
"""

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Drain:
    """Passes requests on, and ends standing streams when asked to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._standing: set[anyio.CancelScope] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        with anyio.CancelScope() as standing:
            self._standing.add(standing)
            try:
                await self._app(scope, receive, watched)
            finally:
                self._standing.discard(standing)
        if standing.cancelled_caught and begun:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def end(self) -> None:
        """End every standing stream."""
        for standing in list(self._standing):
            standing.cancel()
