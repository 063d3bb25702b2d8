"""Serving over HTTP: who gets in, and what they may see."""

import hashlib
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    EmptyResult,
    PromptReference,
    SubscribeRequest,
    SubscribeRequestParams,
)

from mlgym_mcp.base.errors import RequestError, ServerError
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.server import HttpOptions, serve_http

from .talk import (
    ServeHttp,
    call,
    content,
    failure,
    resource_failure,
    session_on,
    text_of,
)

pytestmark = pytest.mark.anyio

LIST: dict[str, object] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
ACCEPT = {"Accept": "application/json, text/event-stream"}


@pytest.fixture
def tokens_file(home: Path) -> Path:
    """Tokens `a-token` of ann and `b-token` of bob."""
    path = home / "tokens.json"
    write_tokens(path, ann="a-token", bob="b-token")
    return path


def write_tokens(path: Path, **tokens: str) -> None:
    hashes = {name: hashlib.sha256(token.encode()).hexdigest() for name, token in tokens.items()}
    path.write_text(json.dumps(hashes))


@asynccontextmanager
async def connected(url: str, mode: str, token: str | None = None) -> AsyncGenerator[Client]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


async def post(url: str, headers: dict[str, str], body: object = LIST) -> httpx2.Response:
    with anyio.fail_after(10):
        async with httpx2.AsyncClient() as http:
            return await http.post(url, json=body, headers={**ACCEPT, **headers})


async def test_both_eras_are_served_at_once(serve: ServeHttp) -> None:
    url = await serve()
    async with (
        connected(url, "auto") as new,
        connected(url, "legacy") as old,
        session_on(new) as session,
    ):
        assert new.protocol_version == "2026-07-28"
        assert old.protocol_version.startswith("2025-")
        found = await content(old, "run", session=session, command="echo both")
        assert found["output"] == "both\n"


async def test_health_needs_no_token(serve: ServeHttp, tokens_file: Path) -> None:
    url = await serve(tokens_file=tokens_file)
    async with httpx2.AsyncClient() as http:
        answer = await http.get(url.replace("/mcp", "/health"))
    assert answer.json()["status"] == "ok"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic YTph"},
        {"Authorization": "a-token"},
    ],
)
async def test_without_a_right_token_the_answer_is_401(
    serve: ServeHttp, tokens_file: Path, headers: dict[str, str]
) -> None:
    answer = await post(await serve(tokens_file=tokens_file), headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")


async def test_a_hash_is_no_token(serve: ServeHttp, tokens_file: Path) -> None:
    stored = json.loads(tokens_file.read_text())["ann"]
    url = await serve(tokens_file=tokens_file)
    assert (await post(url, {"Authorization": f"Bearer {stored}"})).status_code == 401


async def test_tokens_are_read_again_when_their_file_changes(
    serve: ServeHttp, tokens_file: Path
) -> None:
    url = await serve(tokens_file=tokens_file)
    bearer = {"Authorization": "Bearer a-token"}
    assert (await post(url, bearer)).status_code != 401
    write_tokens(tokens_file, bob="b-token")
    assert (await post(url, bearer)).status_code == 401
    tokens_file.write_text("{ broken")
    assert (await post(url, {"Authorization": "Bearer b-token"})).status_code == 401


ON_A_SESSION: dict[str, dict[str, Any]] = {
    "session_status": {},
    "run": {"command": "true"},
    "job": {"job_id": "j-1"},
    "open": {"path": "strategy.py"},
    "create": {"path": "x", "text": "x"},
    "edit": {"path": "strategy.py", "start": 1, "end": 1, "new": "x"},
    "insert": {"path": "strategy.py", "line": 1, "text": "x"},
    "find": {"pattern": "*"},
    "search": {"text": "x"},
    "list_files": {},
    "validate": {},
    "submit": {},
    "end_session": {},
}
"""Every tool that takes a session, with what else it needs."""


async def test_nobody_reaches_anothers_session(
    serve: ServeHttp, tokens_file: Path, mode: str
) -> None:
    url = await serve(tokens_file=tokens_file)
    async with (
        connected(url, mode, "a-token") as ann,
        connected(url, mode, "b-token") as bob,
        session_on(ann) as session,
    ):
        unknown = await failure(bob, "session_status", session="s-0123456789abcdef0123")
        taking = {
            tool.name
            for tool in (await ann.list_tools()).tools
            if "session" in tool.input_schema["properties"]
        }
        assert taking == set(ON_A_SESSION)
        for tool, more in ON_A_SESSION.items():
            found = await failure(bob, tool, session=session, **more)
            words = found["message"].replace(session, "s-0123456789abcdef0123")
            assert {**found, "message": words} == unknown
        for end in ("", "/trajectory", "/files/strategy.py"):
            found = await resource_failure(bob, f"mlgym://sessions/{session}{end}")
            assert found["code"] == "not_found"
        listed = {str(entry.uri) for entry in (await bob.list_resources()).resources}
        assert f"mlgym://sessions/{session}" not in listed
        with pytest.raises(MCPError, match=session):
            await bob.get_prompt("review_session", {"session": session})
        review = PromptReference(name="review_session")
        for client, found_ids in ((ann, [session]), (bob, [])):
            said = await client.complete(review, {"name": "session", "value": "s-"})
            assert said.completion.values == found_ids
        assert not await hears_of(bob, mode, f"mlgym://sessions/{session}")
        assert await hears_of(ann, mode, f"mlgym://sessions/{session}")
        assert (await content(ann, "session_status"))["session"] == session


async def hears_of(client: Client, mode: str, uri: str) -> bool:
    """Whether a client may ask for news of a resource."""
    if mode == "auto":
        async with client.listen(resource_subscriptions=[uri]) as stream:
            return uri in (stream.honored.resource_subscriptions or [])
    request = SubscribeRequest(params=SubscribeRequestParams(uri=uri))
    try:
        await client.session.send_request(request, EmptyResult)
    except MCPError:
        return False
    return True


async def test_the_local_principal_is_not_a_tokens(serve: ServeHttp, tokens_file: Path) -> None:
    url = await serve(tokens_file=tokens_file)
    async with (
        connected(url, "auto", "a-token") as ann,
        session_on(ann),
        connected(url, "auto", "b-token") as bob,
    ):
        assert "none open" in text_of(await call(bob, "session_status"))


async def test_a_connection_cannot_be_taken_over_with_another_token(
    serve: ServeHttp, tokens_file: Path
) -> None:
    url = await serve(tokens_file=tokens_file)
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "x", "version": "1"},
        },
    }
    opened = await post(url, {"Authorization": "Bearer a-token"}, hello)
    stolen = {"Mcp-Session-Id": opened.headers["mcp-session-id"]}
    assert (await post(url, {"Authorization": "Bearer b-token", **stolen})).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1.evil.example"}, 403),
    ],
)
async def test_a_rebound_name_is_refused(
    serve: ServeHttp, headers: dict[str, str], status: int
) -> None:
    assert (await post(await serve(), headers)).status_code == status


