"""What the tools say of themselves, and what they answer."""

import json
from typing import Any

import jsonschema
import pytest
from mcp import Client
from mcp_types import CallToolResult

from .talk import TASK, call, content, session_on, text_of

pytestmark = pytest.mark.anyio

# name: read-only, destructive, idempotent
ANNOTATIONS = {
    "list_tasks": (True, False, True),
    "start_session": (False, False, False),
    "session_status": (True, False, True),
    "open": (True, False, True),
    "edit": (False, True, False),
    "create": (False, True, True),
    "insert": (False, False, False),
    "find": (True, False, True),
    "search": (True, False, True),
    "list_files": (True, False, True),
    "run": (False, True, False),
    "job": (False, True, True),
    "validate": (False, False, False),
    "submit": (False, True, False),
    "end_session": (False, True, True),
}


async def test_every_tool_is_listed_with_what_it_does_to_the_world(client: Client) -> None:
    listed = (await client.list_tools()).tools
    found = {
        tool.name: (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint)
        for tool in listed
        if (hints := tool.annotations) is not None
    }
    assert found == ANNOTATIONS
    assert all(tool.annotations and tool.annotations.open_world_hint is False for tool in listed)
    assert all(tool.title and tool.description for tool in listed)


async def test_schemas_are_valid_and_have_an_object_at_the_root(client: Client) -> None:
    for tool in (await client.list_tools()).tools:
        assert tool.output_schema is not None
        for schema in (tool.input_schema, tool.output_schema):
            assert schema["type"] == "object"
            jsonschema.Draft202012Validator.check_schema(schema)
        assert tool.input_schema["additionalProperties"] is False
        failed = {"code": "not_found", "message": "There is none.", "fix": ""}
        jsonschema.validate(failed, tool.output_schema)


async def test_every_argument_is_described_or_plain(client: Client) -> None:
    plain = {"path", "text", "old", "new", "command", "task", "variant", "action", "job_id", "glob"}
    for tool in (await client.list_tools()).tools:
        for name, schema in tool.input_schema["properties"].items():
            assert "description" in schema or name in plain, f"{tool.name}.{name}"


async def test_tasks_are_listed_by_area_and_by_words(client: Client) -> None:
    async def ids(**wanted: str) -> set[str]:
        return {task["id"] for task in (await content(client, "list_tasks", **wanted))["tasks"]}

    games = {"battle-of-sexes", "colonel-blotto", "prisoners-dilemma"}
    assert games < await ids()
    assert await ids(area="game") == games
    assert await ids(area="game", query="blotto") == {"colonel-blotto"}
    assert await ids(query="titanic") == {"titanic"}
    assert await ids(query="no such words anywhere") == set()


async def test_a_session_is_worked_in_by_tools_that_answer_in_text_and_structure(
    client: Client,
) -> None:
    async with session_on(client, variant="mini", label="try") as session:
        schemas = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}
        steps: list[tuple[str, dict[str, Any], str]] = [
            ("list_tasks", {"query": "coordination"}, "battle-of-sexes [game]"),
            ("session_status", {}, f"Session {session} 'try' on battle-of-sexes (mini) is active"),
            ("create", {"path": "a/b.py", "text": "x = 1\ny = 2\n"}, "a/b.py written: 2 lines"),
            ("insert", {"path": "a/b.py", "line": 1, "text": "z = 3\n"}, "1\tz = 3"),
            ("edit", {"path": "a/b.py", "old": "y = 2", "new": "y = 4"}, "3\ty = 4"),
            ("edit", {"path": "a/b.py", "start": 1, "end": 1, "new": "z = 5"}, "1\tz = 5"),
            ("open", {"path": "a/b.py", "line": 2, "window": 1}, "lines 2-2 of 3"),
            ("find", {"pattern": "**/*.py"}, "a/b.py"),
            ("list_files", {"depth": 2}, "a/b.py"),
            ("run", {"command": "echo hello"}, "hello\n[exit 0"),
            ("run", {"command": "cd a; false"}, "[exit 1"),
            ("end_session", {}, "is closed"),
        ]
        for tool, arguments, expected in steps:
            result = await call(client, tool, **arguments)
            _is_in_text_and_structure(result, schemas[tool], expected)


def _is_in_text_and_structure(result: CallToolResult, schema: Any, expected: str) -> None:
    assert not result.is_error
    assert expected in text_of(result)
    jsonschema.validate(result.structured_content, schema)
    with pytest.raises(json.JSONDecodeError):
        json.loads(text_of(result))


async def test_a_long_command_becomes_a_job_that_can_be_read_and_cancelled(client: Client) -> None:
    async with session_on(client):
        started = await call(client, "run", command="echo begun; sleep 600", wait_seconds=0)
        assert started.structured_content is not None
        assert started.structured_content["state"] == "running"
        job_id = started.structured_content["job_id"]
        assert f'job_id="{job_id}"' in text_of(started)
        tail = await content(client, "job", job_id=job_id, action="tail", cursor=0)
        assert tail["state"] == "running"
        over = await call(client, "job", job_id=job_id, action="cancel")
        assert over.structured_content is not None
        assert over.structured_content["result"]["limits_hit"] == ["cancelled"]
        assert "limits hit: cancelled" in text_of(over)


async def test_starting_a_session_answers_with_its_id_the_brief_and_the_files(
    client: Client,
) -> None:
    result = await call(client, "start_session", task=TASK, seed=7, wall_seconds=100)
    assert result.structured_content is not None
    assert isinstance(result.structured_content["session"], str)
    assert result.structured_content["budget"]["wall_seconds"] == 100
    assert "# Battle of the sexes" in text_of(result)
    assert "strategy.py" in text_of(result)


async def test_a_call_with_a_request_id_seen_before_runs_nothing(client: Client) -> None:
    async with session_on(client):
        await content(client, "run", command="echo x >> log", request_id="one")
        await content(client, "run", command="echo x >> log", request_id="one")
        assert (await content(client, "open", path="log"))["total_lines"] == 1


async def test_the_only_open_session_need_not_be_named(client: Client) -> None:
    async with session_on(client) as first:
        assert (await content(client, "session_status"))["session"] == first
        async with session_on(client):
            refused = await call(client, "session_status")
            assert refused.is_error
            assert first in text_of(refused)
