"""Floor 8: the MCP surface: tools, resources, prompts, and the transports they are served over."""

from mlgym_mcp.server.http import serve_http
from mlgym_mcp.server.options import HttpOptions
from mlgym_mcp.server.signals import hold_signals
from mlgym_mcp.server.stdio import serve_stdio
from mlgym_mcp.server.surface import open_server

__all__ = ["HttpOptions", "hold_signals", "open_server", "serve_http", "serve_stdio"]
