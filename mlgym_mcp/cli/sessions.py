"""`mlgym-mcp sessions`: what the store of this home knows of sessions, whoever opened them."""

from datetime import UTC, datetime

import typer

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.cli.launch import read_settings, run
from mlgym_mcp.cli.screen import JsonFlag, show_json, show_table
from mlgym_mcp.store import open_store
from mlgym_mcp.types.session import SessionRecord

app = typer.Typer(add_completion=False)


@app.command()
def sessions(as_json: JsonFlag = False) -> None:
    """List the sessions of this home, the latest first."""
    records = run(_sessions, read_settings())
    if as_json:
        show_json(records)
        return
    heads = ("session", "who", "task", "variant", "state", "opened", "steps", "reason", "label")
    show_table(heads, [_row(record) for record in records])


async def _sessions(settings: Settings) -> list[SessionRecord]:
    async with open_store(settings, SystemClock()) as store:
        records = await store.sessions()
    return sorted(records, key=lambda record: record.opened_at, reverse=True)


def _row(record: SessionRecord) -> tuple[str, ...]:
    opened = datetime.fromtimestamp(record.opened_at, UTC).strftime("%Y-%m-%d %H:%M")
    return (
        record.id,
        record.principal,
        record.task,
        record.variant,
        record.state,
        opened,
        str(record.steps_used),
        record.reason,
        # last: an agent's own words, however long, can begin no line
        " ".join(record.label.split()),
    )
