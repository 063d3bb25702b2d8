"""`mlgym-mcp bench`: how fast this installation is on this machine."""

from typing import Annotated

import typer

from mlgym_mcp.base.settings import Settings
from mlgym_mcp.cli.launch import read_settings, run
from mlgym_mcp.cli.screen import JsonFlag, bars, show_json, show_table
from mlgym_mcp.evaluation.bench import Row, measure

_HEADS = (
    *("what", "engine", "median", "p95", "runs", "target", ""),
    *("compared with", "ratio", "target's"),
)

app = typer.Typer(add_completion=False)


@app.command()
def bench(
    sessions: Annotated[
        int, typer.Option(min=0, max=2000, help="How many sessions at once; 0 leaves them out.")
    ] = 200,
    as_json: JsonFlag = False,
) -> None:
    """Measure medians, each beside its rival in the same run.

    A target is met, or only as a ratio to the rival, which takes longer on a slow machine too.
    Exit status 1 unless all are met outright.
    """
    rows = run(_bench, read_settings(), sessions, as_json)
    if as_json:
        show_json([row.model_dump(mode="json") | _judged(row) for row in rows])
    else:
        show_table(_HEADS, [_cells(row) for row in rows])
    if any(row.met is False for row in rows):
        raise typer.Exit(1)


async def _bench(settings: Settings, sessions: int, quiet: bool) -> list[Row]:
    with bars(quiet=quiet) as drawn:
        return await measure(settings, sessions, drawn.add("measuring"))


def _judged(row: Row) -> dict[str, object]:
    names = ("met", "ratio", "target_ratio", "met_as_ratio", "verdict")
    return {name: getattr(row, name) for name in names}


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.what,
        row.engine,
        _amount(row.value, row.unit),
        "" if row.p95 is None else _amount(row.p95, row.unit),
        str(row.runs),
        "" if row.target is None else f"<= {_amount(row.target, row.unit)}",
        row.verdict,
        "" if row.rival_value is None else f"{row.rival} {_amount(row.rival_value, row.unit)}",
        _times(row.ratio),
        f"<= {_times(row.target_ratio)}" if row.target_ratio else "",
    )


def _amount(value: float, unit: str) -> str:
    digits = 2 if unit in {"ms", "MB"} and value < 10 else 0
    return f"{value:.{digits}f} {unit}"


def _times(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"1/{1 / ratio:.1f}" if 0 < ratio < 1 else f"{ratio:.1f}"
