"""Prompts and completions."""

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference, ResourceTemplateReference, TextContent

from .talk import TASK, content, session_on

pytestmark = pytest.mark.anyio

SOLVE = PromptReference(name="solve_task")
REVIEW = PromptReference(name="review_session")


async def written(client: Client, name: str, **arguments: str) -> str:
    message = (await client.get_prompt(name, arguments)).messages[0]
    assert isinstance(message.content, TextContent)
    return message.content.text


async def test_prompts_are_listed_with_their_argument(client: Client) -> None:
    listed = (await client.list_prompts()).prompts
    arguments = {prompt.name: [a.name for a in prompt.arguments or []] for prompt in listed}
    assert arguments == {"solve_task": ["task"], "review_session": ["session"]}


async def test_solving_a_task_begins_with_its_brief_and_baseline(client: Client) -> None:
    text = await written(client, "solve_task", task=TASK)
    assert "# Battle of the sexes" in text
    assert "1.0227" in text


async def test_reviewing_a_session_lists_its_steps(client: Client) -> None:
    async with session_on(client) as session:
        await content(client, "run", command="echo x")
        text = await written(client, "review_session", session=session)
        assert "run" in text
        assert f"mlgym://sessions/{session}/trajectory" in text


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("solve_tsk", {}, "no prompt 'solve_tsk'"),
        ("solve_task", {}, "needs the argument 'task'"),
        ("solve_task", {"task": "none"}, "no task 'none'"),
        ("review_session", {"session": "s-none"}, "s-none"),
    ],
)
async def test_a_prompt_that_cannot_be_written_says_why(
    client: Client, name: str, arguments: dict[str, str], said: str
) -> None:
    with pytest.raises(MCPError, match=said):
        await client.get_prompt(name, arguments)


async def test_task_ids_are_completed(client: Client) -> None:
    found = await client.complete(SOLVE, {"name": "task", "value": "bat"})
    assert found.completion.values == [TASK]
    template = ResourceTemplateReference(uri="mlgym://tasks/{task}/spec")
    every = await client.complete(template, {"name": "task", "value": ""})
    assert {TASK, "house-prices"} <= set(every.completion.values)


async def test_own_session_ids_and_datasets_are_completed(client: Client) -> None:
    async with session_on(client) as session:
        found = await client.complete(REVIEW, {"name": "session", "value": "s-"})
        assert session in found.completion.values
    template = ResourceTemplateReference(uri="mlgym://datasets/{dataset}")
    found = await client.complete(template, {"name": "dataset", "value": "house"})
    assert found.completion.values == ["house-prices"]


async def test_an_argument_nobody_knows_completes_to_nothing(client: Client) -> None:
    template = ResourceTemplateReference(uri="mlgym://sessions/{session}/files/{+path}")
    found = await client.complete(template, {"name": "path", "value": "a"})
    assert found.completion.values == []
