"""Tasks and sessions as text."""

from mlgym_mcp.catalog import data_said
from mlgym_mcp.server.answers import TaskList
from mlgym_mcp.server.text.files import listing
from mlgym_mcp.server.text.grades import grade
from mlgym_mcp.server.text.units import duration, number, size
from mlgym_mcp.types.budget import Budget
from mlgym_mcp.types.session import SessionOpened, SessionView
from mlgym_mcp.types.task import TaskSummary


def task_list(result: TaskList) -> str:
    """Each task in two lines."""
    if not result.tasks:
        return "No task matches. Call `list_tasks` without arguments to see all."
    lines = [_task(task) for task in result.tasks]
    return "\n".join([*lines, "Begin one with `start_session`."])


def opened(result: SessionOpened) -> str:
    """The session's id, its budget, its files and the brief."""
    return "\n".join(
        [
            f"Session {result.session} on {result.task} ({result.variant}) is open.",
            f"Variant {result.variant}: {result.about}",
            f"Budget: {_budget(result.budget)}.",
            f"Workspace {result.workspace}:",
            listing(result.files).partition("\n")[2],
            "",
            result.brief.rstrip("\n"),
        ]
    )


def view(result: SessionView) -> str:
    """State, what is left, the best validation, jobs, and the grade."""
    label = f" '{result.label}'" if result.label else ""
    reason = f": {result.reason.rstrip('.')}" if result.reason else ""
    where = f"Session {result.session}{label} on {result.task} ({result.variant})"
    lines = [f"{where} is {result.state}{reason}."]
    if result.ended_at is None:
        left = result.left
        lines.append(
            f"Left: {duration(max(left.wall_seconds, 0))}, {left.steps} steps, "
            f"{left.validations} validations."
        )
    if result.best_validation is not None:
        lines.append(f"Best validation: {result.metric} = {number(result.best_validation)}.")
    lines.extend(
        f"Job {job.job_id} is {job.state}, {duration(job.seconds)}: {job.command[:100]}"
        for job in result.jobs
    )
    if result.grade is not None:
        lines.append(grade(result.grade))
    return "\n".join(lines)


def _task(task: TaskSummary) -> str:
    better = "higher" if task.direction == "max" else "lower"
    fix = f" ({task.fix})" if task.fix else ""
    return (
        f"- {task.id} [{task.area}]: {task.summary}\n"
        f"  {task.metric}, {better} is better, baseline {number(task.baseline)}; "
        f"variants {', '.join(task.variants)}; {duration(task.wall_seconds)}; "
        f"data {data_said(task.data_of)}{fix}"
    )


def _budget(budget: Budget) -> str:
    limits = budget.limits
    return (
        f"{duration(budget.wall_seconds)}, {budget.steps} steps, {budget.validations} validations, "
        f"{duration(budget.command_seconds)} a command; {size(limits.memory_bytes)} memory, "
        f"{limits.cpus:g} CPUs, {limits.processes} processes, {size(limits.disk_bytes)} disk"
    )
