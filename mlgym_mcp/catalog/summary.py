"""A task in one line of a list.

Above: the command line and the sessions list tasks. Below: the spec, and how far the data is.
"""

from collections.abc import Mapping

from mlgym_mcp.catalog.datasets import Datasets
from mlgym_mcp.catalog.task import Task
from mlgym_mcp.types.task import DataState, TaskSummary, Variant

_SAID: Mapping[DataState, str] = {
    "none": "not needed",
    "ready": "ready",
    "fetchable": "at hand",
    "missing": "missing",
}


def data_said(states: Mapping[Variant, DataState]) -> str:
    """How far the data of a task is, in words that follow on "data"; see `DataState`.

    Variants are named where they differ.
    """
    groups: dict[DataState, list[Variant]] = {}
    for variant, state in states.items():
        groups.setdefault(state, []).append(variant)
    if len(groups) == 1:
        return _SAID[next(iter(groups))]
    return "; ".join(f"{_SAID[state]}: {', '.join(names)}" for state, names in groups.items())


def summarize(task: Task, datasets: Datasets) -> TaskSummary:
    """The line of one task; what it says of data is only looked up, nothing is hashed."""
    spec = task.spec
    data_of = datasets.states(task)
    return TaskSummary(
        id=spec.id,
        title=spec.title,
        area=spec.area,
        summary=spec.summary,
        metric=spec.metric.name,
        direction=spec.metric.direction,
        baseline=spec.metric.baseline,
        variants=tuple(spec.variants),
        environment=spec.environment,
        wall_seconds=spec.budget.wall_seconds,
        data=data_of["full"],
        data_of=data_of,
        fix=datasets.fix(task) if "missing" in data_of.values() else "",
    )
