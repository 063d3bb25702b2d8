"""mlgym-mcp: machine-learning research tasks as sandboxed workspaces, served over MCP."""
