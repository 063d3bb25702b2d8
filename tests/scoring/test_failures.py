"""Judges that fail: never the agent's zero, and the submission can be graded again."""

import shutil
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.errors import EngineMissing
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.catalog import Datasets, load_catalog
from mlgym_mcp.sandbox.absent import Absent
from mlgym_mcp.scoring import Scorer, open_scorer, score_path

pytestmark = [pytest.mark.anyio, pytest.mark.bubblewrap]
SIGNATURE = "def grade(submission, private, player, seed, setting):\n"


Judge = Callable[[str], None]


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """A folder of tasks with a copy of the game that needs no player."""
    folder = tmp_path / "tasks" / "broken-game"
    shutil.copytree(shipped("tasks") / "battle-of-sexes", folder)
    spec = folder / "task.toml"
    text = spec.read_text().replace('id = "battle-of-sexes"', 'id = "broken-game"', 1)
    spec.write_text(text.replace("player = true", "player = false"))
    return folder.parent


@pytest.fixture
def judge(tasks: Path) -> Judge:
    """Gives the copied game's judge another body."""

    def write(body: str) -> None:
        (tasks / "broken-game" / "judge" / "judge.py").write_text(SIGNATURE + body)

    return write


@pytest.fixture
async def scorer(make_settings: Callable[..., Settings], tasks: Path) -> AsyncGenerator[Scorer]:
    settings = make_settings(engine="bubblewrap", tasks=(tasks,))
    async with open_scorer(settings, SystemClock()) as opened:
        yield opened


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("    raise KeyError('labels')\n", "KeyError: 'labels'"),
        ("    import os; os._exit(0)\n", "left no report to believe"),
        ("    import os; os._exit(3)\n", "ended with exit status 3"),
        ("    import os; os.kill(os.getpid(), 9)\n", "ended with"),
        ("    return {'other': 1.0}\n", "did not report its metric, score"),
        ("    return {'score': float('nan')}\n", "ValueError"),
        ("    return None\n", "TypeError"),
        ("    return {'score': 1.0}, {'rows': 'x' * 2**21}\n", "no regular file of at most"),
    ],
)
async def test_a_judge_s_failure_is_told_from_a_bad_submission(
    scorer: Scorer, judge: Judge, always_zero: Path, home: Path, body: str, said: str
) -> None:
    judge(body)
    grade = await score_path(scorer, "broken-game", "mini", always_zero)
    assert (grade.status, grade.score, grade.metrics) == ("judge_failed", None, {})
    assert grade.evidence == (
        "The judge failed, not the submission; it is kept and can be graded again.",
    )
    assert said in (home / grade.details["log"]).read_text()


async def test_a_submission_is_graded_again_when_its_judge_is_mended(
    scorer: Scorer, judge: Judge, always_zero: Path
) -> None:
    judge("    raise ZeroDivisionError\n")
    first = await score_path(scorer, "broken-game", "mini", always_zero)
    judge("    return {'score': 0.5}\n")
    old, new = await scorer.rescore(first.id)
    assert (old.status, old.score) == ("judge_failed", None)
    assert (new.status, new.score) == ("graded", 0.5)


async def test_a_report_is_believed_only_in_its_schema(
    scorer: Scorer, judge: Judge, always_zero: Path
) -> None:
    forged = '{"metrics": {"score": 1.0}, "integrity": "superb"}'
    body = f"    open('/report/grade.json', 'w').write('{forged}'); import os; os._exit(0)\n"
    judge(body)
    grade = await score_path(scorer, "broken-game", "mini", always_zero)
    assert grade.status == "judge_failed"


async def test_a_report_that_is_a_link_is_not_followed(
    scorer: Scorer, judge: Judge, always_zero: Path
) -> None:
    body = "    import os; os.symlink('/etc/hostname', '/report/grade.json'); os._exit(0)\n"
    judge(body)
    grade = await score_path(scorer, "broken-game", "mini", always_zero)
    assert grade.status == "judge_failed"


async def test_without_an_engine_nothing_is_graded_and_the_fix_is_said(
    scorer: Scorer, settings: Settings, always_zero: Path
) -> None:
    catalog, datasets = load_catalog(settings), Datasets(settings)
    absent = Scorer(settings, SystemClock(), scorer.store, catalog, datasets, Absent([]))
    async with absent.running() as without:
        with pytest.raises(EngineMissing):
            await score_path(without, "battle-of-sexes", "mini", always_zero)
