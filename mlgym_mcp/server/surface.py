"""The MCP server: tools, resources, prompts and completions over sessions.

Above: stdio and HTTP give it a transport. Below: sessions. It keeps nothing of its own: the session
is an argument of each call, never the connection, so any transport and any number of connections
may serve the same caller.
"""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from mcp.server.caching import CacheHint
from mcp.server.lowlevel.server import Server
from mcp_types import CallToolRequestParams

from mlgym_mcp.base.tasks import owned_tasks
from mlgym_mcp.server.calls import Calls
from mlgym_mcp.server.completions import Completions
from mlgym_mcp.server.library import Library
from mlgym_mcp.server.prompts import Prompts
from mlgym_mcp.server.resources import RESOURCES
from mlgym_mcp.server.tool import Tool
from mlgym_mcp.server.tools.table import TOOLS
from mlgym_mcp.server.updates import Updates
from mlgym_mcp.sessions import Sessions

NAME = "mlgym-mcp"
_INSTRUCTIONS = (
    "Machine-learning research tasks as sandboxed workspaces. `list_tasks` shows them, "
    "`start_session` opens one and gives its brief; `open`, `edit`, `create` and `run` work in it; "
    "`validate` scores a part (counted), `submit` scores for good and ends the session. While you "
    "have exactly one session open, leave `session` out."
)
_UNCHANGING = CacheHint(ttl_ms=3_600_000, scope="public")


@asynccontextmanager
async def open_server(
    sessions: Sessions, tools: Iterable[Tool] = TOOLS
) -> AsyncGenerator[Server[dict[str, Any]]]:
    """A server of these sessions, and the task that announces what changes in them."""
    updates = Updates(sessions)
    server = _server(sessions, tools, updates)
    async with owned_tasks() as tasks:
        tasks.start_soon(updates.run)
        unwatch = sessions.watch(updates.touch)
        try:
            yield server
        finally:
            unwatch()
            updates.close()


def _server(sessions: Sessions, tools: Iterable[Tool], updates: Updates) -> Server[dict[str, Any]]:
    calls = Calls(sessions, tools)
    library = Library(sessions, RESOURCES)
    prompts = Prompts(sessions)
    server: Server[dict[str, Any]] = Server(
        NAME,
        version=version(NAME),
        title="MLGym research tasks",
        instructions=_INSTRUCTIONS,
        cache_hints={
            "tools/list": _UNCHANGING,
            "prompts/list": _UNCHANGING,
            "resources/templates/list": _UNCHANGING,
        },
        get_tool_input_schema=calls.input_schema,
        on_list_tools=calls.list,
        on_list_resources=library.list,
        on_list_resource_templates=library.templates,
        on_read_resource=library.read,
        on_subscribe_resource=updates.subscribe,
        on_unsubscribe_resource=updates.unsubscribe,
        on_subscriptions_listen=updates.listen,
        on_list_prompts=prompts.list,
        on_get_prompt=prompts.get,
        on_completion=Completions(sessions).complete,
    )
    server.add_request_handler("tools/call", CallToolRequestParams, calls.call)
    return server
