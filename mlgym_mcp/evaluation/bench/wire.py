"""Over MCP on stdio: a command, a file opened, a file edited, beside the SDK's own echo tool.

Above: the plan. Below: a server and an echo server as processes, each with an SDK client.
"""

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

from mcp import Client, StdioServerParameters, stdio_client
from mcp_types import CallToolResult

from mlgym_mcp.base.settings import EngineName, Settings
from mlgym_mcp.evaluation.bench.place import TASK
from mlgym_mcp.evaluation.bench.rivals import ECHO_MS
from mlgym_mcp.evaluation.bench.row import Row
from mlgym_mcp.evaluation.bench.timing import Samples, repeat_beside

_CALLS = 200
_ECHO = "mlgym_mcp.evaluation.bench.echo"
_SERVER = "mlgym_mcp.cli.main"
_FILE_MS = 3.0
_TEXT = "first\nsecond\nthird\n"


async def wire_rows(settings: Settings, engine: EngineName) -> list[Row]:
    """`run true`, `open` and `edit` as a client over stdio sees them."""
    chosen = {"MLGYM_MCP_HOME": str(settings.home), "MLGYM_MCP_ENGINE": engine}
    async with _client([_ECHO], {}) as echo, _client([_SERVER, "serve"], chosen) as client:
        floor = partial(echo.call_tool, "echo", {"text": "x"})

        async def timed(tool: str, arguments: dict[str, Any]) -> tuple[Samples, Samples]:
            ours = partial(_call, client, tool, held | arguments)
            return await repeat_beside(ours, floor, _CALLS, warm_up=20)

        started = await client.call_tool("start_session", {"task": TASK, "variant": "mini"})
        held: dict[str, Any] = {"session": _structured(started)["session"]}
        run = await timed("run", {"command": "true"})
        await client.call_tool("create", held | {"path": "notes.txt", "text": _TEXT})
        opened = await timed("open", {"path": "notes.txt"})
        edited = await timed("edit", {"path": "notes.txt", "start": 2, "end": 2, "new": "2nd"})
        await client.call_tool("end_session", held)
    return [
        _row("run true, MCP over stdio", engine, run, 2 * run[1].median + 1.7),
        _row("open a file, MCP over stdio", engine, opened, _FILE_MS),
        _row("edit a file, MCP over stdio", engine, edited, _FILE_MS),
    ]


def _structured(result: CallToolResult) -> dict[str, Any]:
    if result.is_error or result.structured_content is None:
        raise RuntimeError(f"A call failed while it was measured: {result.content}")
    return cast("dict[str, Any]", result.structured_content)


async def _call(client: Client, tool: str, arguments: dict[str, Any]) -> None:
    _structured(await client.call_tool(tool, arguments))


@asynccontextmanager
async def _client(module: list[str], variables: dict[str, str]) -> AsyncGenerator[Client]:
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", *module], env=dict(os.environ) | variables
    )
    async with Client(stdio_client(parameters)) as client:
        yield client


def _row(what: str, engine: str, timed: tuple[Samples, Samples], target: float) -> Row:
    ours, floor = timed
    return Row(
        what=what,
        engine=engine,
        unit="ms",
        value=ours.median,
        p95=ours.p95,
        runs=ours.runs,
        target=target,
        rival="echo tool of the SDK",
        rival_value=floor.median,
        rival_at_target=ECHO_MS if target == _FILE_MS else None,
    )
