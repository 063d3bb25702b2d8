"""The games, scored end to end: what known strategies reach against the hidden players.

Expected scores without another source are those of the same strategies in the published runs.
"""

from pathlib import Path

import pytest

from mlgym_mcp.scoring import Scorer, score_path

pytestmark = pytest.mark.anyio

SEED = 1
"""Chance is drawn once: another seed is out of a tolerance now and then, rightly."""

DILEMMA = {
    "always defects": ("return 1", 2.63),
    "always cooperates": ("return 0", 2.25),
    "plays tit for tat": ("return history[-1][1] if history else 0", 2.34),
    "never forgives": ("return int(any(p for _, p in history))", 2.52),
}
BLOTTO = {
    "places evenly": ("return [20] * 6", 0.0),
    "gives up two battlefields": ("return [30, 30, 30, 30, 0, 0]", 0.247),
    "puts all on one battlefield": ("return [120, 0, 0, 0, 0, 0]", -1.0),
    "answers with numpy": ("import numpy as np; return np.full(6, 20)", 0.0),
    "answers with a tuple of numpy's": ("import numpy as np; return (np.int64(20),) * 6", 0.0),
}


def strategy(folder: Path, body: str) -> Path:
    path = folder / "strategy.py"
    path.write_text(f"def row_strategy(history):\n    {body}\n")
    return path


@pytest.mark.bubblewrap
@pytest.mark.parametrize("name", DILEMMA)
async def test_in_the_dilemma_a_player_scores_as_published_that(
    name: str, quick_scorer: Scorer, tmp_path: Path
) -> None:
    body, expected = DILEMMA[name]
    path = strategy(tmp_path, body)
    grade = await score_path(quick_scorer, "prisoners-dilemma", "full", path, "validate", SEED)
    assert (grade.integrity, grade.evidence) == ("clean", ())
    assert grade.score == pytest.approx(expected, abs=0.07)
    assert grade.metrics["standard_error"] < 0.025


@pytest.mark.bubblewrap
@pytest.mark.parametrize("name", BLOTTO)
async def test_in_blotto_a_player_scores_as_expected_that(
    name: str, quick_scorer: Scorer, tmp_path: Path
) -> None:
    body, expected = BLOTTO[name]
    path = strategy(tmp_path, body)
    grade = await score_path(quick_scorer, "colonel-blotto", "full", path, "validate", SEED)
    assert (grade.integrity, grade.evidence) == ("clean", ())
    assert grade.score == pytest.approx(expected, abs=0.04)


@pytest.mark.slow
@pytest.mark.bubblewrap
@pytest.mark.parametrize(
    ("task", "expected", "tolerance"),
    [("prisoners-dilemma", 2.372, 0.02), ("colonel-blotto", -0.248, 0.012)],
)
async def test_the_starter_and_the_baseline_score_as_published(
    task: str, expected: float, tolerance: float, quick_scorer: Scorer, task_files: Path
) -> None:
    for folder in ("starter", "baseline"):
        path = task_files / task / folder / "strategy.py"
        grade = await score_path(quick_scorer, task, "full", path, "submit", SEED)
        assert grade.details == {"simulations": 10_000, "rounds": 10, "calls": 100_000}
        assert grade.score == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("task", ["prisoners-dilemma", "colonel-blotto"])
async def test_the_same_seed_gives_a_game_the_same_score_and_another_one_another(
    task: str, scorer: Scorer, task_files: Path
) -> None:
    path = task_files / task / "baseline" / "strategy.py"
    scores = [
        (await score_path(scorer, task, "mini", path, "validate", seed)).score for seed in (5, 5, 6)
    ]
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.parametrize("task", ["prisoners-dilemma", "colonel-blotto"])
async def test_the_mini_game_plays_fewer_simulations(
    task: str, scorer: Scorer, task_files: Path
) -> None:
    path = task_files / task / "starter" / "strategy.py"
    grade = await score_path(scorer, task, "mini", path, "submit", SEED)
    assert (grade.integrity, grade.details["simulations"]) == ("clean", 500)
    baseline = scorer.catalog.task(task).spec.baseline_of("mini")
    assert baseline is not None
    assert grade.score == pytest.approx(baseline, abs=0.12)
