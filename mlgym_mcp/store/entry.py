"""What is appended to a session's events, before it has a sequence number."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlgym_mcp.types.session import EventKind


@dataclass(frozen=True)
class Entry:
    """One thing that happened in a session."""

    kind: EventKind
    name: str = ""
    """The tool that was called."""

    payload: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Plain JSON values."""

    request_id: str | None = None
    job: str | None = None
    """The command it belongs to, so that a job's events are found by its id."""

    at: float | None = None
    """When it happened, in seconds since the epoch; when it is handed in, if not set."""
