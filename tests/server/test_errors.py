"""How failures look to a client."""

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel

from mlgym_mcp.server import open_server
from mlgym_mcp.server.tool import Arguments, Call, Tool
from mlgym_mcp.sessions import Sessions
from mlgym_mcp.types.files import Found

from .talk import TASK, failure, session_on, wired

pytestmark = pytest.mark.anyio


async def test_an_unknown_argument_is_named_with_the_ones_there_are(client: Client) -> None:
    found = await failure(client, "run", cmd="ls")
    assert found["code"] == "bad_request"
    assert "no argument 'cmd'" in found["message"]
    assert "'command' is missing" in found["message"]
    assert "command, timeout_seconds, wait_seconds" in found["fix"]


async def test_a_misspelt_argument_is_told_its_likely_name(client: Client) -> None:
    found = await failure(client, "run", command="ls", timeout_second=3)
    assert "perhaps 'timeout_seconds'" in found["message"]


async def test_an_argument_of_the_wrong_kind_is_shown_with_the_reason(client: Client) -> None:
    found = await failure(client, "run", command="ls", timeout_seconds="soon")
    assert "'timeout_seconds' is 'soon'" in found["message"]


async def test_a_huge_wrong_argument_is_not_echoed_whole(client: Client) -> None:
    found = await failure(client, "open", path="x", line="9" * 100_000 + "x")
    assert len(found["message"]) < 400


async def test_a_tool_without_arguments_says_so(client: Client) -> None:
    found = await failure(client, "validate", **{"x" * 10: 1})
    assert found["fix"] == "`validate` takes session."


async def test_an_unknown_task_names_near_ones(client: Client) -> None:
    found = await failure(client, "start_session", task="battle-of-sexs")
    assert found["code"] == "not_found"
    assert TASK in found["fix"]


async def test_missing_data_names_the_command_that_fetches_it(client: Client) -> None:
    found = await failure(client, "start_session", task="house-prices")
    assert found["code"] == "data_missing"
    assert "mlgym-mcp data fetch house-prices" in found["fix"]


@pytest.mark.parametrize("tool", ["session_status", "validate", "submit", "end_session"])
async def test_an_unknown_session_is_not_found(client: Client, tool: str) -> None:
    assert (await failure(client, tool, session="s-none"))["code"] == "not_found"


async def test_paths_out_of_the_workspace_are_refused(client: Client) -> None:
    async with session_on(client):
        for tool, more in (("open", {}), ("create", {"text": "x"}), ("list_files", {})):
            found = await failure(client, tool, path="../../etc/passwd", **more)
            assert found["code"] == "bad_path"


async def test_an_unknown_tool_is_a_protocol_error_that_names_the_tools(client: Client) -> None:
    with pytest.raises(MCPError, match=r"no tool 'bash'.*run, job") as caught:
        await client.call_tool("bash", {})
    assert caught.value.code == -32602


async def _break(_call: Call, _given: Arguments) -> BaseModel:
    raise ValueError("/secret/path is full of bees")


BROKEN = Tool(
    name="break",
    title="Break",
    description="Fails as a bug would.",
    arguments=Arguments,
    results=(Found,),
    answer=_break,
    text=str,
)


@pytest.fixture
async def broken(sessions: Sessions, mode: str) -> AsyncGenerator[Client]:
    async with open_server(sessions, [BROKEN]) as server, wired(server, mode) as client:
        yield client


async def test_a_bug_is_logged_and_shown_without_its_details(
    broken: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    found = await failure(broken, "break")
    assert found["code"] == "server_failed"
    assert "bees" not in str(found)
    logged = capsys.readouterr()
    assert "bees" in logged.out + logged.err


async def test_a_failed_call_leaves_the_connection_usable(broken: Client) -> None:
    for _ in range(3):
        await failure(broken, "break")
    with anyio.fail_after(5):
        tools: list[Any] = (await broken.list_tools()).tools
    assert [tool.name for tool in tools] == ["break"]
