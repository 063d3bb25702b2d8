"""What `tasks check` says of every task folder and its data, without running anything.

Above: the command line and `doctor`. Below: the catalog, the datasets, and what can be read of a
folder. What needs an engine is in `evaluation.rehearsal`.
"""

from collections.abc import Collection, Iterator

from mlgym_mcp.base.errors import SpecInvalid
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.catalog.catalog import load_catalog
from mlgym_mcp.catalog.datasets import Datasets
from mlgym_mcp.catalog.folder import folder_faults
from mlgym_mcp.catalog.summary import data_said
from mlgym_mcp.catalog.task import Task
from mlgym_mcp.types.finding import Finding


def check_tasks(settings: Settings, wanted: Collection[str] = ()) -> list[Finding]:
    """What is found in the wanted task folders, or in all; broken ones are included.

    A folder without a fault is one finding; one with faults is a finding each, and their sum.

    Raises:
        NotFound: A wanted id is none; the message names near ones.
    """
    catalog, datasets = load_catalog(settings), Datasets(settings)
    for name in wanted:
        if name not in catalog.broken:
            catalog.task(name)
    findings: list[Finding] = []
    for name, task in catalog.tasks.items():
        if not wanted or name in wanted:
            findings += _of_task(task, datasets)
    for name, error in catalog.broken.items():
        if not wanted or name in wanted:
            findings.append(_broken(name, error))
    return findings


def _broken(name: str, error: SpecInvalid) -> Finding:
    return Finding(check=f"task {name}", state="failed", detail=error.message, fix=error.fix)


def _of_task(task: Task, datasets: Datasets) -> Iterator[Finding]:
    check = f"task {task.id}"
    faults = folder_faults(task)
    failed = [fault for fault in faults if fault.state == "failed"]
    if failed:
        detail = f"the spec is valid; faults in the folder: {len(failed)}"
        yield Finding(check=check, state="failed", detail=detail, fix=failed[0].fix)
    else:
        yield _sound(task, datasets)
    for fault in faults:
        yield Finding(
            check=f"{check}: {fault.part}", state=fault.state, detail=fault.detail, fix=fault.fix
        )


def _sound(task: Task, datasets: Datasets) -> Finding:
    states = datasets.states(task)
    check, detail = f"task {task.id}", f"the folder is sound; data {data_said(states)}"
    if states["full"] == "missing":
        return Finding(check=check, state="warning", detail=detail, fix=datasets.fix(task))
    return Finding(check=check, state="ok", detail=detail)
