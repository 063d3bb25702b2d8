"""What tests do with a client."""

from dataclasses import dataclass
from typing import Any, cast

import anyio
from anyio.abc import Process
from mcp import Client
from mcp_types import CallToolResult, TextContent

TASK = "battle-of-sexes"
BUILD_SECONDS = 180
"""The first session of a run builds the environment."""


@dataclass(frozen=True)
class Served:
    """A server that accepts requests."""

    url: str
    process: Process


async def content(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured content of a call that must work."""
    with anyio.fail_after(BUILD_SECONDS):
        result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    return cast("dict[str, Any]", result.structured_content)


def text_of(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))
