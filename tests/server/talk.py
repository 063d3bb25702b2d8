"""What tests say to a server, and what they look at in its answers."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import pytest
from mcp import Client
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError
from mcp.shared.memory import create_client_server_memory_streams
from mcp_types import CallToolResult, TextContent

from mlgym_mcp.base.tasks import owned_tasks

ServeHttp = Callable[..., Awaitable[str]]
"""Starts a server with these options; gives its URL."""

TASK = "battle-of-sexes"


@asynccontextmanager
async def wired(server: Server[Any], mode: str, **options: Any) -> AsyncGenerator[Client]:
    """A client on the other end of a wire in memory, speaking JSON-RPC in both eras."""

    @asynccontextmanager
    async def transport() -> AsyncGenerator[Any]:
        async with create_client_server_memory_streams() as (near, far), owned_tasks() as tasks:
            tasks.start_soon(server.run, *far, server.create_initialization_options())
            yield near

    async with Client(transport(), mode=mode, **options) as client:
        yield client


@asynccontextmanager
async def session_on(client: Client, **arguments: Any) -> AsyncGenerator[str]:
    """An open session, ended afterwards."""
    opened = await content(client, "start_session", task=TASK, **arguments)
    yield str(opened["session"])
    await client.call_tool("end_session", {"session": opened["session"]})


async def call(client: Client, tool: str, **arguments: Any) -> CallToolResult:
    with anyio.fail_after(20):
        return await client.call_tool(tool, arguments)


async def content(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured content of a call that must work."""
    result = await call(client, tool, **arguments)
    assert not result.is_error, text_of(result)
    return cast("dict[str, Any]", result.structured_content)


async def failure(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured content of a call that must fail."""
    result = await call(client, tool, **arguments)
    assert result.is_error, text_of(result)
    found = cast("dict[str, Any]", result.structured_content)
    assert found["message"] in text_of(result)
    assert found["fix"] in text_of(result)
    return found


def text_of(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


async def resource_failure(client: Client, uri: str) -> dict[str, Any]:
    """The data of the error that reading a resource must give."""
    with anyio.fail_after(20), pytest.raises(MCPError) as caught:
        await client.read_resource(uri)
    return cast("dict[str, Any]", caught.value.data)
