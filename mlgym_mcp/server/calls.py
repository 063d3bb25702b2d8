"""Tool calls: check the arguments, call the tool, shape the answer.

Above: the server registers the two handlers. Below: the table of tools. Results leave as plain
dictionaries, because the SDK would turn a model into one anyway.
"""

from collections.abc import Iterable
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    ListToolsResult,
    PaginatedRequestParams,
    ToolAnnotations,
)
from mcp_types import Tool as ListedTool
from pydantic import ValidationError

from mlgym_mcp.base.errors import MlgymError
from mlgym_mcp.server.caller import principal_of
from mlgym_mcp.server.failure import bug, failure_of, failure_text, wrong_arguments
from mlgym_mcp.server.progress import heard
from mlgym_mcp.server.schema import input_schema, output_schema
from mlgym_mcp.server.tool import Call, Tool
from mlgym_mcp.sessions import Sessions

Context = ServerRequestContext[Any, Any]


class Calls:
    """The handlers of `tools/list` and `tools/call`."""

    def __init__(self, sessions: Sessions, tools: Iterable[Tool]) -> None:
        self._sessions = sessions
        self._tools = {tool.name: tool for tool in tools}
        self._listed = ListToolsResult(tools=[_listed(tool) for tool in self._tools.values()])
        self._schemas = {tool.name: tool.input_schema for tool in self._listed.tools}

    async def list(
        self, _context: Context, _params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        """Every tool, on one page."""
        return self._listed

    def input_schema(self, name: str) -> dict[str, Any] | None:
        """The schema of one tool's arguments."""
        return self._schemas.get(name)

    async def call(self, context: Context, params: CallToolRequestParams) -> dict[str, Any]:
        """Call one tool; what goes wrong inside it is a result that says so."""
        tool = self._tools.get(params.name)
        if tool is None:
            known = ", ".join(self._tools)
            raise MCPError(
                INVALID_PARAMS, f"There is no tool '{params.name[:100]}'. The tools are {known}."
            )
        try:
            return await self._answer(tool, context, params.arguments or {})
        except MlgymError as error:
            return _failed(error)
        except Exception as error:  # noqa: BLE001 - the outermost boundary of a call
            return _failed(bug(f"`{tool.name}`", error))

    async def _answer(self, tool: Tool, context: Context, given: dict[str, Any]) -> dict[str, Any]:
        try:
            arguments = tool.arguments.model_validate(given)
        except ValidationError as error:
            raise wrong_arguments(tool.name, tool.arguments, error) from error
        wants_progress = context.meta is not None and "progress_token" in context.meta
        send = context.session.report_progress if wants_progress else None
        async with heard(send) as progress:
            call = Call(self._sessions, principal_of(context), progress)
            result = await tool.answer(call, arguments)
        return {
            "content": [{"type": "text", "text": tool.text(result)}],
            "structuredContent": result.model_dump(mode="json"),
            "isError": False,
            "resultType": "complete",
        }


def _failed(error: MlgymError) -> dict[str, Any]:
    failure = failure_of(error)
    return {
        "content": [{"type": "text", "text": failure_text(failure)}],
        "structuredContent": failure.model_dump(mode="json"),
        "isError": True,
        "resultType": "complete",
    }


def _listed(tool: Tool) -> ListedTool:
    return ListedTool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=input_schema(tool.arguments),
        output_schema=output_schema(tool.results),
        annotations=ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.effect.reads,
            destructive_hint=tool.effect.destroys,
            idempotent_hint=tool.effect.repeats,
            open_world_hint=False,
        ),
    )
