"""What another user of the same machine can read of a home whose folder is open to all."""

import stat
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import EngineName, Settings
from mlgym_mcp.scoring import Scorer, open_scorer

pytestmark = pytest.mark.anyio


@pytest.fixture
async def scorer(settings: Settings, engine: EngineName) -> AsyncGenerator[Scorer]:
    settings.home.chmod(0o755)
    chosen = settings.model_copy(update={"engine": engine})
    async with open_scorer(chosen, SystemClock()) as opened:
        yield opened


def readable(folder: Path) -> Iterator[Path]:
    """Files that others may read, in folders that others may enter; links are not followed."""
    for path in folder.iterdir():
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode) and mode & stat.S_IXOTH:
            yield from readable(path)
        elif stat.S_ISREG(mode) and mode & stat.S_IROTH:
            yield path


@pytest.mark.data
async def test_neither_labels_nor_submissions_nor_the_store_can_be_read(
    scorer: Scorer, settings: Settings, tmp_path: Path
) -> None:
    task = scorer.catalog.task("house-prices")
    data = await scorer.data(task, "mini")
    assert data is not None
    submission = tmp_path / "submission.csv"
    submission.write_text("Id,SalePrice\n1,100000\n")
    taken = await scorer.take_path(task, submission)
    grade = await scorer.grade(task, "mini", taken, "submit")
    assert grade.integrity == "invalid"
    assert (data.private / "labels.csv").is_file()
    open_to_all = {path.relative_to(settings.home).parts[0] for path in readable(settings.home)}
    assert open_to_all <= {"environments", "programs", "store.lock"}
