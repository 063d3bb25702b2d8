"""Tools about tasks and whole sessions: list, start, look, end."""

from typing import Literal

from pydantic import Field

from mlgym_mcp.server.answers import TaskList
from mlgym_mcp.server.text import sessions as text
from mlgym_mcp.server.tool import Arguments, Call, Effect, SessionArguments, Tool
from mlgym_mcp.sessions import StartRequest
from mlgym_mcp.types.session import SessionOpened, SessionView

Area = Literal["tabular", "game", "sat", "vision", "language", "reinforcement-learning"]


class ListArguments(Arguments):
    """What `list_tasks` takes."""

    area: Area | None = None
    """Only tasks of this area."""

    query: str | None = Field(default=None, max_length=200)
    """Only tasks whose id, title or summary has this text."""


async def _list(call: Call, arguments: ListArguments) -> TaskList:
    found = call.sessions.tasks(arguments.area, arguments.query)
    return TaskList(tasks=tuple(found))


async def _start(call: Call, arguments: StartRequest) -> SessionOpened:
    return await call.sessions.start(call.principal, arguments, call.progress.report)


async def _status(call: Call, arguments: SessionArguments) -> SessionView:
    return await call.sessions.status(call.principal, arguments.session)


async def _end(call: Call, arguments: SessionArguments) -> SessionView:
    return await call.sessions.end(call.principal, arguments.session)


TOOLS = (
    Tool(
        name="list_tasks",
        title="List tasks",
        description=(
            "List the research tasks: what each asks for, its metric and published baseline, its "
            "variants, and whether its data is ready. Begin here."
        ),
        arguments=ListArguments,
        results=(TaskList,),
        answer=_list,
        text=text.task_list,
        effect=Effect(reads=True, repeats=True),
    ),
    Tool(
        name="start_session",
        title="Start a session",
        description=(
            "Open a session on a task: a sandboxed workspace with the starter files, a budget, and "
            "the task's brief, which the answer holds. The first session of a task may take "
            "minutes while its environment and data are prepared."
        ),
        arguments=StartRequest,
        results=(SessionOpened,),
        answer=_start,
        text=text.opened,
    ),
    Tool(
        name="session_status",
        title="Session status",
        description=(
            "Show a session's state, what is left of its budget, its best validation, its running "
            "jobs, and its grade once submitted."
        ),
        arguments=SessionArguments,
        results=(SessionView,),
        answer=_status,
        text=text.view,
        effect=Effect(reads=True, repeats=True),
    ),
    Tool(
        name="end_session",
        title="End a session",
        description=(
            "Close a session without submitting: its processes end and nothing more can be done "
            "in it. To be scored, use `submit` instead."
        ),
        arguments=SessionArguments,
        results=(SessionView,),
        answer=_end,
        text=text.view,
        effect=Effect(destroys=True, repeats=True),
    ),
)