async def test_an_operators_own_names_are_accepted(serve: ServeHttp) -> None:
    url = await serve(allowed_hosts=("gym.example",), allowed_origins=("https://gym.example",))
    headers = {"Host": "gym.example", "Origin": "https://gym.example"}
    assert (await post(url, headers)).status_code not in (403, 421)


async def test_a_body_over_the_limit_is_refused(serve: ServeHttp) -> None:
    url = await serve(max_body_bytes=10_000)
    assert (await post(url, {}, {**LIST, "params": {"x": "y" * 20_000}})).status_code == 413


async def test_garbage_is_refused_and_harms_nobody(serve: ServeHttp) -> None:
    url = await serve()
    async with httpx2.AsyncClient() as http:
        for body in (b"", b"{", b"[1, 2]", b"\xff\xfe", b"[" * 9000):
            headers = {**ACCEPT, "Content-Type": "application/json"}
            answer = await http.post(url, content=body, headers=headers)
            assert answer.status_code == 400
    async with connected(url, "auto") as client:
        assert (await client.list_tools()).tools


async def test_a_port_in_use_is_named_with_the_way_out(fake_settings: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ServerError, match=str(port)) as caught:
            await serve_http(fake_settings, HttpOptions(port=port))
    assert "--port" in caught.value.fix


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
async def test_off_loopback_tokens_are_needed(fake_settings: Settings, host: str) -> None:
    with pytest.raises(RequestError, match="Without tokens") as caught:
        await serve_http(fake_settings, HttpOptions(host=host, port=0))
    assert "mlgym-mcp tokens add" in caught.value.fix


async def test_a_name_that_is_no_address_is_refused(
    fake_settings: Settings, tokens_file: Path
) -> None:
    options = HttpOptions(host="no.such.host.invalid", port=0, tokens_file=tokens_file)
    with pytest.raises(RequestError, match="no address of this machine"):
        await serve_http(fake_settings, options)


@pytest.mark.parametrize("text", [None, "{", "[]", '{"ann": "token"}', '{"ann": 1}'], ids=str)
async def test_a_file_of_tokens_that_is_none_is_named(
    fake_settings: Settings, home: Path, text: str | None
) -> None:
    path = home / "tokens.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ServerError, match=r"tokens\.json") as caught:
        await serve_http(fake_settings, HttpOptions(port=0, tokens_file=path))
    assert "mlgym-mcp tokens add" in caught.value.fix


async def test_loopback_is_served_by_ipv6_too(serve: ServeHttp) -> None:
    url = await serve(host="::1")
    assert url.startswith("http://[::1]:")
    async with connected(url, "auto") as client:
        assert (await client.list_tools()).tools


async def test_twenty_clients_play_at_once(serve: ServeHttp) -> None:
    url = await serve()
    outputs: list[str] = []

    async def play(number: int) -> None:
        mode = "auto" if number % 2 else "legacy"
        async with connected(url, mode) as client, session_on(client) as session:
            found = await content(client, "run", session=session, command=f"echo {number}")
            outputs.append(found["output"].strip())

    with anyio.fail_after(60):
        async with anyio.create_task_group() as clients:
            for number in range(20):
                clients.start_soon(play, number)
    assert sorted(map(int, outputs)) == list(range(20))
