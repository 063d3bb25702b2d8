"""What a tool is: data that the server composes, and that never receives the server.

Above: `table` lists the tools, `calls` serves them. Below: sessions, through a `Call`. A tool does
not know protocol versions, transports or how an error is shown.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from mlgym_mcp.server.progress import Progress
from mlgym_mcp.sessions import Sessions
from mlgym_mcp.types.frozen import Frozen


class Arguments(Frozen):
    """What a tool takes; a name that is not among its fields is an error."""


class SessionArguments(Arguments):
    """What a tool takes that works in a session."""

    session: str | None = None
    """The session's id; may be left out while you have exactly one open."""


@dataclass(frozen=True)
class Call:
    """Who calls, and what a tool may reach."""

    sessions: Sessions
    principal: str
    progress: Progress


@dataclass(frozen=True)
class Effect:
    """What calling a tool does to the world, as MCP's annotations say it."""

    reads: bool = False
    """It changes nothing."""

    destroys: bool = False
    """It may overwrite or end something."""

    repeats: bool = False
    """Calling it again with the same arguments changes nothing further."""


@dataclass(frozen=True)
class Tool:
    """One tool."""

    name: str
    title: str
    description: str
    """For the model that may call it: what it does, and when to use it."""

    arguments: type[BaseModel]
    results: tuple[type[BaseModel], ...]
    """The shapes its structured content may have, besides a failure."""

    answer: Callable[[Call, Any], Awaitable[BaseModel]]
    """Takes the checked arguments, gives one of `results`."""

    text: Callable[[Any], str]
    """What a model reads of the result."""

    effect: Effect = Effect()
