"""`mlgym-mcp images`: the images that Docker sandboxes are made from."""

from typing import Annotated

import typer

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.cli.launch import read_settings, run
from mlgym_mcp.cli.screen import bars, note
from mlgym_mcp.sandbox.environments import Environments
from mlgym_mcp.sandbox.registry import open_backend

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def images() -> None:
    """Build the images that Docker uses."""


@app.command()
def build(
    names: Annotated[
        list[str] | None, typer.Argument(help="Environments; all of them if none is named.")
    ] = None,
) -> None:
    """Build an image for each environment on the base image (`MLGYM_MCP_DOCKER_BASE`)."""
    settings = read_settings(engine="docker")
    run(_build, settings, names or Environments(settings).names())


async def _build(settings: Settings, names: list[str]) -> None:
    async with open_backend(settings, SystemClock()) as backend:
        with bars() as drawn:
            for name in names:
                await backend.prepare(name, drawn.add(""))
                note(f"{name}: ready")
