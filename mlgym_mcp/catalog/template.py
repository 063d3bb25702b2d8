"""New task folders, made from the templates that ship with the package.

Above: `tasks new`, and the reader of foreign configurations. Below: `templates/<kind>`, each a
whole task that works as it stands and says `my-task` where the new id goes.
"""

import shutil
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from mlgym_mcp.base.errors import RequestError, ServerError
from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.types.task import TaskId

Kind = Literal["predictions", "code", "model"]
TODO_NAME = "TODO.md"
"""The file of a task folder that lists what still needs a hand."""

OPEN_POINT = "- [ ]"
"""What a line of it starts with."""

_PLACEHOLDER = "my-task"
_TITLE = "My task"
_ID = TypeAdapter[str](TaskId)


def new_task(task_id: str, kind: Kind, into: Path) -> Path:
    """A new folder `into/task_id`, a working task of that kind.

    Raises:
        RequestError: The id cannot be one, or the folder is there already.
        ServerError: The folder cannot be written.
    """
    try:
        _ID.validate_python(task_id)
    except ValidationError as error:
        raise RequestError(
            f"'{task_id[:100]}' cannot be a task's id.",
            fix="Use lowercase words joined by single dashes, starting with a letter: `my-task`.",
        ) from error
    folder = into.absolute() / task_id
    if folder.exists():
        raise RequestError(f"{folder} is there already.", fix="Choose another id, or remove it.")
    try:
        _write(shipped("templates") / kind, folder)
    except OSError as error:
        raise ServerError(
            f"{folder} cannot be written: {error.strerror}.", fix="Choose another folder."
        ) from error
    return folder


def title_of(task_id: str) -> str:
    """A first title made from an id."""
    return task_id.replace("-", " ").capitalize()


def _write(template: Path, folder: Path) -> None:
    shutil.copytree(template, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            text = text.replace(_PLACEHOLDER, folder.name).replace(_TITLE, title_of(folder.name))
            path.write_text(text, encoding="utf-8")
