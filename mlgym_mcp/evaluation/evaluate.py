"""Play many tasks at once over one connection.

Above: the command line shows progress and results. Below: a connection, and one play for each task.
"""

from collections.abc import Sequence
from typing import cast

import anyio
from mcp import Client

from mlgym_mcp.base.errors import MlgymError
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.catalog import load_catalog
from mlgym_mcp.evaluation.baseline import play_baseline
from mlgym_mcp.evaluation.connection import Place, connected
from mlgym_mcp.evaluation.result import OnProgress, PlayResult, unheard
from mlgym_mcp.types.task import Variant


async def evaluate(
    settings: Settings,
    tasks: Sequence[str],
    variant: Variant = "full",
    parallel: int = 2,
    on_progress: OnProgress = unheard,
    *,
    place: Place | None = None,
) -> list[PlayResult]:
    """The results in the order of `tasks`; what fails is a result that says why."""
    catalog = load_catalog(settings)
    room = anyio.CapacityLimiter(max(1, parallel))
    results: dict[str, PlayResult] = {}

    async def play(client: Client, name: str) -> None:
        async with room:
            try:
                task = catalog.task(name)
            except MlgymError as error:
                results[name] = _failed(name, variant, str(error))
            else:
                results[name] = await play_baseline(client, task, variant, on_progress)

    lost = "The connection to the server ended."
    try:
        async with connected(settings, place) as client, anyio.create_task_group() as plays:
            for name in dict.fromkeys(tasks):
                plays.start_soon(play, client, name)
    except Exception as error:  # noqa: BLE001 - whatever ends a connection fails the plays on it
        lost = _no_connection(place, _root(error))
    return [results.get(name) or _failed(name, variant, lost) for name in tasks]


def _failed(task: str, variant: Variant, error: str) -> PlayResult:
    return PlayResult(task=task, variant=variant, status="failed", error=error)


def _no_connection(place: Place | None, reason: str) -> str:
    if place is None:
        return f"There is no connection to the server: {reason}. What it wrote says why."
    hint = "A server must run there, and the token must be one of its own."
    return f"There is no connection to {place.url}: {reason}. {hint}"


def _root(error: Exception) -> str:
    """What the innermost error says; connections wrap theirs in groups."""
    while isinstance(error, ExceptionGroup):
        error = cast("ExceptionGroup[Exception]", error).exceptions[0]
    return str(error) or type(error).__name__
