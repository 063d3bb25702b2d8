"""The three tasks of policies: what simple policies score, and what the tasks have in common."""

import io
import math
import random
import statistics
import textwrap
from itertools import pairwise
from pathlib import Path

import anyio
import numpy as np
import pytest

from mlgym_mcp.scoring import Scorer, score_path
from mlgym_mcp.types.grade import Grade, GradeKind

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
TASKS = ("meta-maze", "mountain-car", "breakout")
SECONDS = 240

PUSH_ALONG = "return np.where(observations[:, 1:] < 0, -1.0, 1.0)"
"""Pushing the way one rolls adds energy in every step."""

STAY = "return np.zeros(len(observations), int)"
FOLLOW_THE_BALL = """
paddle = observations[:, 9, :, 0].argmax(1)
ball = observations[..., 1].max(1).argmax(1)
before = observations[..., 2].max(1).argmax(1)
ahead = np.clip(2 * ball - before, 0, 9)
return np.where(ahead < paddle, 1, np.where(ahead > paddle, 2, 0))
"""
WANDER = "return np.random.default_rng(key).integers(0, 4, len(observations))"


def pushed_along(position: float) -> float:
    """The return of pushing along, by the published equations of the mountain car."""
    speed, steps = 0.0, 0
    while position < 0.45:
        force = -1.0 if speed < 0 else 1.0
        speed = max(-0.07, min(0.07, speed + 0.0015 * force - 0.0025 * math.cos(3 * position)))
        position = max(-1.2, position + speed)
        steps += 1
    return 100 - 0.1 * steps


def hand_in(folder: Path, body: str) -> Path:
    """Write a submission whose policy does this, with five checkpoints of nothing."""
    submission = folder / "submission"
    (submission / "checkpoints").mkdir(parents=True)
    lines = textwrap.indent(body.strip(), "        ")
    (submission / "policy.py").write_text(
        f"import numpy as np\nclass Policy:\n    def act(self, observations, key):\n{lines}\n"
        "def load(weights):\n    return Policy()\n"
    )
    for number in range(5):
        stream = io.BytesIO()
        np.savez(stream, w=np.array([number]))
        (submission / "checkpoints" / f"{number}.npz").write_bytes(stream.getvalue())
    return submission


async def grade(
    scorer: Scorer, task: str, submission: Path, kind: GradeKind = "validate", seed: int = 5
) -> Grade:
    found = scorer.catalog.task(task)
    with anyio.fail_after(SECONDS):
        taken = await scorer.take_path(found, submission)
        return await scorer.grade(found, "mini", taken, kind, seed=seed)


async def test_a_car_that_pushes_along_arrives(scorer: Scorer, tmp_path: Path) -> None:
    with anyio.fail_after(SECONDS):
        found = await score_path(
            scorer, "mountain-car", "mini", hand_in(tmp_path, PUSH_ALONG), "submit"
        )
    assert (found.status, found.integrity, found.evidence) == ("graded", "clean", ())
    drawn = random.Random(1)
    returns = [pushed_along(drawn.uniform(-0.6, -0.4)) for _ in range(1000)]
    assert found.score == pytest.approx(statistics.mean(returns), abs=1)
    assert found.details["episodes"] == 5 * 5 * 32
    assert found.metrics["reward_deviation"] < 5


@pytest.mark.bubblewrap
async def test_a_paddle_below_the_ball_breaks_more_bricks(
    quick_scorer: Scorer, tmp_path: Path
) -> None:
    staying = await grade(quick_scorer, "breakout", hand_in(tmp_path / "a", STAY))
    following = await grade(quick_scorer, "breakout", hand_in(tmp_path / "b", FOLLOW_THE_BALL))
    assert staying.score is not None
    assert following.score is not None
    assert staying.score < 2 < following.score


@pytest.mark.bubblewrap
async def test_one_seed_grades_alike_and_another_plays_other_episodes(
    quick_scorer: Scorer, tmp_path: Path
) -> None:
    submission = hand_in(tmp_path, WANDER)
    first = await grade(quick_scorer, "meta-maze", submission)
    again = await grade(quick_scorer, "meta-maze", submission)
    other = await grade(quick_scorer, "meta-maze", submission, seed=6)
    assert first.score is not None
    assert 2 < first.score < 15
    assert (first.metrics, first.details) == (again.metrics, again.details)
    assert other.metrics != first.metrics
    assert len(set(first.details["checkpoint_means"])) == 5


@pytest.mark.bubblewrap
async def test_a_folder_without_a_policy_or_a_checkpoint_is_invalid(
    quick_scorer: Scorer, tmp_path: Path
) -> None:
    submission = hand_in(tmp_path, STAY)
    (submission / "checkpoints" / "3.npz").unlink()
    found = await grade(quick_scorer, "breakout", submission)
    assert (found.integrity, found.evidence) == (
        "invalid",
        ("checkpoints/: expected one of 3.safetensors and 3.npz, found 0",),
    )
    (submission / "policy.py").unlink()
    found = await grade(quick_scorer, "breakout", submission)
    assert found.integrity == "invalid"
    assert "policy.py is not a file" in found.evidence[0]


def test_what_the_three_tasks_share_is_the_same_in_each(task_files: Path) -> None:
    shared = ("starter/ppo.py", "starter/train.py", "judge/judge.py", "judge/player.py")
    for name in (*shared, "judge/drawless.py", "baseline/run.sh"):
        contents = [(task_files / task / name).read_bytes() for task in TASKS]
        assert all(one == other for one, other in pairwise(contents)), name


def test_the_algorithm_fits_on_a_page(task_files: Path) -> None:
    assert len((task_files / TASKS[0] / "starter" / "ppo.py").read_text().splitlines()) <= 300
