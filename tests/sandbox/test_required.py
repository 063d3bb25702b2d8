"""What tests do where an engine is not: they are skipped, unless it was asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ABSENT = {
    "bubblewrap": ("supervisor/test_death.py", "PATH"),
    "docker": ("sandbox/test_docker.py", "DOCKER_HOST"),
    "node": ("clients/test_inspector.py", "MLGYM_MCP_NODE_PREFIX"),
}
"""By engine, tests that want it and the variable by which it is found."""


@pytest.mark.parametrize("engine", list(_ABSENT))
@pytest.mark.parametrize("required", [False, True])
def test_an_absent_engine_fails_its_tests_only_where_it_is_required(
    tmp_path: Path, engine: str, required: bool
) -> None:
    where, variable = _ABSENT[engine]
    nowhere = {variable: f"unix://{tmp_path}/none", "MLGYM_MCP_REQUIRE": "other"}
    if required:
        nowhere["MLGYM_MCP_REQUIRE"] = f"other,{engine}"
    suite = Path(__file__).parents[1] / where
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--maxfail=1", "-p", "no:cacheprovider", str(suite)],
        env={**os.environ, **nowhere},
        cwd=suite.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (1 if required else 0), done.stdout
    assert ("MLGYM_MCP_REQUIRE asks for" in done.stdout) == required
    assert required or "skipped" in done.stdout
