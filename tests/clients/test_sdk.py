"""The SDK's own client, over each transport and in each era, against a real sandbox."""

import json
import signal
from base64 import b64decode
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp_types import BlobResourceContents, TextResourceContents

from .conftest import Connect, Serve
from .play import TASK, content, text_of

pytestmark = [pytest.mark.anyio, pytest.mark.bubblewrap]

ALWAYS_0 = "def row_strategy(history):\n    return 0\n"
SLEEPERS = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c 'sleep 98[7]'"


async def read_json(client: Client, uri: str) -> Any:
    (found,) = (await client.read_resource(uri)).contents
    assert isinstance(found, TextResourceContents)
    return json.loads(found.text)


async def test_a_task_is_played_to_its_end(connect: Connect) -> None:
    async with connect() as client:
        opened = await content(client, "start_session", task=TASK, variant="mini")
        session = opened["session"]
        shown = await content(client, "open", path="strategy.py")
        assert "def row_strategy" in shown["text"]
        await content(client, "create", path="strategy.py", text=ALWAYS_0)
        hits = await content(client, "search", text="row_strategy", glob="*.py")
        assert "strategy.py" in [hit["path"] for hit in hits["matches"]]
        ran = await content(client, "run", command="python -c 'import strategy; print(1 + 1)'")
        assert (ran["exit_code"], ran["output"]) == (0, "2\n")
        validation = await content(client, "validate")
        assert validation["kind"] == "validate"
        grade = await content(client, "submit")
        assert (grade["kind"], grade["integrity"], grade["status"]) == ("submit", "clean", "graded")
        assert 1.2 < grade["metrics"]["score"] < 1.7
        view = await content(client, "session_status", session=session)
        assert view["state"] == "submitted"
        assert view["grade"]["score"] == grade["score"]
        board = await read_json(client, f"mlgym://leaderboard/{TASK}")
        (row,) = board["rows"]
        assert (row["rank"], row["variant"], row["score"]) == (1, "mini", grade["score"])
        assert session not in json.dumps(board)
        found = await client.call_tool("run", {"session": session, "command": "true"})
        assert found.structured_content is not None
        assert found.structured_content["code"] == "session_ended"


async def test_an_edit_that_breaks_python_is_refused_and_changes_nothing(
    connect: Connect,
) -> None:
    async with connect() as client:
        await content(client, "start_session", task=TASK)
        await content(client, "create", path="a.py", text="x = 1\n")
        refused = await client.call_tool("edit", {"path": "a.py", "old": "1", "new": "(1"})
        assert refused.is_error
        assert "never closed" in text_of(refused)
        assert "x = 1" in (await content(client, "open", path="a.py"))["text"]
        forced = {"path": "a.py", "old": "1", "new": "(1", "force": True}
        assert "x = (1" in (await content(client, "edit", **forced))["text"]
        await content(client, "end_session")


@pytest.mark.data
async def test_a_dataset_is_shown_by_its_columns_sizes_and_a_few_rows(connect: Connect) -> None:
    async with connect() as client:
        card = await read_json(client, "mlgym://datasets/house-prices")
        assert card["rows"] == {"train.csv": 1022, "validation.csv": 146, "test.csv": 292}
        assert {"Id", "LotArea", "SalePrice"} <= set(card["columns"])
        assert 1 <= len(card["sample"]["train.csv"]) <= 10
        assert "SalePrice" not in json.dumps(card["sample"].get("test.csv", []))


async def test_a_file_that_is_no_text_is_read_byte_for_byte(connect: Connect) -> None:
    async with connect() as client:
        session = (await content(client, "start_session", task=TASK))["session"]
        await content(client, "run", command=r"printf '\377\376\000\n' > raw.bin")
        found = await client.read_resource(f"mlgym://sessions/{session}/files/raw.bin")
        (raw,) = found.contents
        assert isinstance(raw, BlobResourceContents)
        assert b64decode(raw.blob) == b"\xff\xfe\x00\n"
        await content(client, "end_session")


async def test_a_given_up_command_is_dead_in_the_sandbox(connect: Connect) -> None:
    begun = anyio.Event()

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        if "begun" in (message or ""):
            begun.set()

    async with connect() as client:
        await content(client, "start_session", task=TASK)

        async def run() -> None:
            command = {"command": "echo begun; (setsid sleep 987 &); sleep 987"}
            await client.call_tool("run", command, progress_callback=heard)

        with anyio.fail_after(30):
            async with anyio.create_task_group() as callers:
                callers.start_soon(run)
                await begun.wait()
                alive = await content(client, "run", command=SLEEPERS)
                assert alive["output"].strip() != "0"
                callers.cancel_scope.cancel()
            while (await content(client, "run", command=SLEEPERS))["output"].strip() != "0":
                await anyio.lowlevel.checkpoint()
        await content(client, "end_session")


async def test_a_session_outlives_the_server_that_opened_it(
    program: StdioServerParameters, mode: str
) -> None:
    async with Client(program, mode=mode) as client:
        await content(client, "start_session", task=TASK)
        await content(client, "create", path="kept.txt", text="kept\n")
    async with Client(program, mode=mode) as client:
        found = await content(client, "run", command="cat kept.txt")
        assert found["output"] == "kept\n"
        await content(client, "end_session")


async def test_a_served_program_stops_at_sigterm_although_a_stream_is_open(serve: Serve) -> None:
    async with serve("fake") as served, Client(served.url, mode="legacy") as client:
        assert (await client.list_tools()).tools
        served.process.send_signal(signal.SIGTERM)
        with anyio.fail_after(8):
            assert await served.process.wait() == 0
