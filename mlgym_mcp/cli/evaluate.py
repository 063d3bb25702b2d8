"""`mlgym-mcp eval`: an agent plays tasks over MCP, and a table shows what it scored."""

import os
from typing import Annotated, Literal

import typer

from mlgym_mcp.base.errors import DataMissing
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.catalog import Catalog, Datasets, load_catalog
from mlgym_mcp.cli.grades import number
from mlgym_mcp.cli.launch import read_settings, run
from mlgym_mcp.cli.screen import JsonFlag, bars, note, show_json, show_table
from mlgym_mcp.evaluation import Place, PlayProgress, PlayResult, evaluate, record
from mlgym_mcp.types.task import Variant

app = typer.Typer(add_completion=False)

_VARIABLE = "MLGYM_MCP_TOKEN"
_BAR_TEXT = 60


@app.command("eval")
def play(
    agent: Annotated[Literal["baseline"], typer.Option(help="Who plays.")] = "baseline",
    tasks: Annotated[
        str,
        typer.Option(help="Task ids separated by commas, `all`, or `ready`: those whose data is."),
    ] = "ready",
    environments: Annotated[
        str, typer.Option(help="Of `ready`, only tasks in these environments: base,tabular.")
    ] = "",
    variant: Annotated[Variant, typer.Option(help="The size to play.")] = "full",
    parallel: Annotated[
        int | None, typer.Option(min=1, max=64, help="Plays at once; default: one per core.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help=f"A running server; its token is read from {_VARIABLE}."),
    ] = None,
    keep: Annotated[
        bool,
        typer.Option("--record", help="Write clean scores to baseline/scores.json of the tasks."),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Play an agent on tasks over MCP; exit status 1 if a play failed or is not clean."""
    del agent
    settings = read_settings()
    catalog, datasets = load_catalog(settings), Datasets(settings)
    if tasks == "ready":
        chosen = _ready(catalog, datasets, variant, _names(environments))
    else:
        chosen = list(catalog.tasks) if tasks == "all" else _names(tasks)
        chosen = [catalog.task(name).id for name in chosen]
    at_once = parallel or os.cpu_count() or 1
    place = Place(url, os.environ.get(_VARIABLE)) if url else None
    results = run(_play, settings, chosen, variant, at_once, place, as_json)
    for result in results if keep else ():
        if result.integrity == "clean":
            note(f"Recorded in {record(catalog.task(result.task), result)}.")
    if as_json:
        show_json(results)
    else:
        _show(results, variant)
    if any(result.status != "played" or result.integrity != "clean" for result in results):
        raise typer.Exit(1)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _ready(
    catalog: Catalog, datasets: Datasets, variant: Variant, environments: list[str]
) -> list[str]:
    ready: list[str] = []
    for task in catalog.tasks.values():
        if environments and task.spec.environment not in environments:
            note(f"Left out: {task.id}, which needs the environment {task.spec.environment}.")
        elif datasets.state(task, datasets.playable(task, variant)) == "missing":
            note(f"Left out: {task.id}, whose data is not here. {datasets.fix(task)}")
        else:
            ready.append(task.id)
    if not ready:
        raise DataMissing("No task is ready.", fix="Run `mlgym-mcp data fetch all`.")
    return ready


async def _play(
    settings: Settings,
    tasks: list[str],
    variant: Variant,
    at_once: int,
    place: Place | None,
    quiet: bool,
) -> list[PlayResult]:
    with bars(quiet=quiet) as drawn:
        reports = {task: drawn.add(task) for task in tasks}

        def heard(progress: PlayProgress) -> None:
            text = f"{progress.stage} {progress.what}".strip()
            reports[progress.task](text[:_BAR_TEXT], progress.share)

        return await evaluate(settings, tasks, variant, at_once, heard, place=place)


def _show(results: list[PlayResult], variant: Variant) -> None:
    kind = "published" if variant == "full" else "measured"
    heads = ("task", "metric", f"baseline {kind}", "score", "seconds", "integrity")
    show_table(heads, [_row(result, variant) for result in results])
    for result in results:
        if result.error:
            note(f"{result.task}: {result.error}")


def _row(result: PlayResult, wanted: Variant) -> tuple[str, ...]:
    return (
        result.task if result.variant == wanted else f"{result.task} ({result.variant})",
        result.metric,
        number(result.baseline),
        number(result.score),
        f"{result.seconds:.1f}",
        result.integrity or result.status,
    )
