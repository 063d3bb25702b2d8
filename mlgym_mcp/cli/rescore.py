"""`mlgym-mcp rescore`: a stored submission graded again, after a judge was mended."""

from typing import Annotated

import typer

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.cli.grades import show_grades
from mlgym_mcp.cli.launch import read_settings, run
from mlgym_mcp.cli.screen import JsonFlag, bars, show_json
from mlgym_mcp.scoring import open_scorer
from mlgym_mcp.types.grade import Grade

app = typer.Typer(add_completion=False)


@app.command()
def rescore(
    reference: Annotated[
        str, typer.Argument(help="A grade's id, or a submission's sha256.", metavar="ID")
    ],
    as_json: JsonFlag = False,
) -> None:
    """Grade a stored submission again and show both grades."""
    old, new = run(_rescore, read_settings(), reference, as_json)
    if as_json:
        show_json({"old": old, "new": new})
    else:
        show_grades([old, new])
    if new.status != "graded":
        raise typer.Exit(1)


async def _rescore(settings: Settings, reference: str, quiet: bool) -> tuple[Grade, Grade]:
    with bars(quiet=quiet) as drawn:
        drawn.add("grading again")
        async with open_scorer(settings, SystemClock()) as scorer:
            return await scorer.rescore(reference)
