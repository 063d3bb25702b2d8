"""Every task this server knows, and every broken task folder with what is wrong with it.

Above: sessions, scoring, the command line. Below: the shipped `tasks/` and the folders named in
`MLGYM_MCP_TASKS`. One broken folder never hides the others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from mlgym_mcp.base.errors import NotFound, SpecInvalid
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.catalog.spec import SPEC_NAME, invalid, read_spec
from mlgym_mcp.catalog.task import Task

_ALL = (
    "`list_tasks`, or `mlgym-mcp tasks`, names them all; MLGYM_MCP_TASKS names folders with more."
)


@dataclass(frozen=True)
class Catalog:
    """The tasks by id, and the broken ones by the name of their folder."""

    tasks: Mapping[str, Task]
    broken: Mapping[str, SpecInvalid]

    def task(self, task_id: str) -> Task:
        """The task of that id.

        Raises:
            NotFound: There is none; the message names near ones.
            SpecInvalid: It is there, but its folder is broken.
        """
        if found := self.tasks.get(task_id):
            return found
        if broken := self.broken.get(task_id):
            raise SpecInvalid(broken.message, fix=broken.fix)
        near = get_close_matches(task_id, self.tasks, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else _ALL
        raise NotFound(f"There is no task '{task_id[:100]}'.", fix=hint)


def load_catalog(settings: Settings) -> Catalog:
    """Read every task folder, shipped ones first."""
    tasks: dict[str, Task] = {}
    broken: dict[str, SpecInvalid] = {}
    for folder in _task_folders(settings):
        try:
            if other := tasks.get(folder.name):
                raise invalid(folder / SPEC_NAME, [f"`id` is taken by {other.folder}"])
            tasks[folder.name] = load_task(folder)
        except SpecInvalid as error:
            broken[folder.name] = error
    return Catalog(tasks, broken)


def load_task(folder: Path) -> Task:
    """Read one task folder and see that the files its spec needs are there.

    Raises:
        SpecInvalid: The spec is broken or a needed file is missing.
    """
    task = Task(read_spec(folder), folder)
    if missing := list(_missing_files(task)):
        raise invalid(folder / SPEC_NAME, missing)
    return task


def _task_folders(settings: Settings) -> Iterator[Path]:
    for root in (shipped("tasks"), *settings.tasks):
        if root.is_dir():
            entries = sorted(root.iterdir())
            yield from (entry for entry in entries if (entry / SPEC_NAME).exists())


def _missing_files(task: Task) -> Iterator[str]:
    needed = ["brief.md", "judge/judge.py", "baseline/run.sh"]
    if task.spec.judge.player:
        needed.append("judge/player.py")
    if task.spec.dataset:
        needed.append("dataset.py")
    yield from (f"the file {name} is missing" for name in needed if not _is_file(task, name))
    if not task.starter.is_dir():
        yield "the folder starter/ is missing"
    if (schema := task.table_schema) and not schema.is_file():
        yield f"`submission.table_schema` names {schema}, which is missing"
    if task.spec.submission.kind == "predictions" and task.table_schema is None:
        yield "`submission.table_schema` is missing; predictions are checked against one"


def _is_file(task: Task, name: str) -> bool:
    return (task.folder / name).is_file()
