"""New sessions: the task and its data, room on the machine, a workspace, a sandbox.

Above: `start_session`. Everything that can be refused is refused before anything is made, and a
session that could not be opened is recorded as failed.
"""

import secrets
import shutil
from pathlib import Path

import anyio

from mlgym_mcp.base.errors import MlgymError, RequestError
from mlgym_mcp.catalog import Task
from mlgym_mcp.sandbox.contract import Report
from mlgym_mcp.sandbox.locks import for_gpus
from mlgym_mcp.sessions.admission import Admission
from mlgym_mcp.sessions.parts import Parts
from mlgym_mcp.sessions.registry import Registry
from mlgym_mcp.sessions.requests import StartRequest
from mlgym_mcp.sessions.sandboxes import Sandboxes
from mlgym_mcp.sessions.session import Session
from mlgym_mcp.sessions.stopping import Stopping
from mlgym_mcp.store import Entry
from mlgym_mcp.store.failure import blamed_on
from mlgym_mcp.types.budget import Budget
from mlgym_mcp.types.session import SessionOpened, SessionRecord

_LISTED_DEPTH = 2
_LISTED = 200


class Opening:
    """Opens sessions."""

    def __init__(
        self,
        parts: Parts,
        registry: Registry,
        sandboxes: Sandboxes,
        stopping: Stopping,
        admission: Admission,
    ) -> None:
        self._parts = parts
        self._registry = registry
        self._sandboxes = sandboxes
        self._stopping = stopping
        self._admission = admission

    async def start(self, principal: str, request: StartRequest, report: Report) -> SessionOpened:
        """Open a session.

        Raises:
            NotFound: There is no such task.
            RequestError: The task has no such variant, or a smaller wall budget.
            DataMissing: Its data is not on this machine.
            NoCapacity: There is no room.
            SandboxError: No sandbox could be opened.
        """
        task = self._parts.catalog.task(request.task)
        request = await anyio.to_thread.run_sync(self._playable, task, request)
        budget = self._with_gpus(task, _budget(task, request))
        await self._parts.scorer.data(task, request.variant, report)
        await self._parts.backend.prepare(task.spec.environment, report)
        async with self._admission.admitted(report):
            session = self._made(principal, request, budget)
            await self._parts.store.add_session(session.record)
            self._registry.add(session)
            try:
                return await self._opened(session, task, report)
            except BaseException as error:
                said = error.message if isinstance(error, MlgymError) else "it was cancelled"
                await self._stopping.end(session, "failed", f"it could not be opened: {said}")
                raise

    def _playable(self, task: Task, request: StartRequest) -> StartRequest:
        if request.variant not in task.spec.variants:
            known = ", ".join(task.spec.variants)
            raise RequestError(
                f"{task.id} has no variant '{request.variant}'.", fix=f"It has: {known}."
            )
        variant = self._parts.scorer.datasets.playable(task, request.variant)
        return request.model_copy(update={"variant": variant})

    def _with_gpus(self, task: Task, budget: Budget) -> Budget:
        gpus = self._parts.settings.gpus
        if gpus <= budget.limits.gpus or not for_gpus(task.spec.environment):
            return budget
        limits = budget.limits.model_copy(update={"gpus": gpus})
        return budget.model_copy(update={"limits": limits})

    def _made(self, principal: str, request: StartRequest, budget: Budget) -> Session:
        now = self._parts.clock.now()
        record = SessionRecord(
            id=f"s-{secrets.token_hex(10)}",
            principal=principal,
            task=request.task,
            variant=request.variant,
            seed=secrets.randbits(31) if request.seed is None else request.seed,
            label=request.label,
            state="opening",
            budget=budget,
            opened_at=now,
            last_call_at=now,
        )
        return Session(record)

    async def _opened(self, session: Session, task: Task, report: Report) -> SessionOpened:
        folder = self._parts.folder_of(session.id)
        await anyio.to_thread.run_sync(_lay_out, task, folder)
        sandbox = await self._sandboxes.first(session, report)
        files = await sandbox.list_files(".", _LISTED_DEPTH, _LISTED)
        session.change(state="active")
        payload = {"task": task.id, "digest": task.digest, "engine": self._parts.backend.name}
        await self._registry.record(session, Entry("opened", payload=payload), {"state": "active"})
        record = session.record
        return SessionOpened(
            session=record.id,
            task=task.id,
            variant=record.variant,
            about=task.spec.variants[record.variant].description,
            brief=task.brief,
            budget=record.budget,
            files=files,
        )


def _budget(task: Task, request: StartRequest) -> Budget:
    budget = task.spec.budget_of(request.variant)
    if request.wall_seconds is None:
        return budget
    if request.wall_seconds > budget.wall_seconds:
        raise RequestError(
            f"`wall_seconds` is {request.wall_seconds:g}; {task.id} ({request.variant}) allows "
            f"{budget.wall_seconds:g}.",
            fix="Ask for less, or leave it out.",
        )
    return budget.model_copy(update={"wall_seconds": request.wall_seconds})


def _lay_out(task: Task, folder: Path) -> None:
    with blamed_on(folder):
        # the way to it is closed to others on this machine; sandboxes get what is below it
        folder.mkdir(parents=True, mode=0o700)
        shutil.copytree(task.starter, folder / "workspace")
        (folder / "workspace").chmod(0o755)
        (folder / "workspace" / "data").mkdir(exist_ok=True)
        (folder / "outputs").mkdir(mode=0o755)
