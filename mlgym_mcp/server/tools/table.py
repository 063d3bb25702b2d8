"""Every tool of the server, in the order a session uses them."""

from mlgym_mcp.server.tool import Tool
from mlgym_mcp.server.tools import commands, files, tasks

TOOLS: tuple[Tool, ...] = (*tasks.TOOLS[:3], *files.TOOLS, *commands.TOOLS, *tasks.TOOLS[3:])
