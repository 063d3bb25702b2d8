"""The resources, as data: tasks, datasets, sessions, leaderboards."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from mlgym_mcp.base.errors import NotFound
from mlgym_mcp.server.answers import TaskList
from mlgym_mcp.server.resource import Reader, Resource
from mlgym_mcp.types.grade import Grade
from mlgym_mcp.types.task import Variant

JSON = "application/json"
MARKDOWN = "text/markdown"
_TRAJECTORY_EVENTS = 1000
_LEADERBOARD_ROWS = 100


async def _tasks(reader: Reader, _given: Mapping[str, str]) -> str:
    return TaskList(tasks=tuple(reader.sessions.tasks(None, None))).model_dump_json(indent=2)


async def _brief(reader: Reader, given: Mapping[str, str]) -> str:
    return reader.sessions.task(given["task"]).brief


async def _spec(reader: Reader, given: Mapping[str, str]) -> str:
    return reader.sessions.task(given["task"]).spec.model_dump_json(indent=2)


async def _card(reader: Reader, given: Mapping[str, str]) -> str:
    wanted = given["dataset"]
    known: dict[str, str] = {}
    for summary in reader.sessions.tasks(None, None):
        dataset = reader.sessions.task(summary.id).spec.dataset
        if dataset is not None:
            known.setdefault(dataset.id, summary.id)
    if wanted not in known:
        raise NotFound(
            f"There is no dataset '{wanted[:100]}'.",
            fix=f"The datasets are {', '.join(known) or 'none'}.",
        )
    return json.dumps(await reader.sessions.card(known[wanted]), indent=2)


async def _session(reader: Reader, given: Mapping[str, str]) -> str:
    view = await reader.sessions.status(reader.principal, given["session"])
    return view.model_dump_json(indent=2)


async def _trajectory(reader: Reader, given: Mapping[str, str]) -> str:
    after, lines = 0, list[str]()
    while True:
        events = await reader.sessions.trajectory(
            reader.principal, given["session"], after, _TRAJECTORY_EVENTS
        )
        lines.extend(_line(event) for event in events)
        if len(events) < _TRAJECTORY_EVENTS:
            return "".join(lines)
        after = events[-1].seq


async def _file(reader: Reader, given: Mapping[str, str]) -> bytes:
    return await reader.sessions.read_resource_file(
        reader.principal, given["session"], given["path"]
    )


async def _leaderboard(reader: Reader, given: Mapping[str, str]) -> str:
    spec = reader.sessions.task(given["task"]).spec
    grades = await reader.sessions.grades(spec.id)
    metric = spec.metric.model_dump(mode="json")
    return json.dumps({"task": spec.id, "metric": metric, "rows": _rows(grades)}, indent=2)


def _line(event: BaseModel) -> str:
    return event.model_dump_json() + "\n"


def _rows(grades: Sequence[Grade]) -> list[dict[str, Any]]:
    """Ranks of grades that come best first, among those of one variant: others do not compare.

    No session and no principal is named.
    """
    shown = {"score", "metrics", "variant", "submission", "graded_at"}
    ranks: Counter[Variant] = Counter()
    rows: list[dict[str, Any]] = []
    for grade in grades:
        ranks[grade.variant] += 1
        if (rank := ranks[grade.variant]) <= _LEADERBOARD_ROWS:
            rows.append({"rank": rank, **grade.model_dump(mode="json", include=shown)})
    return rows


RESOURCES = (
    Resource(
        "mlgym://tasks", "tasks", "Tasks", "Every task with metric and baseline.", JSON, _tasks
    ),
    Resource("mlgym://tasks/{task}", "brief", "Brief", "What a task asks for.", MARKDOWN, _brief),
    Resource(
        "mlgym://tasks/{task}/spec", "spec", "Spec", "A task's checked task.toml.", JSON, _spec
    ),
    Resource(
        "mlgym://datasets/{dataset}",
        "dataset",
        "Dataset card",
        "A dataset's columns, sizes and a few rows.",
        JSON,
        _card,
    ),
    Resource(
        "mlgym://sessions/{session}",
        "session",
        "Session",
        "A session of yours: state, budget left, jobs, grade.",
        JSON,
        _session,
    ),
    Resource(
        "mlgym://sessions/{session}/trajectory",
        "trajectory",
        "Trajectory",
        "Every recorded step of a session of yours, one JSON object a line.",
        "application/x-ndjson",
        _trajectory,
    ),
    Resource(
        "mlgym://sessions/{session}/files/{+path}",
        "file",
        "Workspace file",
        "A file in the workspace of a session of yours.",
        "application/octet-stream",
        _file,
    ),
    Resource(
        "mlgym://leaderboard/{task}",
        "leaderboard",
        "Leaderboard",
        "Clean submissions of a task on this server, best first.",
        JSON,
        _leaderboard,
    ),
)
