"""A task in one line of a list.

Above: the command line and the sessions list tasks. Below: the spec, and how far the data is.
"""

from mlgym_mcp.catalog.datasets import Datasets
from mlgym_mcp.catalog.task import Task
from mlgym_mcp.types.task import TaskSummary


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
