"""Task folders to break."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mlgym_mcp.base.shipped import shipped


@pytest.fixture
def make_task(tmp_path: Path) -> Callable[..., Path]:
    """A copy of the shipped game under another id, its spec edited by replacements of text."""

    def make(name: str = "my-game", **replaced: str) -> Path:
        folder = tmp_path / "tasks" / name
        shutil.copytree(shipped("tasks") / "battle-of-sexes", folder)
        spec = folder / "task.toml"
        text = spec.read_text().replace('id = "battle-of-sexes"', f'id = "{name}"', 1)
        for old, new in replaced.items():
            found = next(line for line in text.splitlines() if line.startswith(old))
            text = text.replace(found, new, 1)
        spec.write_text(text)
        return folder

    return make
