"""What can be said of a task folder by reading it: nothing is run and no data is needed.

Above: `check`. Below: the files of one folder whose spec is valid. Every fault says what is wrong
where; a `warning` is something that works and should not stay.
"""

import ast
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.catalog.task import Task
from mlgym_mcp.catalog.template import OPEN_POINT, TODO_NAME

_SHORTEST_BRIEF = 100
_LONGEST_BRIEF = 20_000
_SHOWN = 5
_TYPES = ("integer", "number", "string")


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it should be."""

    part: str
    """The part of the task: `brief`, `table schema`, `judge`, ..."""

    detail: str
    state: Literal["warning", "failed"] = "failed"
    fix: str = ""


def folder_faults(task: Task) -> list[Fault]:
    """Everything wrong with the files of one folder."""
    return [
        *_environments(task),
        *_brief(task),
        *_table_schema(task),
        *_programs(task),
        *_secrets(task),
        *_variants(task),
        *_open_points(task),
    ]


def _environments(task: Task) -> Iterator[Fault]:
    spec = task.spec
    named = {
        "environment": spec.environment,
        "judge.environment": spec.judge.environment,
        "judge.player_environment": spec.judge.player_environment,
        "dataset.environment": spec.dataset.environment if spec.dataset else None,
    }
    known = sorted(p.parent.name for p in shipped("sandboxes").glob("*/requirements.lock"))
    for key, name in named.items():
        if name is not None and name not in known:
            said = f"`{key}` is '{name}'; the environments are {', '.join(known)}"
            yield Fault("environment", said)


def _brief(task: Task) -> Iterator[Fault]:
    try:
        text = task.brief
    except (OSError, UnicodeDecodeError) as error:
        yield Fault("brief", f"brief.md cannot be read as UTF-8: {error}")
        return
    if not text.startswith("# "):
        yield Fault("brief", "brief.md does not start with a title, `# ...`")
    if not _SHORTEST_BRIEF <= len(text) <= _LONGEST_BRIEF:
        wanted = f"{_SHORTEST_BRIEF} to {_LONGEST_BRIEF}"
        yield Fault("brief", f"brief.md has {len(text)} characters; {wanted} are good to read")
    if task.spec.submission.path not in text:
        said = f"brief.md never names what is handed in, `{task.spec.submission.path}`"
        yield Fault("brief", said)


def _table_schema(task: Task) -> Iterator[Fault]:
    if (path := task.table_schema) is None:
        return
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
        columns = schema["items"]["properties"]
        required = schema["items"]["required"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = f"{path} is no array of row objects in JSON: {type(error).__name__} {error}"
        yield Fault("table schema", said)
        return
    if schema.get("type") != "array" or "maxItems" not in schema:
        yield Fault("table schema", f"{path} needs `type: array` and a `maxItems`")
    if missing := sorted(set(required) - set(columns)):
        yield Fault("table schema", f"{path} requires unknown columns: {', '.join(missing)}")
    for name, column in columns.items():
        yield from _column(path, name, column)


def _column(path: Path, name: str, column: Any) -> Iterator[Fault]:
    rules: Mapping[str, Any] = {}
    if isinstance(column, dict):
        rules = cast("dict[str, Any]", column)
    kind = rules.get("type")
    if kind not in _TYPES:
        yield Fault("table schema", f"{path}: column {name} needs a type of {', '.join(_TYPES)}")
        return
    bounds = ("maxLength",) if kind == "string" else ("minimum", "maximum")
    if "enum" not in rules and "pattern" not in rules and not all(b in rules for b in bounds):
        said = f"{path}: column {name} has no {' and '.join(bounds)}, so one cell can be absurd"
        yield Fault("table schema", said)


def _programs(task: Task) -> Iterator[Fault]:
    for path in sorted(task.folder.rglob("*.py")):
        try:
            ast.parse(path.read_bytes())
        except (SyntaxError, ValueError) as error:
            yield Fault("programs", f"{path} is not Python: {error}")
    yield from _signature(task.judge / "judge.py", "grade", 5)
    if task.player:
        yield from _signature(task.player, "load", 2)


def _signature(path: Path, name: str, count: int) -> Iterator[Fault]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # said already
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    if not found:
        yield Fault("judge", f"{path} has no function `{name}`")
    elif len(found[-1].args.posonlyargs + found[-1].args.args) != count:
        yield Fault("judge", f"{path}: `{name}` must take {count} arguments")


def _secrets(task: Task) -> Iterator[Fault]:
    """Nothing of the judge may lie in what the agent gets, and no link may lead there."""
    for path in sorted(task.folder.rglob("*")):
        if path.is_symlink():
            yield Fault("separation", f"{path} is a link; task folders hold files only")
    judged = {_hash(path): path for path in _files(task.judge) if path.stat().st_size}
    for folder in (task.starter, task.baseline):
        for path in _files(folder):
            if found := judged.get(_hash(path)):
                said = f"{path} is the judge's {found.name}; the agent would see it"
                yield Fault("separation", said)


def _files(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*"))
    return [p for p in found if p.is_file() and "__pycache__" not in p.parts]


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _variants(task: Task) -> Iterator[Fault]:
    if "mini" not in task.spec.variants:
        said = "there is no mini variant, so nothing about the task can be tried in seconds"
        yield Fault("variants", said, "warning", "Add [variants.mini] to task.toml.")
    for name in task.spec.variants:
        if name != "full" and task.spec.baseline_of(name) is None:
            chosen = "" if name == "mini" else f" --variant {name}"
            command = f"mlgym-mcp tasks check {task.id} --run{chosen}"
            fix = f"Run `{command}` and write down what it measures."
            said = f"`variants.{name}.baseline` is not set: nobody has measured it"
            yield Fault("variants", said, "warning", fix)


def _open_points(task: Task) -> Iterator[Fault]:
    path = task.folder / TODO_NAME
    if not path.is_file():
        return
    points = re.findall(
        rf"^{re.escape(OPEN_POINT)}(.*)", path.read_text(encoding="utf-8"), re.MULTILINE
    )
    if points:
        shown = "; ".join(point.strip() for point in points[:_SHOWN])
        more = f"; and {len(points) - _SHOWN} more" if len(points) > _SHOWN else ""
        fix = f"Do them, and take them out of {path}."
        said = f"{len(points)} points are open: {shown}{more}"
        yield Fault("to do", said, "failed", fix)
