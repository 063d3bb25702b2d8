"""The prompts: texts a person picks in a client to set a model to work."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp_types import (
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    PaginatedRequestParams,
    PromptArgument,
    PromptMessage,
    TextContent,
)
from mcp_types import Prompt as ListedPrompt

from mlgym_mcp.base.errors import MlgymError, RequestError
from mlgym_mcp.server.caller import principal_of
from mlgym_mcp.server.failure import bug, protocol_error
from mlgym_mcp.server.resource import Reader
from mlgym_mcp.server.text import sessions as text
from mlgym_mcp.server.text.units import number
from mlgym_mcp.sessions import Sessions

Context = ServerRequestContext[Any, Any]
_REVIEWED_EVENTS = 200


@dataclass(frozen=True)
class Prompt:
    """One prompt with one argument."""

    name: str
    title: str
    description: str
    argument: str
    """The name of its argument; completions know it."""

    asks: str
    """What the argument is."""

    write: Callable[[Reader, str], Awaitable[str]]
    """The prompt's text, from who asks and the argument."""


async def _solve(reader: Reader, task_id: str) -> str:
    task = reader.sessions.task(task_id)
    metric = task.spec.metric
    better = "higher" if metric.direction == "max" else "lower"
    return (
        f"Solve the research task `{task.id}` with the tools of this server, and beat its "
        f"baseline: {metric.name} {number(metric.baseline)}, {better} is better.\n\n"
        f'1. `start_session` with task="{task.id}". Read the brief and the files there.\n'
        "2. Look at the data before you model it. Write code with `create` and `edit`, run it "
        "with `run`; long commands become jobs that `job` waits for.\n"
        "3. `validate` when you have something better; validations are counted.\n"
        "4. `submit` your best work once. It ends the session.\n"
        "5. Report what you did, the score, and what you would try next.\n\n"
        f"The brief:\n\n{task.brief}"
    )


async def _review(reader: Reader, session: str) -> str:
    view = await reader.sessions.status(reader.principal, session)
    events = await reader.sessions.trajectory(reader.principal, session, 0, _REVIEWED_EVENTS)
    steps = "\n".join(f"{event.seq}. {event.kind} {event.name}".rstrip() for event in events)
    return (
        f"Review the session `{session}`: what was tried, what worked, where time or steps were "
        "wasted, whether the score was earned as the task intends, and what to do differently. "
        f"The resource mlgym://sessions/{session}/trajectory holds every step in full.\n\n"
        f"{text.view(view)}\n\nSteps:\n{steps}"
    )


PROMPTS = (
    Prompt(
        name="solve_task",
        title="Solve a task",
        description="Work on a research task from start to submission.",
        argument="task",
        asks="The task's id.",
        write=_solve,
    ),
    Prompt(
        name="review_session",
        title="Review a session",
        description="Look back at a session: what was tried, and what it brought.",
        argument="session",
        asks="The session's id.",
        write=_review,
    ),
)


class Prompts:
    """The handlers of `prompts/list` and `prompts/get`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._prompts = {prompt.name: prompt for prompt in PROMPTS}

    async def list(
        self, _context: Context, _params: PaginatedRequestParams | None
    ) -> ListPromptsResult:
        """Every prompt."""
        return ListPromptsResult(prompts=[_listed(prompt) for prompt in PROMPTS])

    async def get(self, context: Context, params: GetPromptRequestParams) -> GetPromptResult:
        """One prompt, written out."""
        try:
            prompt, value = self._asked(params)
            reader = Reader(self._sessions, principal_of(context))
            written = await prompt.write(reader, value)
        except MlgymError as error:
            raise protocol_error(error) from error
        except Exception as error:
            raise protocol_error(bug(f"prompt {params.name[:100]}", error)) from error
        message = PromptMessage(role="user", content=TextContent(text=written))
        return GetPromptResult(description=prompt.description, messages=[message])

    def _asked(self, params: GetPromptRequestParams) -> tuple[Prompt, str]:
        prompt = self._prompts.get(params.name)
        if prompt is None:
            known = ", ".join(self._prompts)
            raise RequestError(
                f"There is no prompt '{params.name[:100]}'.", fix=f"The prompts are {known}."
            )
        value = (params.arguments or {}).get(prompt.argument)
        if not value:
            raise RequestError(
                f"The prompt `{prompt.name}` needs the argument '{prompt.argument}'.",
                fix=prompt.asks,
            )
        return prompt, value


def _listed(prompt: Prompt) -> ListedPrompt:
    argument = PromptArgument(name=prompt.argument, description=prompt.asks, required=True)
    return ListedPrompt(
        name=prompt.name,
        title=prompt.title,
        description=prompt.description,
        arguments=[argument],
    )
