"""Serving over stdin and stdout, until the client closes them or a signal comes."""

import anyio

from mlgym_mcp.base.settings import Settings
from mlgym_mcp.server.pipes import standard_streams
from mlgym_mcp.server.signals import stopped_by_signals
from mlgym_mcp.server.surface import open_server
from mlgym_mcp.sessions import open_sessions


async def serve_stdio(settings: Settings) -> None:
    """Serve one client; its principal is the person at this machine."""
    with anyio.CancelScope() as scope:
        async with (
            stopped_by_signals(scope.cancel),
            open_sessions(settings) as sessions,
            open_server(sessions) as server,
            standard_streams() as (incoming, outgoing),
        ):
            await server.run(incoming, outgoing, server.create_initialization_options())
