"""One task: its spec and where its files lie.

Above: sessions show a task and copy its starter, scoring mounts its judge. Below: files only.
It does not know whether its dataset is on this machine.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.types.task import TaskSpec


@dataclass(frozen=True)
class Task:
    """A task folder whose spec is valid."""

    spec: TaskSpec
    folder: Path

    @property
    def id(self) -> str:
        """Its name everywhere."""
        return self.spec.id

    @cached_property
    def brief(self) -> str:
        """What the agent reads."""
        return (self.folder / "brief.md").read_text(encoding="utf-8")

    @property
    def starter(self) -> Path:
        """The folder copied into a new workspace."""
        return self.folder / "starter"

    @property
    def baseline(self) -> Path:
        """The folder of the plain solution; `run.sh` in it starts it."""
        return self.folder / "baseline"

    @property
    def judge(self) -> Path:
        """The folder of the trusted scoring code; never shown to an agent."""
        return self.folder / "judge"

    @property
    def player(self) -> Path | None:
        """The trusted loader inside the player sandbox, for tasks that run submitted code."""
        return self.judge / "player.py" if self.spec.judge.player else None

    @property
    def dataset_script(self) -> Path | None:
        """The program that prepares the data, for tasks that have any."""
        return self.folder / "dataset.py" if self.spec.dataset else None

    @property
    def table_schema(self) -> Path | None:
        """The JSON Schema of a predictions table: in the task's folder, else a shipped one."""
        name = self.spec.submission.table_schema
        if name is None:
            return None
        own = self.folder / name
        return own if own.is_file() else shipped("schemas") / name

    @cached_property
    def digest(self) -> str:
        """The sha256 over the folder's files, names and contents in path order.

        Without the record of what its baseline scored, which changes nothing of the task.
        """
        total = hashlib.sha256()
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and not {"__pycache__", "scores.json"} & set(path.parts):
                name = path.relative_to(self.folder).as_posix()
                total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        return total.hexdigest()
