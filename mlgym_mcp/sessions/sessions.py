"""Everything a caller can do with tasks and sessions: the door of this floor.

Above: the MCP server, evaluation, adapters. It finds the session meant and passes on; what happens
is in the modules named after it. Every method that touches a session takes who asks and which
session, None being the caller's only open one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio

from mlgym_mcp.catalog import Task, summarize
from mlgym_mcp.sandbox.contract import Report, silent
from mlgym_mcp.sessions.commands import Commands
from mlgym_mcp.sessions.desk import Desk
from mlgym_mcp.sessions.editing import Editing
from mlgym_mcp.sessions.grading import Grading
from mlgym_mcp.sessions.handles import Progress
from mlgym_mcp.sessions.opening import Opening
from mlgym_mcp.sessions.parts import Parts
from mlgym_mcp.sessions.reaping import Reaping
from mlgym_mcp.sessions.registry import Registry, Watcher
from mlgym_mcp.sessions.requests import (
    EditRequest,
    JobRequest,
    RunRequest,
    SearchRequest,
    StartRequest,
)
from mlgym_mcp.sessions.searching import Searching
from mlgym_mcp.sessions.session import Session
from mlgym_mcp.sessions.stopping import Stopping
from mlgym_mcp.sessions.views import Views
from mlgym_mcp.types.command import CommandResult, JobView
from mlgym_mcp.types.files import FileWindow, Found, Listing, Matches
from mlgym_mcp.types.grade import Grade
from mlgym_mcp.types.session import Event, SessionOpened, SessionView
from mlgym_mcp.types.task import TaskSummary, Variant

_MOST_EVENTS = 10_000


@dataclass(frozen=True)
class Floor:
    """What `Sessions` is composed of."""

    parts: Parts
    registry: Registry
    desk: Desk
    opening: Opening
    stopping: Stopping
    commands: Commands
    editing: Editing
    searching: Searching
    grading: Grading
    reaping: Reaping


class Sessions:
    """Tasks, and sessions on them."""

    def __init__(self, floor: Floor) -> None:
        self._parts = floor.parts
        self._registry = floor.registry
        self._desk = floor.desk
        self._opening = floor.opening
        self._stopping = floor.stopping
        self._commands = floor.commands
        self._editing = floor.editing
        self._searching = floor.searching
        self._grading = floor.grading
        self._reaping = floor.reaping
        self._views = Views(floor.parts)

    def tasks(self, area: str | None = None, query: str | None = None) -> list[TaskSummary]:
        """Tasks of an area, or with a word in their id, title or summary."""
        datasets = self._parts.datasets
        found = [summarize(task, datasets) for task in self._parts.catalog.tasks.values()]
        words = (query or "").lower().split()
        return [
            task
            for task in found
            if area in (None, task.area)
            and all(word in f"{task.id} {task.title} {task.summary}".lower() for word in words)
        ]

    def task(self, task_id: str) -> Task:
        """One task.

        Raises:
            NotFound: There is none of that id.
        """
        return self._parts.catalog.task(task_id)

    async def card(self, task_id: str) -> dict[str, Any] | None:
        """What its dataset is: columns, sizes, a few rows. None for a task without data.

        It is that of the first variant whose files are here, and says which.

        Raises:
            NotFound: There is no such task.
            DataMissing: Its data is not on this machine.
        """
        task, scorer = self.task(task_id), self._parts.scorer
        states = await anyio.to_thread.run_sync(scorer.datasets.states, task)
        here: list[Variant] = [name for name, state in states.items() if state != "missing"]
        variant = here[0] if here else "full"
        data = await scorer.data(task, variant)
        return {"variant": variant, **data.card} if data else None

    async def grades(self, task_id: str) -> list[Grade]:
        """The leaderboard of a task: graded submissions, the best first."""
        task = self.task(task_id)
        return self._views.leaderboard(task, await self._parts.store.grades(task=task.id))

    async def start(
        self, principal: str, request: StartRequest, report: Report = silent
    ) -> SessionOpened:
        """Open a session.

        Raises:
            NotFound: There is no such task.
            DataMissing: Its data is not on this machine.
            NoCapacity: There is no room for another session.
        """
        return await self._opening.start(principal, request, report)

    async def list_sessions(self, principal: str) -> list[SessionView]:
        """The caller's sessions, the newest first, ended ones too."""
        await self._desk.meet_again(principal)
        grades = await self._parts.store.grades_of(principal)
        records = await self._parts.store.sessions(principal)
        served = [self._registry.get(record.id) or Session(record) for record in records]
        return [self._views.session(session, grades) for session in served]

    async def status(self, principal: str, session: str | None) -> SessionView:
        """A session's state, what is left of its budget, its commands, its grades."""
        found = await self._desk.find(principal, session)
        grades = await self._parts.store.grades(session=found.id)
        return self._views.session(found, grades)

    async def run(
        self,
        principal: str,
        session: str | None,
        request: RunRequest,
        progress: Progress | None = None,
    ) -> CommandResult | JobView:
        """Run a command; a handle when it takes longer than `wait_seconds`.

        Cancelling this ends the command in the sandbox.

        Raises:
            BudgetSpent: No steps or no time are left.
            SandboxDead: The sandbox died under it; the next call opens another.
        """
        return await self._commands.run(
            await self._desk.find(principal, session), request, progress
        )

    async def job(
        self,
        principal: str,
        session: str | None,
        request: JobRequest,
        progress: Progress | None = None,
    ) -> JobView:
        """Wait for, look at, or cancel a command that has a handle.

        Raises:
            NotFound: The session has no such command.
        """
        return await self._commands.job(
            await self._desk.find(principal, session), request, progress
        )

    async def open_file(
        self, principal: str, session: str | None, path: str, line: int = 1, window: int = 200
    ) -> FileWindow:
        """Numbered lines of a file around one of them."""
        found = await self._desk.find(principal, session)
        return await self._editing.open(found, path, line, window)

    async def read_resource_file(self, principal: str, session: str | None, path: str) -> bytes:
        """A whole file of the workspace."""
        return await self._editing.read(await self._desk.find(principal, session), path)

    async def create(self, principal: str, session: str | None, path: str, text: str) -> FileWindow:
        """Create or replace a text file."""
        return await self._editing.create(await self._desk.find(principal, session), path, text)

    async def edit(self, principal: str, session: str | None, request: EditRequest) -> FileWindow:
        """Replace exact text or lines of a file.

        Raises:
            RequestError: What is to be replaced is not there once, or Python would no longer
                parse; the file is as it was.
        """
        return await self._editing.edit(await self._desk.find(principal, session), request)

    async def insert(
        self, principal: str, session: str | None, path: str, line: int, text: str
    ) -> FileWindow:
        """Insert lines before a line."""
        found = await self._desk.find(principal, session)
        return await self._editing.insert(found, path, line, text)

    async def list_files(
        self, principal: str, session: str | None, path: str = ".", depth: int = 1
    ) -> Listing:
        """Entries below a folder."""
        found = await self._desk.find(principal, session)
        return await self._searching.list_files(found, path, depth)

    async def find(self, principal: str, session: str | None, pattern: str) -> Found:
        """Paths that match a glob."""
        return await self._searching.find(await self._desk.find(principal, session), pattern)

    async def search(self, principal: str, session: str | None, request: SearchRequest) -> Matches:
        """Lines that have a text or match a regular expression."""
        return await self._searching.search(await self._desk.find(principal, session), request)

    async def validate(self, principal: str, session: str | None, report: Report = silent) -> Grade:
        """Grade the workspace as it is; counted.

        Raises:
            BudgetSpent: No validations are left.
            SubmissionRejected: There is nothing that can be graded; not counted.
        """
        return await self._grading.validate(await self._desk.find(principal, session), report)

    async def submit(
        self,
        principal: str,
        session: str | None,
        request_id: str | None = None,
        report: Report = silent,
    ) -> Grade:
        """Hand in the workspace, end the session, grade it.

        Raises:
            SubmissionRejected: There is nothing that can be graded; the session goes on.
        """
        found = await self._desk.find(principal, session)
        return await self._grading.submit(found, request_id, report)

    async def end(self, principal: str, session: str | None) -> SessionView:
        """End a session without a submission; one that is over stays as it is."""
        found = await self._desk.find(principal, session)
        await self._stopping.end(found, "closed", "its owner ended it; nothing was submitted.")
        grades = await self._parts.store.grades(session=found.id)
        return self._views.session(found, grades)

    async def trajectory(
        self, principal: str, session: str | None, after: int = 0, limit: int = 1000
    ) -> list[Event]:
        """What happened in a session, in order, beyond sequence number `after`."""
        found = await self._desk.find(principal, session)
        most = max(1, min(limit, _MOST_EVENTS))
        return await self._parts.store.events(found.id, after, most)

    async def reap(self) -> None:
        """Expire now whatever is over by the clock; a server's own task does it all the time."""
        await self._reaping.reap()

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Tell `watcher` a session's id after every event in it; the result ends that."""
        return self._registry.watch(watcher)
