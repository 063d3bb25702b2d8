"""`mlgym-mcp score`: grades without an agent and without a server."""

import os
from pathlib import Path
from typing import Annotated

import typer

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.cli.grades import show_grades
from mlgym_mcp.cli.launch import read_settings, run
from mlgym_mcp.cli.screen import JsonFlag, bars, note, show_json, show_line
from mlgym_mcp.scoring import BatchEntry, BatchResult, open_scorer, score_batch, score_path
from mlgym_mcp.types.grade import Grade, GradeKind
from mlgym_mcp.types.task import Variant

app = typer.Typer(add_completion=False)


@app.command()
def score(
    task: Annotated[str | None, typer.Argument(help="The task's id.")] = None,
    path: Annotated[
        Path | None, typer.Argument(help="The submission: a file, its folder, or a workspace.")
    ] = None,
    batch: Annotated[
        Path | None,
        typer.Option(
            help='Grade every line of this file instead: {"task": ..., "path": ...} and '
            "optionally variant, kind, seed. Relative paths start at the file's folder."
        ),
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(min=1, max=64, help="Gradings at once; default: one per core.")
    ] = None,
    variant: Annotated[Variant, typer.Option(help="The size of the task.")] = "full",
    kind: Annotated[
        GradeKind, typer.Option(help="As which it is scored; `validate` tells less.")
    ] = "submit",
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the judge; random if not set.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Grade a file or folder; with --batch many, one JSON line each as they end.

    Exit status 1 if anything could not be graded. A submission that breaks the rules is graded:
    its integrity says so, and it has no score.
    """
    settings = read_settings()
    if batch is not None:
        if task is not None or path is not None:
            raise typer.BadParameter("give a task and a path, or --batch, not both")
        if run(_batch, settings, batch, parallel or os.cpu_count() or 1, _count_lines(batch)):
            raise typer.Exit(1)
        return
    if task is None or path is None:
        raise typer.BadParameter("give a task and a path, or --batch FILE")
    grade = run(
        _one,
        settings,
        BatchEntry(task=task, path=path, variant=variant, kind=kind, seed=seed),
        as_json,
    )
    if as_json:
        show_json(grade)
    else:
        show_grades([grade])
    if grade.status != "graded":
        raise typer.Exit(1)


async def _one(settings: Settings, wanted: BatchEntry, quiet: bool) -> Grade:
    with bars(quiet=quiet) as drawn:
        report = drawn.add(wanted.task)
        report("opening", None)
        async with open_scorer(settings, SystemClock()) as scorer:
            report("grading", None)
            return await score_path(
                scorer, wanted.task, wanted.variant, wanted.path, wanted.kind, wanted.seed
            )


def _count_lines(manifest: Path) -> int:
    try:
        return sum(1 for line in manifest.read_bytes().splitlines() if line.strip())
    except OSError:
        return 0  # reading it for good says what is wrong


async def _batch(settings: Settings, manifest: Path, parallel: int, lines: int) -> int:
    """Grade all lines; how many were not graded."""
    results: list[BatchResult] = []
    with bars() as drawn:
        report = drawn.add("grading")

        def ended(result: BatchResult) -> None:
            results.append(result)
            show_line(result)
            report(f"{len(results)} of {lines}", len(results) / lines)

        async with open_scorer(settings, SystemClock()) as scorer:
            await score_batch(scorer, manifest, parallel, ended)
    failed = sum(not result.ok for result in results)
    note(f"{len(results)} lines, {failed} not graded")
    return failed
