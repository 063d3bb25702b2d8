"""`mlgym-mcp serve`: the MCP server, on stdin and stdout or over HTTP."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mlgym_mcp.cli.launch import read_settings, run
from mlgym_mcp.cli.screen import note
from mlgym_mcp.server import HttpOptions, hold_signals, serve_http, serve_stdio

app = typer.Typer(add_completion=False)

_MIB = 2**20
_TO_A_PERSON = (
    "This speaks MCP on stdin and stdout, for a client that starts it. Ctrl-C ends it.\n"
    "`mlgym-mcp connect` configures clients, and --http serves at an address."
)


@app.command()
def serve(
    http: Annotated[bool, typer.Option("--http", help="Serve streamable HTTP.")] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8765,
    tokens: Annotated[
        Path | None,
        typer.Option(help="File of hashed tokens (`mlgym-mcp tokens add`); needed off loopback."),
    ] = None,
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="A Host header to accept; may be repeated.")
    ] = None,
    allowed_origin: Annotated[
        list[str] | None, typer.Option(help="An Origin header to accept; may be repeated.")
    ] = None,
    max_body_mib: Annotated[int, typer.Option(min=1, help="Largest request, in MiB.")] = 16,
) -> None:
    """Serve tasks over MCP: on stdin and stdout, or over HTTP with --http."""
    settings = read_settings()
    if not http:
        hold_signals()
        if sys.stdin.isatty():
            note(_TO_A_PERSON)
        run(serve_stdio, settings)
        return
    options = HttpOptions(
        host=host,
        port=port,
        tokens_file=tokens,
        allowed_hosts=tuple(allowed_host or ()),
        allowed_origins=tuple(allowed_origin or ()),
        max_body_bytes=max_body_mib * _MIB,
    )
    run(serve_http, settings, options)
