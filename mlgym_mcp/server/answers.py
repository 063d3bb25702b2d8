"""Shapes that only the MCP surface has; all others are in `types`."""

from mlgym_mcp.types.frozen import Frozen
from mlgym_mcp.types.task import TaskSummary


class TaskList(Frozen):
    """The answer to `list_tasks`, and the resource of the same."""

    tasks: tuple[TaskSummary, ...]
