"""`mlgym-mcp connect`: one server entry for a person's MCP client."""

from typing import Annotated

import typer

from mlgym_mcp.cli.clients import CLIENTS, TOKEN_VARIABLE, configuration, write_entry
from mlgym_mcp.cli.screen import note

app = typer.Typer(add_completion=False)


@app.command()
def connect(
    client: Annotated[str, typer.Argument(help=f"One of: {', '.join(CLIENTS)}.")],
    write: Annotated[
        bool, typer.Option("--write", help="Merge it into the client's file, with a backup.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(help=f"A running server; its token stays in the variable {TOKEN_VARIABLE}."),
    ] = None,
) -> None:
    """Print the configuration of an MCP client, or write it.

    The client starts this installation itself, with the settings that are set now, or connects to
    a running server with --url.
    """
    if client not in CLIENTS:
        raise typer.BadParameter(f"'{client}' is not one of: {', '.join(CLIENTS)}")
    chosen = CLIENTS[client]
    if url is not None and not url.startswith(("http://", "https://")):
        raise typer.BadParameter(f"'{url}' is no address such as http://127.0.0.1:8765/mcp")
    if not write:
        text = configuration(chosen, url)
        note(f"For {chosen.title}, in {chosen.file()}:")
        typer.echo(text)
        return
    path, backup = write_entry(chosen, url)
    note(f"{path} has the server `mlgym`." + (f" What it was: {backup}" if backup else ""))
    note(chosen.after)
