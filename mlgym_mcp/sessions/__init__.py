"""Floor 5: the session state machine, budgets, recovery, admission."""

from mlgym_mcp.sessions.opened import open_sessions
from mlgym_mcp.sessions.requests import (
    EditRequest,
    JobRequest,
    RunRequest,
    SearchRequest,
    StartRequest,
)
from mlgym_mcp.sessions.sessions import Sessions

__all__ = [
    "EditRequest",
    "JobRequest",
    "RunRequest",
    "SearchRequest",
    "Sessions",
    "StartRequest",
    "open_sessions",
]
