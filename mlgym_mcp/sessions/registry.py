"""The sessions this process serves, and the one way to record what happens in them.

Above: everything else on this floor. Below: the store. It does not know why something happens.
"""

from collections.abc import Callable, Mapping
from typing import Any

from mlgym_mcp.sessions.parts import Parts
from mlgym_mcp.sessions.session import Session
from mlgym_mcp.store import Entry
from mlgym_mcp.types.session import Event

Watcher = Callable[[str], None]
"""Told a session's id after something was recorded in it; must neither block nor raise."""


class Registry:
    """Sessions by id, while this process serves them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._sessions: dict[str, Session] = {}
        self._watchers: list[Watcher] = []

    def __len__(self) -> int:
        return len(self._sessions)

    def add(self, session: Session) -> None:
        """Serve a session from now on."""
        self._sessions[session.id] = session

    def drop(self, session: Session) -> None:
        """Serve it no longer; its record is in the store."""
        self._sessions.pop(session.id, None)

    def get(self, session_id: str) -> Session | None:
        """The session of that id, if this process serves it."""
        return self._sessions.get(session_id)

    def all(self) -> list[Session]:
        """Every session served now."""
        return list(self._sessions.values())

    async def record(
        self,
        session: Session,
        entry: Entry,
        changes: Mapping[str, Any] | None = None,
        *,
        first: Entry | None = None,
        durable: bool = False,
    ) -> Event:
        """Append an event together with the session's counters and further changes.

        Another may come right before it; either both are kept or none.

        Raises:
            ServerError: It could not be written.
        """
        record = session.record
        counters = {
            "steps_used": record.steps_used,
            "validations_used": record.validations_used,
            "last_call_at": record.last_call_at,
        }
        columns = counters | dict(changes or {})
        event = await self._parts.store.append(
            session.id, entry, columns, first=first, durable=durable
        )
        for _ in (entry,) if first is None else (first, entry):
            for watcher in tuple(self._watchers):
                watcher(session.id)
        return event

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Tell `watcher` of every event; the returned function ends that."""
        self._watchers.append(watcher)

        def end() -> None:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

        return end
