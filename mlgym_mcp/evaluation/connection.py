"""Connections to a server, as any MCP client makes them.

Above: plays. Below: the SDK's client. The server is either a program of our own that is started for
the purpose and spoken to over its stdin and stdout, or one at a URL.
"""

import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import Implementation

from mlgym_mcp.base.settings import Settings

_CONNECT_SECONDS = 30.0
_SILENCE_SECONDS = 3600.0


@dataclass(frozen=True)
class Place:
    """A server at a URL."""

    url: str
    token: str | None = None


@asynccontextmanager
async def connected(settings: Settings, place: Place | None) -> AsyncGenerator[Client]:
    """A client of the server at `place`, or of one started here with these settings."""
    info = Implementation(name="mlgym-mcp-eval", version=version("mlgym-mcp"))
    if place is None:
        async with Client(server_program(settings), client_info=info) as client:
            yield client
        return
    headers = {"Authorization": f"Bearer {place.token}"} if place.token else {}
    timeout = httpx2.Timeout(_CONNECT_SECONDS, read=_SILENCE_SECONDS)
    async with httpx2.AsyncClient(headers=headers, timeout=timeout) as http:
        transport = streamable_http_client(place.url, http_client=http)
        async with Client(transport, client_info=info) as client:
            yield client


def server_program(settings: Settings) -> StdioServerParameters:
    """The server as a program with these settings, on the interpreter of this process."""
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "mlgym_mcp.cli.main", "serve"],
        env={**os.environ, **_variables(settings)},
    )


def _variables(settings: Settings) -> Mapping[str, str]:
    """The settings as the variables they are read from."""
    return {
        f"MLGYM_MCP_{name.upper()}": _written(value)
        for name, value in settings.model_dump().items()
    }


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return os.pathsep.join(str(part) for part in cast("tuple[Path, ...]", value))
    return str(value)
