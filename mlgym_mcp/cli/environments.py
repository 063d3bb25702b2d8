"""`mlgym-mcp environments`: the virtual environments that bubblewrap mounts."""

from typing import Annotated

import typer

from mlgym_mcp.base.settings import Settings
from mlgym_mcp.cli.launch import read_settings, run
from mlgym_mcp.cli.screen import bars, note
from mlgym_mcp.sandbox.environments import Environments

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def environments() -> None:
    """Build the virtual environments that bubblewrap uses."""


@app.command()
def build(
    names: Annotated[
        list[str] | None, typer.Argument(help="Environments; all of them if none is named.")
    ] = None,
) -> None:
    """Build environments from their locks; those that are ready are left alone."""
    settings = read_settings()
    run(_build, settings, names or Environments(settings).names())


async def _build(settings: Settings, names: list[str]) -> None:
    built = Environments(settings)
    with bars() as drawn:
        for name in names:
            environment = await built.ensure(name, drawn.add(""))
            note(f"{name}: ready at {environment.path}")
