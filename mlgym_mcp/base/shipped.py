"""Where the data that ships with the package lies: tasks, sandboxes, schemas, templates, docs.

In an installed wheel they are under `mlgym_mcp/_data`; in a source tree beside the package.
"""

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped(kind: Literal["tasks", "sandboxes", "schemas", "templates", "docs"]) -> Path:
    """The folder of shipped data of one kind."""
    installed = _PACKAGE / "_data" / kind
    return installed if installed.is_dir() else _PACKAGE.parent / kind


def package_folder() -> Path:
    """The folder of the `mlgym_mcp` package itself, from which programs are mounted."""
    return _PACKAGE
