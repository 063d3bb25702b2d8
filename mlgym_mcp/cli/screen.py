"""What a person sees: progress bars and notes on stderr, tables and JSON on stdout.

Above: the subcommands. Below: rich. Bars are drawn on a terminal only, and never with `--json`,
so that scripts and logs stay clean.
"""

import json
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, cast

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from mlgym_mcp.cli.visible import visible

_LOG_WIDTH = 160
_STYLES = {
    "ok": "green",
    "clean": "green",
    "met": "green",
    "warning": "yellow",
    "failed": "red",
    "missed": "red",
    "tampered": "red",
    "leaked": "red",
    "invalid": "red",
}

Report = Callable[[str, float | None], None]
"""What is being done, and the share done (0 to 1) when it is known."""

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, no bars.")]


class Bars:
    """Several bars at once, one per thing under way; silent when nothing is drawn."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress

    def add(self, name: str) -> Report:
        """A new bar; the answer moves it and changes its text."""
        if (progress := self._progress) is None:
            return _ignore
        bar = progress.add_task(name, total=None)

        def report(what: str, share: float | None) -> None:
            total, done = (None, 0.0) if share is None else (1.0, share)
            said = visible(f"{name} {what}".strip())
            progress.update(bar, description=said, total=total, completed=done)

        return report


def _ignore(_what: str, _share: float | None) -> None:
    pass


@contextmanager
def bars(*, quiet: bool = False) -> Generator[Bars]:
    """Draw bars on stderr while the block runs, when stderr is a terminal."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield Bars(None)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bars(progress)


def note(text: str) -> None:
    """One line for a person, on stderr."""
    sys.stderr.write(f"{visible(text)}\n")


def show_json(value: Any) -> None:
    """A value as indented JSON on stdout; models become objects with their fields in order."""
    sys.stdout.write(f"{_json(value, indent=2)}\n")


def show_line(value: Any) -> None:
    """A value as one line of JSON on stdout, at once."""
    sys.stdout.write(f"{_json(value)}\n")
    sys.stdout.flush()


def _json(value: Any, indent: int | None = None) -> str:
    # what is made visible stands in strings only, where JSON reads it as what it was
    return visible(json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False))


def plain(value: Any) -> Any:
    """Models, and lists and dicts of them, as what JSON has."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {name: plain(inner) for name, inner in members.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in cast("list[Any]", value)]
    return value


def show_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on stdout; where that is not a terminal it is wide enough not to fold."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_LOG_WIDTH)
    table = Table(*heads, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        # as Text, so that brackets in a cell are shown and not read as markup
        table.add_row(*(Text(visible(cell), style=_STYLES.get(cell, "")) for cell in row))
    console.print(table)
