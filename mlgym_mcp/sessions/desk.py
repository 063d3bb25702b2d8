"""Finds the session a caller means.

Above: every public call comes here first. Another caller's session is as unknown as one that never
was, in the same words.
"""

import anyio

from mlgym_mcp.base.errors import NotFound, RequestError
from mlgym_mcp.sessions.budget import is_open
from mlgym_mcp.sessions.parts import Parts
from mlgym_mcp.sessions.recovery import Recovery
from mlgym_mcp.sessions.registry import Registry
from mlgym_mcp.sessions.session import Session

_LISTED = 20


class Desk:
    """Knows which sessions are whose."""

    def __init__(self, parts: Parts, registry: Registry, recovery: Recovery) -> None:
        self._parts = parts
        self._registry = registry
        self._recovery = recovery
        self._met: set[str] = set()
        self._meeting = anyio.Lock()

    async def find(self, principal: str, session_id: str | None) -> Session:
        """The session of that id, or the caller's only open one.

        Raises:
            NotFound: This caller has no such session.
            RequestError: None was named, and the caller has none or several open; or another
                server process serves it.
        """
        await self._meet(principal)
        if session_id is None:
            return self._only(principal)
        session = self._registry.get(session_id)
        if session is None:
            record = await self._parts.store.session(session_id)
            if record is not None and record.principal == principal:
                session = await self._recovery.continued(record)
        if session is None or session.record.principal != principal:
            raise NotFound(
                f"There is no session '{session_id[:80]}'.", fix="`start_session` opens one."
            )
        return session

    async def meet_again(self, principal: str) -> None:
        """Take over what became free since, too."""
        await self._recovery.of_principal(principal)

    async def _meet(self, principal: str) -> None:
        if principal in self._met:
            return
        async with self._meeting:
            if principal not in self._met:
                await self._recovery.of_principal(principal)
                self._met.add(principal)

    def _only(self, principal: str) -> Session:
        own = [
            session
            for session in self._registry.all()
            if session.record.principal == principal and is_open(session.record)
        ]
        if len(own) == 1:
            return own[0]
        if not own:
            raise RequestError(
                "No `session` was named and you have none open.", fix="`start_session` opens one."
            )
        named = ", ".join(f"{s.id} ({s.record.task})" for s in own[:_LISTED])
        raise RequestError(
            f"No `session` was named and you have {len(own)} open: {named}.",
            fix="Name one as `session`.",
        )
