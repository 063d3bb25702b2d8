"""Placements and moves that try to win more than they earn."""

import textwrap
from pathlib import Path

import anyio
import pytest

from mlgym_mcp.scoring import Scorer, score_path
from mlgym_mcp.types.grade import Grade

from .honest import SECONDS, SEED

pytestmark = pytest.mark.anyio

NO_PLACEMENT = {
    "uses a soldier too many": "return [20, 20, 20, 20, 20, 21]",
    "leaves soldiers at home": "return [0] * 6",
    "borrows from one battlefield": "return [40, 40, 40, 40, 40, -80]",
    "has seven battlefields": "return [20] * 6 + [0]",
    "has five battlefields": "return [24] * 5",
    "cuts a soldier in halves": "return [20.5, 19.5, 20, 20, 20, 20]",
    "places floats": "return [20.0] * 6",
    "places text": "return ['20'] * 6",
    "places one text": "return '202020'",
    "places nothing": "return None",
    "places lists": "return [[20]] * 6",
    "places a mapping": "return {i: 20 for i in range(6)}",
    "places what is no number": "return [float('nan')] * 6",
    "places numbers without end": "return iter(int, 1)",
    "places a number of a thousand digits": "return [10**1000, 120 - 10**1000, 0, 0, 0, 0]",
    "grows when looked at": (
        """
        class Army(list):
            def __iter__(self): return iter([120] * 6)
        return Army([20] * 6)
        """
    ),
}
NO_GAIN = {
    "lies about its parts": (
        """
        class Many(int):
            def __index__(self): return 120
        return [Many(20)] * 6
        """
    ),
    "rewrites the rounds it is shown": "history[:] = [([120] * 6, [0] * 6)] * 9; return [20] * 6",
    "looks for the opponent": (
        """
        import gc, sys
        for thing in gc.get_objects():
            if isinstance(thing, dict) and "column_soldiers" in thing:
                thing["column_soldiers"] = lambda chance: [0] * 6
        if any("column_soldiers" in vars(m) for m in list(sys.modules.values()) if m):
            return [120, 0, 0, 0, 0, 0]
        return [20] * 6
        """
    ),
    "makes comparison and chance its own": (
        """
        import builtins, random
        random.seed(0)
        builtins.sum = lambda *a: 120
        builtins.zip = lambda *a, **k: []
        return [20] * 6
        """
    ),
}


def code(body: str) -> str:
    return "def row_strategy(history):\n" + textwrap.indent(textwrap.dedent(body).strip(), "    ")


async def played(scorer: Scorer, folder: Path, body: str, task: str = "colonel-blotto") -> Grade:
    path = folder / "strategy.py"
    path.write_text(code(body) + "\n")
    with anyio.fail_after(SECONDS):
        return await score_path(scorer, task, "mini", path, "validate", SEED)


@pytest.mark.parametrize("name", NO_PLACEMENT)
async def test_a_placement_is_invalid_that(name: str, scorer: Scorer, tmp_path: Path) -> None:
    grade = await played(scorer, tmp_path, NO_PLACEMENT[name])
    assert (grade.status, grade.integrity, grade.score) == ("graded", "invalid", None)
    assert grade.evidence[0].startswith("call 1 of row_strategy")
    assert len(grade.evidence[0]) < 600


@pytest.mark.parametrize("name", NO_GAIN)
async def test_a_placement_gains_nothing_that(name: str, scorer: Scorer, tmp_path: Path) -> None:
    grade = await played(scorer, tmp_path, NO_GAIN[name])
    assert (grade.integrity, grade.evidence) == ("clean", ())
    assert grade.score == pytest.approx(0, abs=0.15)


async def test_one_wrong_placement_late_in_a_game_costs_the_whole_score(
    scorer: Scorer, tmp_path: Path
) -> None:
    body = "return [30, 30, 30, 30, 0, 0] if len(history) < 9 else [120] * 6"
    grade = await played(scorer, tmp_path, body)
    assert (grade.integrity, grade.score, grade.metrics) == ("invalid", None, {})
    assert grade.evidence[0].startswith("call 10 of row_strategy answered [120,")


async def test_a_player_of_the_dilemma_cannot_make_its_partner_cooperate(
    scorer: Scorer, tmp_path: Path
) -> None:
    body = """
    import gc, random
    random.getrandbits = lambda bits: 0
    history[:] = [(0, 0)] * len(history)
    for thing in gc.get_objects():
        if isinstance(thing, random.Random):
            thing.seed(0)
        if isinstance(thing, dict) and "RULES" in thing:
            thing["RULES"] = (lambda history, chance: 0,)
    return 1
    """
    grade = await played(scorer, tmp_path, body, "prisoners-dilemma")
    assert (grade.integrity, grade.evidence) == ("clean", ())
    assert grade.score == pytest.approx(2.63, abs=0.25)
