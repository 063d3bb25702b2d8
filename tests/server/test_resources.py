"""Resources: what is listed, and what each holds."""

import base64
import json
from typing import Any

import pytest
from mcp import Client
from mcp_types import BlobResourceContents, TextResourceContents

from mlgym_mcp.base.settings import Settings
from mlgym_mcp.catalog import load_catalog

from .talk import TASK, content, resource_failure, session_on

pytestmark = pytest.mark.anyio

TEMPLATES = {
    "mlgym://tasks/{task}",
    "mlgym://tasks/{task}/spec",
    "mlgym://datasets/{dataset}",
    "mlgym://sessions/{session}",
    "mlgym://sessions/{session}/trajectory",
    "mlgym://sessions/{session}/files/{+path}",
    "mlgym://leaderboard/{task}",
}


async def read(client: Client, uri: str) -> str:
    found = (await client.read_resource(uri)).contents[0]
    assert isinstance(found, TextResourceContents)
    return found.text


async def read_json(client: Client, uri: str) -> Any:
    return json.loads(await read(client, uri))


async def test_every_family_is_listed(client: Client) -> None:
    found = (await client.list_resource_templates()).resource_templates
    assert {entry.uri_template for entry in found} == TEMPLATES


async def test_tasks_datasets_and_own_sessions_are_listed_and_can_be_read(client: Client) -> None:
    async with session_on(client) as session:
        uris = {str(entry.uri) for entry in (await client.list_resources()).resources}
        assert f"mlgym://sessions/{session}" in uris
        assert {"mlgym://tasks", f"mlgym://tasks/{TASK}", "mlgym://datasets/house-prices"} <= uris
        for uri in uris:
            if not uri.startswith("mlgym://datasets/"):
                assert await read(client, uri)


async def test_a_task_is_its_brief_and_its_spec(client: Client, fake_settings: Settings) -> None:
    task = load_catalog(fake_settings).task(TASK)
    assert await read(client, f"mlgym://tasks/{TASK}") == task.brief
    spec = await read_json(client, f"mlgym://tasks/{TASK}/spec")
    assert spec["metric"]["baseline"] == 1.0227
    listed = await read_json(client, "mlgym://tasks")
    assert TASK in [entry["id"] for entry in listed["tasks"]]


async def test_a_dataset_that_is_not_here_says_how_to_get_it(client: Client) -> None:
    found = await resource_failure(client, "mlgym://datasets/house-prices")
    assert found["code"] == "data_missing"
    assert "mlgym-mcp data fetch" in found["fix"]


async def test_a_session_is_its_state_and_its_steps(client: Client) -> None:
    async with session_on(client) as session:
        await content(client, "run", command="echo traced")
        view = await read_json(client, f"mlgym://sessions/{session}")
        assert view["state"] == "active"
        lines = (await read(client, f"mlgym://sessions/{session}/trajectory")).splitlines()
        events = [json.loads(line) for line in lines]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert "traced" in str(events[-1]["payload"])


async def test_files_are_text_or_bytes(client: Client) -> None:
    async with session_on(client) as session:
        files = f"mlgym://sessions/{session}/files"
        await content(client, "create", path="deep/er/a.txt", text="grüße\n")
        assert await read(client, f"{files}/deep/er/a.txt") == "grüße\n"
        await content(client, "run", command=r"printf '\377\376' > raw.bin")
        found = (await client.read_resource(f"{files}/raw.bin")).contents[0]
        assert isinstance(found, BlobResourceContents | TextResourceContents)


async def test_a_file_address_cannot_leave_the_workspace(client: Client) -> None:
    async with session_on(client) as session:
        for path in ("../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd"):
            uri = f"mlgym://sessions/{session}/files/{path}"
            assert (await resource_failure(client, uri))["code"] in ("bad_path", "not_found")


async def test_the_leaderboard_begins_empty_and_names_the_metric(client: Client) -> None:
    board = await read_json(client, f"mlgym://leaderboard/{TASK}")
    assert board["rows"] == []
    assert board["metric"]["direction"] == "max"


@pytest.mark.parametrize(
    "uri",
    [
        "mlgym://nowhere",
        "mlgym://tasks/none",
        "mlgym://tasks/none/spec",
        "mlgym://datasets/none",
        "mlgym://sessions/s-none",
        "mlgym://sessions/s-none/trajectory",
        "mlgym://sessions/s-none/files/x",
        "mlgym://leaderboard/none",
    ],
)
async def test_what_does_not_exist_is_an_error_with_a_code(client: Client, uri: str) -> None:
    found = await resource_failure(client, uri)
    assert found["code"] == "not_found"
    assert found["message"]


def test_a_blob_is_base64() -> None:
    """What the tests above rely on when they look at binary contents."""
    assert base64.b64decode("//4=") == b"\xff\xfe"
