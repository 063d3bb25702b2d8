"""docs/tasks.md, run: the task it writes is valid, and its baseline reaches what it says."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.catalog import check_tasks
from mlgym_mcp.sandbox.contract import Command, Mount, Sandbox, SandboxSpec
from mlgym_mcp.sandbox.registry import open_backend
from mlgym_mcp.scoring import Scorer, open_scorer, score_path

PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"
FILE = re.compile(r"^`(wavy-line/[^`]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """The files on the page, written where the page says."""
    for name, text in FILE.findall(PAGE.read_text(encoding="utf-8")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_the_task_of_the_page_is_valid(make_settings: Callable[..., Settings], tasks: Path) -> None:
    findings = {found.check: found for found in check_tasks(make_settings(tasks=(tasks,)))}
    assert findings["task wavy-line"].state == "ok"


@pytest.mark.anyio
@pytest.mark.bubblewrap
async def test_the_baseline_of_the_page_reaches_what_it_says(
    make_settings: Callable[..., Settings], tasks: Path, tmp_path: Path
) -> None:
    settings = make_settings(engine="bubblewrap", tasks=(tasks,))
    async with (
        open_backend(settings, SystemClock()) as backend,
        open_scorer(settings, SystemClock(), backend) as scorer,
    ):
        folders = await scorer.data(scorer.catalog.task("wavy-line"), "full")
        assert folders is not None
        workspace = tmp_path / "workspace"
        for part in ("starter", "baseline"):
            shutil.copytree(tasks / "wavy-line" / part, workspace / part)
        outputs = tmp_path / "outputs"
        outputs.mkdir()
        data = Mount(folders.public, "/workspace/data")
        sandbox = await backend.open(SandboxSpec("page", "tabular", workspace, outputs, (data,)))
        try:
            scores = [
                await score_after(scorer, sandbox, script, workspace)
                for script in ("python starter/solution.py", "bash baseline/run.sh")
            ]
        finally:
            await sandbox.close()
    mean, line = scores
    assert line == pytest.approx(0.67, abs=0.01)
    assert line < mean


async def score_after(scorer: Scorer, sandbox: Sandbox, script: str, workspace: Path) -> float:
    result = await sandbox.run(Command(script, timeout_seconds=60))
    assert result.ok, result.output
    grade = await score_path(scorer, "wavy-line", "full", workspace)
    assert set(grade.metrics) == {"rmse", "private_rmse"}
    assert grade.score is not None
    return grade.score
