"""An agent that looks for the judges where this program itself is installed."""

import shutil
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from mlgym_mcp.base.programs import program_copy
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.shipped import package_folder
from mlgym_mcp.sandbox.contract import SandboxSpec
from mlgym_mcp.sandbox.environments import Environments
from mlgym_mcp.sandbox.jail import jail_argv
from mlgym_mcp.sandbox.program import SUPERVISOR
from mlgym_mcp.sandbox.share import Share

pytestmark = pytest.mark.anyio


@pytest.mark.bubblewrap
@pytest.mark.parametrize("name", ["prefix", "link"])
async def test_a_program_installed_beside_the_interpreter_shows_no_judge(
    settings: Settings, tmp_path: Path, name: str
) -> None:
    """As with `pip install` for the system's own Python, whose folder every sandbox sees."""
    environment = await Environments(settings).ensure("base")
    prefix = package_folder().parent
    if name != "prefix":
        (tmp_path / name).symlink_to(prefix)
        prefix = tmp_path / name
    workspace, outputs = tmp_path / "workspace", tmp_path / "outputs"
    workspace.mkdir()
    outputs.mkdir()
    spec = SandboxSpec("s-1", "base", workspace, outputs)
    bwrap = Path(shutil.which("bwrap") or "")
    program = program_copy(settings.home, SUPERVISOR)
    beside = replace(environment, base_prefix=prefix)
    jail = jail_argv(bwrap, spec, beside, program, Share(), None)
    look = f"ls {prefix}/; find {prefix}/mlgym_mcp/ {prefix}/tasks/ -type f"
    done = await anyio.run_process([*jail, "/bin/bash", "-c", look], check=False)
    assert {"mlgym_mcp", "tasks", "docs"} <= set(done.stdout.decode().split()), done.stderr
    assert b"/" not in done.stdout
