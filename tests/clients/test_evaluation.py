"""Baselines played as a client plays them."""

from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.evaluation import Place, PlayProgress, evaluate

from .conftest import Serve
from .play import TASK

pytestmark = [pytest.mark.anyio, pytest.mark.bubblewrap]


@pytest.fixture
def bubblewrap(make_settings: Callable[..., Settings], home: Path) -> Settings:
    """Settings with two further tasks: one whose baseline fails, one without a submission."""
    for name, script in (("broken-run", "echo it broke >&2; exit 3"), ("no-file", "rm *.py")):
        folder = home / "tasks" / name
        copytree(shipped("tasks") / TASK, folder)
        spec = (folder / "task.toml").read_text()
        (folder / "task.toml").write_text(spec.replace(f'id = "{TASK}"', f'id = "{name}"'))
        (folder / "baseline" / "run.sh").write_text(f"{script}\n")
    return make_settings(engine="bubblewrap", tasks=(home / "tasks",), mirrors=())


async def test_a_baseline_is_played_with_every_stage_told(bubblewrap: Settings) -> None:
    told: list[PlayProgress] = []
    (result,) = await evaluate(bubblewrap, [TASK], "mini", on_progress=told.append)
    assert result.status == "played", result.error
    assert result.integrity == "clean"
    assert result.baseline == 1.02
    assert result.score is not None
    assert abs(result.score - 1.0227) < 0.15
    assert result.validation is not None
    assert result.metrics[result.metric] == result.score
    assert result.session
    shares = [progress.share for progress in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


async def test_what_fails_is_a_result_and_the_others_are_played(bubblewrap: Settings) -> None:
    asked = ["broken-run", "no-file", "none", "house-prices", TASK]
    results = await evaluate(bubblewrap, asked, "mini", parallel=3)
    assert [result.task for result in results] == asked
    broken, no_file, unknown, no_data, played = results
    assert "exit code 3: it broke" in broken.error
    assert "strategy.py" in no_file.error
    assert "no task 'none'" in unknown.error
    assert "mlgym-mcp data fetch house-prices" in no_data.error
    assert {result.status for result in results[:4]} == {"failed"}
    assert played.status == "played"


async def test_a_server_at_a_url_is_played_on(bubblewrap: Settings, serve: Serve) -> None:
    async with serve() as served:
        (result,) = await evaluate(bubblewrap, [TASK], "mini", place=Place(served.url))
    assert result.status == "played", result.error


async def test_without_a_server_every_play_has_failed(bubblewrap: Settings) -> None:
    nowhere = Place("http://127.0.0.1:9/mcp")
    (result,) = await evaluate(bubblewrap, [TASK], "mini", place=nowhere)
    assert result.status == "failed"
    assert "no connection" in result.error
