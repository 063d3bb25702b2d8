"""Running the program as a person does."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def program(mlgym: list[str], variables: dict[str, str], tmp_path: Path) -> Run:
    """Runs `mlgym-mcp` with arguments in an empty folder; `extra` adds variables."""

    def run(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*mlgym, *arguments],
            env=variables | {"HOME": str(tmp_path), "COLUMNS": "200", "TERM": "dumb"} | extra,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
