"""The sandbox of each session: opened, found again, opened anew after a death, closed.

Above: steps ask for a living one. Below: a backend. The workspace is a host folder, so a sandbox
that died costs its processes and shell state and nothing else.
"""

import anyio

from mlgym_mcp.base.errors import MlgymError
from mlgym_mcp.sandbox.contract import WORKSPACE, Mount, Report, Sandbox, SandboxSpec, silent
from mlgym_mcp.sessions.parts import Parts
from mlgym_mcp.sessions.registry import Registry
from mlgym_mcp.sessions.session import Session
from mlgym_mcp.store import Entry


class Sandboxes:
    """Hands out the sandbox of a session."""

    def __init__(self, parts: Parts, registry: Registry) -> None:
        self._parts = parts
        self._registry = registry

    async def ready(self, session: Session) -> Sandbox:
        """The session's living sandbox; one that is gone is opened anew on the kept workspace.

        Raises:
            SandboxError: It could not be opened.
            DataMissing: The task's dataset is no longer on this machine.
        """
        sandbox = session.sandbox
        if sandbox is not None and sandbox.alive:
            return sandbox
        async with session.holding:
            if session.sandbox is not None and not session.sandbox.alive:
                await self._forget(session, session.sandbox)
            if session.sandbox is None:
                session.sandbox = await self.attached(session) or await self._reopened(session)
            return session.sandbox

    async def first(self, session: Session, report: Report = silent) -> Sandbox:
        """Open the sandbox of a new session."""
        session.spec = await self._spec(session, report)
        session.sandbox = await self._parts.backend.open(session.spec)
        return session.sandbox

    async def attached(self, session: Session) -> Sandbox | None:
        """What an earlier process left running for this session; looked for once."""
        if not session.adopted:
            return None
        session.spec = session.spec or await self._spec(session, silent)
        session.sandbox = await self._parts.backend.attach(session.spec)
        session.adopted = False
        return session.sandbox

    async def lose(self, session: Session, sandbox: Sandbox) -> None:
        """Take note that a sandbox died; the next call opens another."""
        async with session.holding:
            if session.sandbox is sandbox:
                await self._forget(session, sandbox)

    async def close(self, session: Session) -> None:
        """End the session's sandbox, also one an earlier process left."""
        async with session.holding:
            try:
                await self.attached(session)
            except MlgymError:
                # nothing can be found under a spec that cannot be made; the sweep removes it
                session.adopted = False
            if session.sandbox is not None:
                await self._forget(session, session.sandbox)

    async def _forget(self, session: Session, sandbox: Sandbox) -> None:
        session.sandbox = None
        with anyio.CancelScope(shield=True):
            await sandbox.close()

    async def _reopened(self, session: Session) -> Sandbox:
        spec = session.spec = session.spec or await self._spec(session, silent)
        sandbox = await self._parts.backend.open(spec)
        lost = "Processes and shell state are gone; the workspace is kept."
        await self._registry.record(session, Entry("reopened", payload={"reason": lost}))
        return sandbox

    async def _spec(self, session: Session, report: Report) -> SandboxSpec:
        task, record = self._parts.task_of(session), session.record
        data = await self._parts.scorer.data(task, record.variant, report)
        folder = self._parts.folder_of(session.id)
        return SandboxSpec(
            name=session.id,
            environment=task.spec.environment,
            workspace=folder / "workspace",
            outputs=folder / "outputs",
            mounts=(Mount(data.public, f"{WORKSPACE}/data"),) if data else (),
            limits=record.budget.limits,
            variables={"MLGYM_TASK": task.id, "MLGYM_SEED": str(record.seed)},
            survives=True,
        )
