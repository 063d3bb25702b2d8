"""The MCP Inspector's command line, over stdio and HTTP."""

import json
import os
from pathlib import Path
from subprocess import PIPE
from typing import Any

import anyio
import pytest
from mcp import StdioServerParameters

from .conftest import Serve
from .play import BUILD_SECONDS, TASK

pytestmark = [pytest.mark.anyio, pytest.mark.node, pytest.mark.bubblewrap]


class Inspector:
    """Runs the Inspector once for each question, as a person at a shell would."""

    def __init__(self, node_bin: Path, target: list[str], variables: dict[str, str]) -> None:
        self._command = [str(node_bin / "mcp-inspector"), "--cli", *target]
        path = f"{node_bin}{os.pathsep}{variables['PATH']}"
        self._variables = {**variables, "PATH": path}

    async def ask(self, method: str, *arguments: str) -> Any:
        command = [*self._command, "--method", method, *arguments]
        with anyio.fail_after(BUILD_SECONDS):
            done = await anyio.run_process(
                command, env=self._variables, stdout=PIPE, stderr=PIPE, check=False
            )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    async def call(self, tool: str, **arguments: str) -> Any:
        given = [
            part for name, value in arguments.items() for part in ("--tool-arg", f"{name}={value}")
        ]
        return await self.ask("tools/call", "--tool-name", tool, *given)


async def see_everything(inspector: Inspector) -> None:
    tools = (await inspector.ask("tools/list"))["tools"]
    assert len(tools) == 15
    assert all("outputSchema" in tool for tool in tools)
    assert (await inspector.ask("resources/list"))["resources"]
    assert len((await inspector.ask("resources/templates/list"))["resourceTemplates"]) == 7
    read = await inspector.ask("resources/read", "--uri", f"mlgym://tasks/{TASK}")
    assert read["contents"][0]["mimeType"] == "text/markdown"
    assert len((await inspector.ask("prompts/list"))["prompts"]) == 2
    prompt = ("--prompt-name", "solve_task", "--prompt-args", f"task={TASK}")
    assert (await inspector.ask("prompts/get", *prompt))["messages"]


async def work_in_a_session(inspector: Inspector) -> None:
    opened = await inspector.call("start_session", task=TASK, variant="mini")
    assert opened["structuredContent"]["session"]
    ran = await inspector.call("run", command="echo inspected")
    assert ran["structuredContent"]["output"] == "inspected\n"
    failed = await inspector.call("run", cmd="echo")
    assert failed["isError"]
    assert failed["structuredContent"]["code"] == "bad_request"
    grade = await inspector.call("validate")
    assert grade["structuredContent"]["integrity"] == "clean"
    assert (await inspector.call("end_session"))["structuredContent"]["state"] == "closed"


async def test_the_inspector_works_over_stdio(
    node_bin: Path, program: StdioServerParameters
) -> None:
    """Each question starts a server of its own; the session goes on from one to the next."""
    target = [program.command, *program.args]
    inspector = Inspector(node_bin, target, dict(program.env or {}))
    await see_everything(inspector)
    await work_in_a_session(inspector)


async def test_the_inspector_works_over_http(
    node_bin: Path, serve: Serve, variables: dict[str, str]
) -> None:
    async with serve() as served:
        target = [served.url, "--transport", "http"]
        inspector = Inspector(node_bin, target, variables)
        await see_everything(inspector)
        await work_in_a_session(inspector)
