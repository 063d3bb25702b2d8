"""The two tasks, scored end to end in real sandboxes."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.errors import DataMissing, NotFound, SubmissionRejected
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.catalog import DatasetFolders
from mlgym_mcp.sandbox.contract import Command, Mount, SandboxSpec
from mlgym_mcp.sandbox.registry import open_backend
from mlgym_mcp.scoring import Scorer, open_scorer, score_path

pytestmark = pytest.mark.anyio


async def house_data(scorer: Scorer, variant: str = "full") -> DatasetFolders:
    task = scorer.catalog.task("house-prices")
    folders = await scorer.data(task, "mini" if variant == "mini" else "full")
    assert folders is not None
    return folders


def ids(path: Path) -> list[int]:
    with path.open(newline="") as stream:
        return [int(row["Id"]) for row in csv.DictReader(stream)]


def true_prices(folders: DatasetFolders) -> dict[int, float]:
    with (folders.private / "labels.csv").open(newline="") as stream:
        return {int(row["Id"]): float(row["SalePrice"]) for row in csv.DictReader(stream)}


def write_prices(path: Path, prices: dict[int, float]) -> Path:
    lines = ["Id,SalePrice", *(f"{key},{price!r}" for key, price in prices.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


async def test_always_zero_scores_about_1_44_in_the_game(scorer: Scorer, always_zero: Path) -> None:
    grade = await score_path(scorer, "battle-of-sexes", "full", always_zero, "validate", 1)
    assert (grade.integrity, grade.kind, grade.status) == ("clean", "validate", "graded")
    assert grade.score == grade.metrics["score"] == pytest.approx(1.44, abs=0.03)
    assert grade.details == {"simulations": 1000, "rounds": 10, "calls": 10_000}
    assert grade.versions["engine"] == scorer.engine
    assert await scorer.store.grade(grade.id) == grade


@pytest.mark.slow
async def test_the_baseline_of_the_game_scores_about_1_02(scorer: Scorer) -> None:
    baseline = shipped("tasks") / "battle-of-sexes" / "baseline" / "strategy.py"
    grade = await score_path(scorer, "battle-of-sexes", "full", baseline, "submit", 1)
    assert grade.details["simulations"] == 10_000
    assert grade.score == pytest.approx(1.0227, abs=0.015)


async def test_the_same_seed_gives_the_same_score_and_another_one_another(scorer: Scorer) -> None:
    baseline = shipped("tasks") / "battle-of-sexes" / "baseline" / "strategy.py"
    scores = [
        (await score_path(scorer, "battle-of-sexes", "mini", baseline, "validate", seed)).score
        for seed in (5, 5, 6)
    ]
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.data
async def test_house_prices_are_split_as_published(scorer: Scorer) -> None:
    """Check values of the published split (scikit-learn's seed 42)."""
    public = (await house_data(scorer)).public
    parts = {name: ids(public / f"{name}.csv") for name in ("train", "validation", "test")}
    assert {name: len(found) for name, found in parts.items()} == {
        "train": 1022,
        "validation": 146,
        "test": 292,
    }
    assert parts["train"][:5] == [1084, 1012, 1115, 514, 643]
    assert parts["validation"][:5] == [1412, 316, 584, 1343, 892]
    assert parts["test"][:5] == [893, 1106, 414, 523, 1037]
    assert "SalePrice" not in (public / "test.csv").read_text()


@pytest.mark.data
async def test_the_mini_house_prices_are_the_first_300_rows(scorer: Scorer) -> None:
    public = (await house_data(scorer, "mini")).public
    parts = [ids(public / f"{name}.csv") for name in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [210, 30, 60]
    assert sorted(key for part in parts for key in part) == list(range(1, 301))


@pytest.mark.data
async def test_validate_scores_the_public_half_and_submit_all_rows(
    scorer: Scorer, tmp_path: Path
) -> None:
    folders = await house_data(scorer)
    off = {key: price + 1000 for key, price in true_prices(folders).items()}
    path = write_prices(tmp_path / "mine.csv", off)
    validated = await score_path(scorer, "house-prices", "full", path, "validate")
    submitted = await score_path(scorer, "house-prices", "full", path, "submit")
    assert set(validated.metrics) == {"r2", "rmse"}
    assert set(submitted.metrics) == {"r2", "rmse", "private_r2", "private_rmse"}
    assert validated.details == {"rows": 146}
    assert submitted.details == {"rows": 292}
    assert submitted.metrics["rmse"] == pytest.approx(1000)
    assert submitted.metrics["private_rmse"] == pytest.approx(1000)
    assert submitted.score == submitted.metrics["r2"] > 0.999
    assert submitted.metrics["r2"] != validated.metrics["r2"] != submitted.metrics["private_r2"]


@pytest.mark.data
@pytest.mark.slow
async def test_the_baseline_of_house_prices_reaches_0_87(
    engine_settings: Settings, tmp_path: Path
) -> None:
    async with (
        open_backend(engine_settings, SystemClock()) as backend,
        open_scorer(engine_settings, SystemClock(), backend) as scorer,
    ):
        folders = await house_data(scorer)
        workspace, outputs = tmp_path / "workspace", tmp_path / "outputs"
        baseline = shipped("tasks") / "house-prices" / "baseline"
        shutil.copytree(baseline, workspace / "baseline")
        outputs.mkdir()
        data = Mount(folders.public, "/workspace/data")
        spec = SandboxSpec("baseline", "tabular", workspace, outputs, (data,))
        sandbox = await backend.open(spec)
        try:
            result = await sandbox.run(Command("bash baseline/run.sh", timeout_seconds=120))
        finally:
            await sandbox.close()
        assert result.ok, result.output
        grade = await score_path(scorer, "house-prices", "full", workspace, "submit")
    assert grade.integrity == "clean"
    assert grade.score is not None
    assert grade.score >= 0.87


@pytest.mark.data
async def test_the_hidden_prices_themselves_are_labelled_leaked(
    scorer: Scorer, tmp_path: Path
) -> None:
    path = write_prices(tmp_path / "mine.csv", true_prices(await house_data(scorer)))
    grade = await score_path(scorer, "house-prices", "full", path)
    assert (grade.integrity, grade.score) == ("leaked", None)
    assert grade.metrics["r2"] == 1.0
    assert grade.evidence == ("292 of 292 predictions are the hidden prices to the cent",)


async def test_missing_data_is_said_before_anything_is_graded(
    make_settings: Callable[..., Settings], always_zero: Path, tmp_path: Path
) -> None:
    settings = make_settings(engine="fake", mirrors=(tmp_path,))
    async with open_scorer(settings, SystemClock()) as scorer:
        with pytest.raises(DataMissing, match=r"train\.csv") as caught:
            await score_path(scorer, "house-prices", "full", always_zero)
    assert "mlgym-mcp data fetch house-prices" in caught.value.fix


async def test_rescoring_gives_the_old_and_the_same_new_grade(
    scorer: Scorer, always_zero: Path
) -> None:
    first = await score_path(scorer, "battle-of-sexes", "mini", always_zero)
    await anyio.Path(always_zero).unlink()
    for reference in (first.id, first.submission):
        old, new = await scorer.rescore(reference)
        assert old.submission == new.submission == first.submission
        assert new.id != old.id
        assert (new.score, new.seed, new.kind) == (first.score, first.seed, first.kind)
    with pytest.raises(NotFound):
        await scorer.rescore("g-nothing")


async def test_a_submission_that_is_not_there_is_rejected_by_name(
    scorer: Scorer, tmp_path: Path
) -> None:
    with pytest.raises(SubmissionRejected, match=r"submission\.csv is not there"):
        await score_path(scorer, "house-prices", "mini", tmp_path)


async def test_ten_gradings_at_once_do_not_disturb_each_other(
    scorer: Scorer, always_zero: Path
) -> None:
    scores: list[float | None] = []

    async def one(seed: int) -> None:
        grade = await score_path(scorer, "battle-of-sexes", "mini", always_zero, seed=seed)
        scores.append(grade.score)

    with anyio.fail_after(120):
        async with anyio.create_task_group() as group:
            for seed in range(10):
                group.start_soon(one, seed)
    assert len(set(scores)) > 5
    assert all(score == pytest.approx(1.44, abs=0.06) for score in scores)


async def test_nothing_of_a_grading_is_left_behind(
    engine_settings: Settings, always_zero: Path
) -> None:
    async with open_scorer(engine_settings, SystemClock()) as scorer:
        await score_path(scorer, "battle-of-sexes", "mini", always_zero)
    assert list((engine_settings.home / "grading").iterdir()) == []
