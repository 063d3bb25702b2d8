"""A step: counted, done in the session's sandbox, recorded, then answered.

Above: file tools and commands. Whatever comes of a step, result or error, its event is in the
store before the caller hears of it.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import anyio
from pydantic import BaseModel

from mlgym_mcp.base.errors import MlgymError, SandboxDead
from mlgym_mcp.sandbox.contract import Sandbox
from mlgym_mcp.sessions.budget import require_step
from mlgym_mcp.sessions.faults import fault_of
from mlgym_mcp.sessions.registry import Registry
from mlgym_mcp.sessions.sandboxes import Sandboxes
from mlgym_mcp.sessions.session import Session
from mlgym_mcp.sessions.stopping import Stopping
from mlgym_mcp.store import Entry

T = TypeVar("T")


class Steps:
    """Takes steps in sessions."""

    def __init__(self, registry: Registry, sandboxes: Sandboxes, stopping: Stopping) -> None:
        self._registry = registry
        self._sandboxes = sandboxes
        self._stopping = stopping

    async def spend(self, session: Session) -> None:
        """Count one step.

        Raises:
            BudgetSpent: No steps or no time are left.
            SessionEnded: The session is over.
        """
        await self._stopping.require_open(session)
        require_step(session.record)
        session.change(steps_used=session.record.steps_used + 1)

    async def take(
        self,
        session: Session,
        name: str,
        arguments: Mapping[str, Any],
        work: Callable[[Sandbox], Awaitable[T]],
    ) -> T:
        """Count, do and record one step.

        Raises:
            BudgetSpent: No steps or no time are left.
            SessionEnded: The session is over.
            SandboxDead: The sandbox died; the next step opens another.
        """
        await self.spend(session)
        said: dict[str, Any] = {"arguments": dict(arguments)}
        try:
            value = await self._done(session, work)
        except MlgymError as error:
            said["error"] = fault_of(error)
            raise
        except anyio.get_cancelled_exc_class():
            said["cancelled"] = True
            raise
        else:
            said["result"] = _plain(value)
        finally:
            with anyio.CancelScope(shield=True):
                await self._registry.record(session, Entry("result", name, said))
        return value

    async def _done(self, session: Session, work: Callable[[Sandbox], Awaitable[T]]) -> T:
        sandbox = await self._sandboxes.ready(session)
        try:
            return await work(sandbox)
        except SandboxDead:
            await self._sandboxes.lose(session, sandbox)
            raise


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return {"bytes": len(value)} if isinstance(value, bytes) else None
