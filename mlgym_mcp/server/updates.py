"""Announcements that a session's resources changed, in both eras of the protocol.

Above: the server registers the handlers and runs `run` beside them. Below: sessions say which of
them had an event. Clients before 2026-07-28 subscribe to one address on their connection; later
ones listen on a stream with a filter. A burst of events becomes one announcement per address, and
a session nobody subscribed to costs one look-up an event.
"""

from collections import Counter, defaultdict
from contextlib import ExitStack
from typing import Any

import anyio
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated
from mcp_types import (
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from mlgym_mcp.base.errors import MlgymError, NotFound
from mlgym_mcp.server.caller import principal_of
from mlgym_mcp.server.failure import protocol_error
from mlgym_mcp.sessions import Sessions

Context = ServerRequestContext[Any, Any]
_PREFIX = "mlgym://sessions/"
_SEND_SECONDS = 5.0


class Updates:
    """Who subscribed to what, and what is to be announced."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._bus = InMemorySubscriptionBus()
        self._streams = ListenHandler(self._bus)
        self._watched: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._subscribers: defaultdict[str, dict[Connection, ExitStack]] = defaultdict(dict)
        self._touched: set[str] = set()
        self._wake = anyio.Event()

    def touch(self, session: str) -> None:
        """Note that a session had an event."""
        if session in self._watched:
            self._touched.add(session)
            self._wake.set()

    async def run(self) -> None:
        """Announce, for ever."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            touched, self._touched = self._touched, set()
            for session in touched:
                for uri in list(self._watched.get(session, ())):
                    await self._announce(uri)

    def close(self) -> None:
        """End every listening stream as the protocol asks."""
        self._streams.close()

    async def listen(
        self, context: Context, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Serve one stream; addresses of sessions that are not the caller's are left out."""
        asked = params.notifications.resource_subscriptions or []
        honoured = [uri for uri in asked if await self._may_see(context, uri)]
        wanted = params.notifications.model_copy(update={"resource_subscriptions": honoured})
        with ExitStack() as watches:
            for uri in honoured:
                self._watch(uri, watches)
            granted = params.model_copy(update={"notifications": wanted})
            return await self._streams(context, granted)

    async def subscribe(self, context: Context, params: SubscribeRequestParams) -> EmptyResult:
        """Announce an address on this connection until it ends."""
        uri, connection = str(params.uri), _connection_of(context)
        if not await self._may_see(context, uri):
            error = NotFound(
                f"There is no resource '{uri[:200]}' of yours.", fix="`resources/list` names them."
            )
            raise protocol_error(error)
        if connection not in self._subscribers[uri]:
            watches = ExitStack()
            self._watch(uri, watches)
            self._subscribers[uri][connection] = watches
            connection.exit_stack.callback(self._forget, uri, connection)
        return EmptyResult()

    async def unsubscribe(self, context: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        """No longer announce an address on this connection."""
        self._forget(str(params.uri), _connection_of(context))
        return EmptyResult()

    async def _announce(self, uri: str) -> None:
        await self._bus.publish(ResourceUpdated(uri))
        for connection in list(self._subscribers.get(uri, ())):
            with anyio.move_on_after(_SEND_SECONDS) as scope:
                await connection.send_resource_updated(uri)
            if scope.cancelled_caught:
                self._forget(uri, connection)

    async def _may_see(self, context: Context, uri: str) -> bool:
        session = _session_in(uri)
        if session is None:
            return True
        try:
            await self._sessions.status(principal_of(context), session)
        except MlgymError:
            return False
        return True

    def _watch(self, uri: str, watches: ExitStack) -> None:
        session = _session_in(uri)
        if session is not None:
            self._watched[session][uri] += 1
            watches.callback(self._unwatch, session, uri)

    def _unwatch(self, session: str, uri: str) -> None:
        counts = self._watched[session]
        counts[uri] -= 1
        if counts[uri] <= 0:
            del counts[uri]
        if not counts:
            del self._watched[session]

    def _forget(self, uri: str, connection: Connection) -> None:
        subscribers = self._subscribers.get(uri, {})
        watches = subscribers.pop(connection, None)
        if watches is not None:
            watches.close()
        if not subscribers:
            self._subscribers.pop(uri, None)


def _session_in(uri: str) -> str | None:
    """The session an address is about."""
    if not uri.startswith(_PREFIX):
        return None
    return uri.removeprefix(_PREFIX).partition("/")[0]


def _connection_of(context: Context) -> Connection:
    """The connection a request came on, which the SDK's context does not hand out.

    It is what outlives the request: where announcements go, and whose end ends a subscription.
    """
    return vars(context.session)["_connection"]
