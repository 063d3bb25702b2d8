"""`mlgym-mcp tokens`: who may connect over HTTP.

The file maps names to the sha256 of their tokens; a token itself is shown once and kept nowhere.
"""

import hashlib
import json
import secrets
from pathlib import Path
from typing import Annotated, cast

import typer

from mlgym_mcp.base.errors import NotFound, RequestError, ServerError
from mlgym_mcp.cli.launch import read_settings
from mlgym_mcp.cli.replace import replace_text
from mlgym_mcp.cli.screen import note

app = typer.Typer(no_args_is_help=True, add_completion=False)

FileOption = Annotated[
    Path | None, typer.Option("--file", help="The file of hashed tokens; default: in the home.")
]
NameArgument = Annotated[str, typer.Argument(help="Whose token; sessions belong to this name.")]


@app.callback()
def tokens() -> None:
    """Add, list and remove the tokens of clients that connect over HTTP."""


@app.command()
def add(name: NameArgument, file: FileOption = None) -> None:
    """Make a token and print it; only its hash is stored. An older one of that name ends."""
    path = _path(file)
    known = _read(path)
    token = secrets.token_urlsafe(32)
    known[name] = hashlib.sha256(token.encode()).hexdigest()
    _write(path, known)
    note(f"Stored in {path}. Start the server with: mlgym-mcp serve --http --tokens {path}")
    typer.echo(token)


@app.command("list")
def show(file: FileOption = None) -> None:
    """Print the names that have a token."""
    for name in sorted(_read(_path(file))):
        typer.echo(name)


@app.command()
def remove(name: NameArgument, file: FileOption = None) -> None:
    """Take a name's token away."""
    path = _path(file)
    known = _read(path)
    if name not in known:
        raise NotFound(f"No token in {path} is named '{name}'.", fix="`tokens list` names them.")
    del known[name]
    _write(path, known)


def _path(file: Path | None) -> Path:
    return file or read_settings().home / "tokens.json"


def _read(path: Path) -> dict[str, str]:
    try:
        known: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ServerError(
            f"{path} cannot be read: {error.strerror}.",
            fix="Check the folder's permissions, or name another file with --file.",
        ) from error
    except ValueError as error:
        raise RequestError(
            f"{path} is not JSON: {error}.", fix="Mend it, or remove it and make every token anew."
        ) from error
    if not isinstance(known, dict):
        raise RequestError(
            f"{path} is not a JSON object.", fix="Mend it, or remove it and make every token anew."
        )
    return cast("dict[str, str]", known)


def _write(path: Path, known: dict[str, str]) -> None:
    replace_text(path, json.dumps(known, indent=2, sort_keys=True) + "\n", mode=0o600)
