"""What the parts of this floor are built on, in one object."""

from dataclasses import dataclass
from pathlib import Path

from anyio.abc import TaskGroup

from mlgym_mcp.base.clock import Clock
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.catalog import Catalog, Datasets, Task
from mlgym_mcp.sandbox.contract import Backend
from mlgym_mcp.scoring import Scorer
from mlgym_mcp.sessions.session import Session
from mlgym_mcp.store import Store


@dataclass(frozen=True)
class Parts:
    """The floors below, opened."""

    settings: Settings
    clock: Clock
    store: Store
    catalog: Catalog
    datasets: Datasets
    backend: Backend
    scorer: Scorer
    tasks: TaskGroup
    """Owns what outlives a call: commands with a handle, gradings, the reaper."""

    def task_of(self, session: Session) -> Task:
        """The task a session is about.

        Raises:
            NotFound: Its folder was removed since.
        """
        return self.catalog.task(session.record.task)

    def folder_of(self, session: str) -> Path:
        """The host folder of a session; no sandbox sees it whole."""
        return self.settings.home / "sessions" / session
