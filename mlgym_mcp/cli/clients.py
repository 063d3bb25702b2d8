"""MCP clients that people use: where each keeps its configuration, and what an entry looks like.

Above: `connect`. Below: the text of a JSON file. It starts no client and no server.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlgym_mcp.base.errors import RequestError
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.cli.jsonc import BrokenJson, put
from mlgym_mcp.cli.replace import replace_text

SERVER_NAME = "mlgym"
TOKEN_VARIABLE = "MLGYM_MCP_TOKEN"  # noqa: S105 - its name
_PASSED_ON = frozenset(f"MLGYM_MCP_{name.upper()}" for name in Settings.model_fields)
"""The settings and nothing else of this program's variables: a token has no place in a file."""

_FOLDERS = frozenset({"MLGYM_MCP_HOME", "MLGYM_MCP_MIRRORS", "MLGYM_MCP_TASKS"})


@dataclass(frozen=True)
class Client:
    """One MCP client."""

    title: str
    file: Callable[[], Path]
    """Its configuration for this user, or for this folder."""

    container: Literal["mcpServers", "servers"]
    """The object in it that holds the servers."""

    typed: bool
    """Whether an entry says what it speaks."""

    token: str
    """How its file names the variable that holds a token; empty where it knows no servers at a URL."""

    after: str
    """What the person does next."""


def _application_folder() -> Path:
    """Where programs of this platform keep a user's settings."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", str(Path.home() / "AppData" / "Roaming")))
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


CLIENTS = {
    "claude-desktop": Client(
        "Claude Desktop",
        lambda: _application_folder() / "Claude" / "claude_desktop_config.json",
        "mcpServers",
        typed=False,
        token="",
        after="Quit Claude Desktop and start it again.",
    ),
    "claude-code": Client(
        "Claude Code",
        lambda: Path.cwd() / ".mcp.json",
        "mcpServers",
        typed=True,
        token=f"${{{TOKEN_VARIABLE}}}",
        after="Start `claude` in this folder and approve the server.",
    ),
    "cursor": Client(
        "Cursor",
        lambda: Path.home() / ".cursor" / "mcp.json",
        "mcpServers",
        typed=False,
        token=f"${{env:{TOKEN_VARIABLE}}}",
        after="Enable `mlgym` in Cursor's MCP settings.",
    ),
    "vscode": Client(
        "VS Code",
        lambda: _application_folder() / "Code" / "User" / "mcp.json",
        "servers",
        typed=True,
        token=f"${{env:{TOKEN_VARIABLE}}}",
        after="Run `MCP: List Servers` in VS Code and start `mlgym`.",
    ),
}


def entry(client: Client, url: str | None = None) -> dict[str, Any]:
    """How the client starts this very installation, with its settings, or reaches a server.

    Raises:
        RequestError: The client knows no servers at a URL.
    """
    if url is not None:
        return _remote(client, url)
    program = Path(sys.executable).with_name("mlgym-mcp")
    command = [str(program)] if program.exists() else [sys.executable, "-m", "mlgym_mcp.cli.main"]
    made: dict[str, Any] = {"type": "stdio"} if client.typed else {}
    made |= {"command": command[0], "args": [*command[1:], "serve"]}
    passed = {name: _settled(name) for name in sorted(_PASSED_ON & os.environ.keys())}
    return made | ({"env": passed} if passed else {})


def _settled(name: str) -> str:
    """A variable's value; folders as they are seen from here, for clients start servers elsewhere."""
    value = os.environ[name]
    if name not in _FOLDERS:
        return value
    folders = (Path(part).expanduser().absolute() for part in value.split(os.pathsep) if part)
    return os.pathsep.join(map(str, folders))


def _remote(client: Client, url: str) -> dict[str, Any]:
    if not client.token:
        raise RequestError(
            f"{client.title} starts servers itself; its file cannot name one at a URL.",
            fix="Leave out --url, or add the URL in its own settings, under connectors.",
        )
    made: dict[str, Any] = {"type": "http"} if client.typed else {}
    return made | {"url": url, "headers": {"Authorization": f"Bearer {client.token}"}}


def configuration(client: Client, url: str | None = None) -> str:
    """The whole of a configuration with nothing but this server in it."""
    whole = {client.container: {SERVER_NAME: entry(client, url)}}
    return json.dumps(whole, indent=2, ensure_ascii=False)


def write_entry(client: Client, url: str | None = None) -> tuple[Path, Path | None]:
    """Merge the entry into the client's file; the file and the backup of what it held.

    Raises:
        RequestError: The file is not JSON; it is left as it was.
        ServerError: It cannot be written.
    """
    path, made = client.file(), entry(client, url)
    try:
        text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
        merged = put(text, client.container, SERVER_NAME, made)
    except (OSError, UnicodeDecodeError, BrokenJson) as error:
        raise RequestError(
            f"{path} was left as it is, since it cannot be read as JSON: {error}.",
            fix="Mend the file, or add by hand what `connect` prints without --write.",
        ) from error
    if merged == text:
        return path, None
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    return path, replace_text(path, merged, mode=mode, backup=True)
