"""`mlgym-mcp data`: the pinned files that datasets are made from."""

from typing import Annotated

import typer

from mlgym_mcp.base.errors import MlgymError
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.catalog import Datasets, Task, load_catalog
from mlgym_mcp.cli.launch import read_settings, run
from mlgym_mcp.cli.screen import bars, note
from mlgym_mcp.types.task import Source

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def data() -> None:
    """Fetch the datasets of tasks."""


@app.command()
def fetch(
    tasks: Annotated[list[str], typer.Argument(help="Task ids, or `all`.", metavar="TASK...")],
) -> None:
    """Bring the data of tasks onto this machine: from a mirror, else from its pinned source.

    What cannot be had stops nothing else; exit status 1 then.
    """
    settings = read_settings()
    catalog = load_catalog(settings)
    wanted = list(catalog.tasks) if tasks == ["all"] else tasks
    chosen = [catalog.task(name) for name in wanted]
    if run(_fetch, settings, chosen):
        raise typer.Exit(1)


async def _fetch(settings: Settings, tasks: list[Task]) -> list[MlgymError]:
    """Fetch them one after the other; what went wrong was said."""
    datasets = Datasets(settings)
    failures: list[MlgymError] = []
    with bars() as drawn:
        for task in tasks:
            try:
                left_out = await datasets.fetch(task, drawn.add(task.id))
            except MlgymError as error:
                failures.append(error)
                note(f"{task.id}: {error.message}\n{error.fix}")
            else:
                note(f"{task.id}: {_fetched(task, left_out)}")
    return failures


def _fetched(task: Task, left_out: list[Source]) -> str:
    if not task.spec.dataset:
        return "needs no data"
    if not left_out:
        return "here"
    names = " and ".join(source.name for source in left_out)
    return f"here, without {names}: no public address; mini is played on generated data"
