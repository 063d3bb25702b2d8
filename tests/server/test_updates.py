"""Announcements of changes, in both eras of the protocol."""

from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    EmptyResult,
    ResourceUpdatedNotification,
    SubscribeRequest,
    SubscribeRequestParams,
    UnsubscribeRequest,
    UnsubscribeRequestParams,
)

from .talk import content, session_on, wired

pytestmark = pytest.mark.anyio


class Ear:
    """Hears announcements, and can be waited on."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self.news = anyio.Event()

    async def __call__(self, message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            self.uris.append(str(message.params.uri))
            self.news.set()

    async def hears(self) -> list[str]:
        with anyio.fail_after(5):
            await self.news.wait()
        self.news = anyio.Event()
        heard, self.uris = self.uris, []
        return heard


async def subscribe(client: Client, uri: str) -> None:
    request = SubscribeRequest(params=SubscribeRequestParams(uri=uri))
    await client.session.send_request(request, EmptyResult)


async def test_a_client_of_2025_hears_of_what_it_subscribed_to(server: Server[Any]) -> None:
    ear = Ear()
    async with (
        wired(server, "legacy", message_handler=ear) as client,
        session_on(client) as session,
    ):
        uris = [f"mlgym://sessions/{session}{end}" for end in ("", "/files/a.txt")]
        for uri in uris:
            await subscribe(client, uri)
        await content(client, "create", path="a.txt", text="x")
        heard = set(await ear.hears())
        while heard < set(uris):
            heard |= set(await ear.hears())
        assert heard == set(uris)


async def test_a_client_of_2025_hears_nothing_after_unsubscribing(server: Server[Any]) -> None:
    ear = Ear()
    async with (
        wired(server, "legacy", message_handler=ear) as client,
        session_on(client) as session,
    ):
        gone, kept = f"mlgym://sessions/{session}", f"mlgym://sessions/{session}/trajectory"
        await subscribe(client, gone)
        await subscribe(client, kept)
        request = UnsubscribeRequest(params=UnsubscribeRequestParams(uri=gone))
        await client.session.send_request(request, EmptyResult)
        await content(client, "create", path="a.txt", text="x")
        assert set(await ear.hears()) == {kept}


async def test_subscribing_to_a_session_that_is_not_ones_own_is_refused(
    server: Server[Any],
) -> None:
    async with wired(server, "legacy") as client:
        with pytest.raises(MCPError, match="no resource"):
            await subscribe(client, "mlgym://sessions/s-none")


async def test_a_client_of_2026_listens_on_a_stream(server: Server[Any]) -> None:
    async with wired(server, "auto") as client, session_on(client) as session:
        uri = f"mlgym://sessions/{session}"
        others = "mlgym://sessions/s-none"
        with anyio.fail_after(10):
            async with client.listen(resource_subscriptions=[uri, others]) as stream:
                assert stream.honored.resource_subscriptions == [uri]
                await content(client, "create", path="a.txt", text="x")
                event: Any = await anext(stream)
                assert event.uri == uri


async def test_subscriptions_end_with_their_connection(server: Server[Any]) -> None:
    ear = Ear()
    async with (
        wired(server, "legacy", message_handler=ear) as stays,
        session_on(stays) as session,
    ):
        uri = f"mlgym://sessions/{session}"
        async with wired(server, "legacy") as leaves:
            await subscribe(leaves, uri)
        await subscribe(stays, uri)
        await content(stays, "create", path="a.txt", text="x")
        assert set(await ear.hears()) == {uri}
