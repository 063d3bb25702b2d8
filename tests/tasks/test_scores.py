"""What is recorded of every shipped task's baseline."""

from pathlib import Path
from shutil import copytree

import pytest

from mlgym_mcp.base.errors import SpecInvalid
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.catalog import Task, load_catalog
from mlgym_mcp.evaluation import PlayResult, read_scores, record

TASKS = sorted(path.parent.name for path in shipped("tasks").glob("*/task.toml"))


def task_of(home: Path, name: str) -> Task:
    return load_catalog(Settings(home=home, tasks=())).task(name)


@pytest.mark.parametrize("name", TASKS)
def test_the_baseline_of_a_task_is_recorded_with_where_it_ran(name: str, home: Path) -> None:
    task = task_of(home, name)
    played = read_scores(task).plays["mini"]
    assert played.score is not None
    assert played.integrity == "clean"
    assert played.machine
    assert set(played.versions) == {"mlgym-mcp", "python", "engine"}
    assert played.command == f"mlgym-mcp eval --agent baseline --tasks {name} --variant mini"
    assert read_scores(task).plays["full"].command.endswith(f"--tasks {name}")
    told, metric = task.spec.baseline_of("mini"), task.spec.metric
    assert told is not None
    if metric.name not in metric.timed:
        assert played.score == pytest.approx(told, rel=0.35, abs=0.05)


@pytest.fixture
def game(home: Path) -> Task:
    """A task of its own folder, with nothing recorded."""
    folder = home / "mine" / "battle-of-sexes"
    copytree(shipped("tasks") / folder.name, folder)
    (folder / "baseline" / "scores.json").unlink(missing_ok=True)
    task = task_of(home, folder.name)
    return Task(task.spec, folder)


def test_a_record_keeps_the_other_variant_and_changes_nothing_of_the_task(game: Task) -> None:
    digest = Task(game.spec, game.folder).digest
    result = PlayResult(task=game.id, variant="full", status="played", score=1.0, seconds=2.5)
    record(game, result)
    path = record(game, result.model_copy(update={"variant": "mini", "score": 0.5}))
    assert path == game.baseline / "scores.json"
    plays = read_scores(game).plays
    assert (plays["full"].score, plays["mini"].score) == (1.0, 0.5)
    assert Task(game.spec, game.folder).digest == digest


def test_a_record_that_is_none_is_not_written_over(game: Task) -> None:
    path = game.baseline / "scores.json"
    path.write_text('{"mine": 1}')
    result = PlayResult(task=game.id, variant="full", status="played", score=1.0)
    with pytest.raises(SpecInvalid, match=r"scores\.json is not a record of baselines"):
        record(game, result)
    assert path.read_text() == '{"mine": 1}'
