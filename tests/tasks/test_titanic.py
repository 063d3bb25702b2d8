"""The passengers of the Titanic: the split, the accuracy, and what is refused."""

import csv
import shutil
from pathlib import Path

import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.catalog import DatasetFolders
from mlgym_mcp.sandbox.contract import Command, Mount, SandboxSpec
from mlgym_mcp.sandbox.registry import open_backend
from mlgym_mcp.scoring import Scorer, open_scorer, score_path
from mlgym_mcp.types.task import Variant

pytestmark = [pytest.mark.anyio, pytest.mark.data]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


async def prepared(scorer: Scorer, variant: Variant = "full") -> DatasetFolders:
    folders = await scorer.data(scorer.catalog.task("titanic"), variant)
    assert folders is not None
    return folders


def fates(folders: DatasetFolders) -> dict[str, int]:
    return {
        row["PassengerId"]: int(row["Survived"]) for row in rows(folders.private / "labels.csv")
    }


def written(path: Path, predictions: dict[str, int]) -> Path:
    lines = ["PassengerId,Survived", *(f"{key},{fate}" for key, fate in predictions.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(("variant", "sizes"), [("full", (623, 268)), ("mini", (210, 90))])
async def test_no_passenger_is_in_both_parts_and_no_fate_in_the_test_part(
    variant: Variant, sizes: tuple[int, int], scorer: Scorer
) -> None:
    folders = await prepared(scorer, variant)
    train, test = rows(folders.public / "train.csv"), rows(folders.public / "test.csv")
    assert (len(train), len(test)) == sizes
    assert not {row["PassengerId"] for row in train} & {row["PassengerId"] for row in test}
    assert set(train[0]) - set(test[0]) == {"Survived"}
    assert set(fates(folders)) == {row["PassengerId"] for row in test}


async def test_accuracy_is_the_share_of_right_fates_in_each_half(
    scorer: Scorer, tmp_path: Path
) -> None:
    folders = await prepared(scorer)
    answers = rows(folders.private / "labels.csv")
    wrong = {row["PassengerId"] for row in answers if row["half"] == "public"}
    wrong = set(sorted(wrong)[:67])
    mixed = {key: fate ^ (key in wrong) for key, fate in fates(folders).items()}
    path = written(tmp_path / "mine.csv", mixed)
    validated = await score_path(scorer, "titanic", "full", path, "validate")
    submitted = await score_path(scorer, "titanic", "full", path, "submit")
    assert validated.metrics == {"accuracy": pytest.approx(0.5)}
    assert submitted.metrics == {
        "accuracy": pytest.approx(0.75),
        "private_accuracy": pytest.approx(1.0),
    }
    assert (validated.details, submitted.details) == ({"rows": 134}, {"rows": 268})


async def test_the_hidden_fates_themselves_are_labelled_leaked(
    scorer: Scorer, tmp_path: Path
) -> None:
    path = written(tmp_path / "mine.csv", fates(await prepared(scorer)))
    grade = await score_path(scorer, "titanic", "full", path)
    assert (grade.integrity, grade.score) == ("leaked", None)


async def test_saying_that_the_women_survived_is_honest_and_not_all_there_is(
    scorer: Scorer, tmp_path: Path
) -> None:
    """The published answers to the unlabelled passengers are this rule; the labelled ones differ."""
    test = rows((await prepared(scorer)).public / "test.csv")
    rule = {row["PassengerId"]: int(row["Sex"] == "female") for row in test}
    grade = await score_path(scorer, "titanic", "full", written(tmp_path / "mine.csv", rule))
    assert grade.integrity == "clean"
    assert grade.score is not None
    assert 0.7 < grade.score < 0.85


@pytest.mark.parametrize("fate", ["2", "-1", "0.5", "yes", "", "nan", "True"])
async def test_a_fate_is_invalid_that_is_neither_0_nor_1(
    fate: str, scorer: Scorer, tmp_path: Path
) -> None:
    keys = list(fates(await prepared(scorer, "mini")))
    lines = ["PassengerId,Survived", *(f"{key},1" for key in keys[:-1]), f"{keys[-1]},{fate}"]
    path = tmp_path / "submission.csv"
    path.write_text("\n".join(lines))
    grade = await score_path(scorer, "titanic", "mini", path)
    assert (grade.integrity, grade.score) == ("invalid", None)
    assert "row 90 (line 91), column Survived" in grade.evidence[0]


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["full", "mini"])
async def test_the_baseline_of_titanic_reaches_what_the_spec_says(
    variant: Variant, engine_settings: Settings, tmp_path: Path, task_files: Path
) -> None:
    async with (
        open_backend(engine_settings, SystemClock()) as backend,
        open_scorer(engine_settings, SystemClock(), backend) as scorer,
    ):
        folders = await prepared(scorer, variant)
        workspace, outputs = tmp_path / "workspace", tmp_path / "outputs"
        shutil.copytree(task_files / "titanic" / "baseline", workspace / "baseline")
        outputs.mkdir()
        data = Mount(folders.public, "/workspace/data")
        sandbox = await backend.open(
            SandboxSpec("baseline", "tabular", workspace, outputs, (data,))
        )
        try:
            result = await sandbox.run(Command("bash baseline/run.sh", timeout_seconds=120))
        finally:
            await sandbox.close()
        assert result.ok, result.output
        grade = await score_path(scorer, "titanic", variant, workspace, "submit")
        expected = scorer.catalog.task("titanic").spec.baseline_of(variant)
    assert grade.integrity == "clean"
    assert expected is not None
    assert grade.score == pytest.approx(expected, abs=0.01)
