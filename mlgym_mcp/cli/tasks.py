"""`mlgym-mcp tasks`: what can be played here, and whether the task folders are sound."""

import os
from pathlib import Path
from typing import Annotated

import typer

from mlgym_mcp.base.errors import NotFound
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.catalog import Datasets, check_tasks, data_said, load_catalog, summarize
from mlgym_mcp.catalog.foreign import import_task
from mlgym_mcp.catalog.spec import SPEC_NAME
from mlgym_mcp.catalog.template import TODO_NAME, Kind, new_task
from mlgym_mcp.cli.findings import show_findings
from mlgym_mcp.cli.launch import read_settings, run
from mlgym_mcp.cli.screen import JsonFlag, bars, note, show_json, show_table
from mlgym_mcp.types.finding import Finding
from mlgym_mcp.types.task import Variant

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def tasks(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the tasks."""
    if context.invoked_subcommand is not None:
        return
    settings = read_settings()
    catalog, datasets = load_catalog(settings), Datasets(settings)
    summaries = [summarize(task, datasets) for task in catalog.tasks.values()]
    for error in catalog.broken.values():
        note(error.message)
    if as_json:
        show_json(summaries)
        return
    rows = [
        (
            s.id,
            s.area,
            f"{s.metric} {s.baseline:g}",
            data_said(s.data_of).replace("; ", "\n"),
            s.summary,
        )
        for s in summaries
    ]
    show_table(("task", "area", "baseline", "data", "summary"), rows)


@app.command()
def check(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(
            help="Task ids, or paths of task folders; all of them if none.", metavar="TASK"
        ),
    ] = None,
    rehearsed: Annotated[
        bool,
        typer.Option(
            "--run",
            help="Also prepare the data, play starter and baseline, and put the judge to the test.",
        ),
    ] = False,
    variant: Annotated[Variant, typer.Option(help="The size that --run tries.")] = "mini",
    as_json: JsonFlag = False,
) -> None:
    """Check task folders by reading them, and with --run in sandboxes; exit status 1 on a fault."""
    settings, names = _places(read_settings(), wanted or [])
    findings = check_tasks(settings, names)
    if rehearsed:
        from mlgym_mcp.evaluation import rehearse  # noqa: PLC0415 - a second to load, for this alone

        broken = {f.check.removeprefix("task ") for f in findings if f.state == "failed"}
        known = names or list(load_catalog(settings).tasks)
        sound = [name for name in known if name not in broken]
        with bars(quiet=as_json) as drawn:
            findings += run(rehearse, settings, sound, variant, drawn.add)
    show_findings(sorted(findings, key=_subject), as_json=as_json)
    if any(finding.state == "failed" for finding in findings):
        raise typer.Exit(1)


@app.command()
def new(
    task_id: Annotated[str, typer.Argument(help="The id, such as my-task.", metavar="ID")],
    kind: Annotated[Kind, typer.Option(help="What an agent hands in.")] = "predictions",
    into: Annotated[Path, typer.Option(help="The folder it is made in.")] = Path(),
) -> None:
    """Make a task folder that works as it stands, to be changed into yours."""
    folder = new_task(task_id, kind, into)
    note(f"Made {folder}. It works as it stands: change it into yours, file by file.")
    _next_steps(folder)


@app.command("import")
def take_in(
    configuration: Annotated[
        Path, typer.Argument(help="An MLGym task configuration.", metavar="FILE.yaml")
    ],
    into: Annotated[Path, typer.Option(help="The folder it is made in.")] = Path(),
) -> None:
    """Turn an MLGym task configuration into a task folder, and list what needs a hand."""
    folder, points = import_task(configuration, into)
    note(f"Made {folder} from {configuration}. To do, as listed in {folder / TODO_NAME}:")
    for point in points:
        note(f"- {point}")
    _next_steps(folder)


def _next_steps(folder: Path) -> None:
    note(f"What goes where: {shipped('docs') / 'tasks.md'}")
    note(f"Check it: mlgym-mcp tasks check {folder} --run")
    note(f"Score, play and serve it: export MLGYM_MCP_TASKS={folder.parent}")


def _places(settings: Settings, wanted: list[str]) -> tuple[Settings, list[str]]:
    """The ids wanted; folders given by path are looked up beside the operator's own."""
    names, roots = list[str](), list(settings.tasks)
    for text in wanted:
        folder = Path(text).absolute()
        by_path = os.sep in text or (folder / SPEC_NAME).is_file()
        names.append(folder.name if by_path else text)
        if by_path and not (folder / SPEC_NAME).is_file():
            raise NotFound(f"There is no {SPEC_NAME} in {folder}.", fix="Name a task's folder.")
        if by_path and folder.parent not in [root.absolute() for root in roots]:
            roots.append(folder.parent)
    return settings.model_copy(update={"tasks": tuple(roots)}), names


def _subject(finding: Finding) -> str:
    """The task a finding is about; sorting by it keeps their order within one task."""
    return finding.check.partition(":")[0]
