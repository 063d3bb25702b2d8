"""Heuristics that go for the solver, the clock, the channel or the formulas instead of the search.

How long something takes varies with what else the machine does; that no answer is quicker than the
channel does not, so that is what is held.
"""

import random
import shutil
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.scoring import Scorer, score_path
from mlgym_mcp.scoring.harness.loading import import_file
from mlgym_mcp.types.grade import Grade

pytestmark = pytest.mark.anyio
Solve = Callable[[str], Awaitable[Grade]]
SIGNATURE = "def heuristic_fn(clauses, assignments, conflict_count, assignment_history, level):\n"
HONEST = "return min({abs(x) for c in clauses for x in c} - assignments.keys()), True"
QUICKEST = 15e-6
"""Seconds; no decision goes to another process and back in less."""

SLOW_GAME = "slow-start"
DRAWN = "drawn-sat"
SECONDS = 180.0

INVALID = {
    "names a variable that has a value": (
        "return next(iter(assignments), min({abs(x) for c in clauses for x in c})), True",
        "it has a value already",
    ),
    "names a variable that is nowhere": ("return 999, True", "a variable of the formula"),
    "names no variable": ("return 0, True", "a variable of the formula"),
    "names a literal": ("return -abs(clauses[0][0]), True", "a variable of the formula"),
    "names a variable in text": ("return '1', True", "a variable of the formula"),
    "names half a variable": ("return 1.5, True", "a variable of the formula"),
    "names a variable without end": ("return 10**4000, True", "a variable of the formula"),
    "says maybe": ("return abs(clauses[0][0]), 'maybe'", "expected True or False"),
    "says nothing": ("return None", "raised TypeError"),
    "says 2": ("return abs(clauses[0][0]), 2", "expected True or False"),
    "says three things": ("return 1, True, 'solved'", "raised ValueError"),
    "claims a verdict": ("return 'UNSATISFIABLE'", "raised ValueError"),
    "gives up": ("raise TimeoutError", "raised TimeoutError"),
    "leaves": ("import os; os._exit(0)", "ended without an answer"),
    "sleeps for ever": ("import time; time.sleep(10**6)", "timed out: no answer within 2 s"),
    "forgets what it was told": (
        "assignments.clear(); assignment_history.clear()\n" + HONEST,
        "it has a value already",
    ),
}
TAMPERED = {
    "answers without being asked": """
        import gc, json, socket, struct
        for thing in gc.get_objects():
            if isinstance(thing, socket.socket):
                for number in range(1, 400):
                    payload = json.dumps([number, "value", [0, 1, True]]).encode()
                    thing.sendall(struct.pack("!I", len(payload)) + payload)
        """,
    "answers with a ticket of its own": """
        import sys
        board = sys.modules["task_player"].Board
        board.decide = lambda *a: [7, 1, True]
        import gc
        for thing in gc.get_objects():
            if isinstance(thing, dict) and "heuristic_fn" in thing:
                thing["heuristic_fn"] = lambda *a: [7, 1, True]
        """,
}
NO_GAIN = {
    "stops its clocks": """
        import time
        for name in ("time", "monotonic", "perf_counter", "process_time", "time_ns",
                     "monotonic_ns", "perf_counter_ns"):
            setattr(time, name, lambda: 0)
        """,
    "replaces the solver": """
        import sys, types
        fake = types.ModuleType("solver")
        class Search:
            def __init__(self, clauses): self.values = {}
            def run(self, choose): return True
        fake.Search, fake.holds = Search, lambda clauses, values: True
        sys.modules["solver"] = fake
        """,
    "looks for the solver and the verdicts": """
        import gc, os, sys
        for path in ("/judge", "/private", "/submission/../judge", "/public/../private"):
            assert not os.path.exists(path), path
        assert "solver" not in sys.modules
        for thing in gc.get_objects():
            assert not (isinstance(thing, dict) and "satisfiable" in thing)
        """,
    "keeps all processors busy": """
        import os
        if not os.path.exists("/tmp/busy"):
            open("/tmp/busy", "w").close()
            for _ in range(4):
                if os.fork() == 0:
                    while True: pass
        """,
    "forks workers": """
        import os
        if not os.path.exists("/tmp/forked"):
            open("/tmp/forked", "w").close()
            for _ in range(8):
                if os.fork() == 0:
                    import time
                    time.sleep(60)
                    os._exit(0)
        """,
    "collects no garbage": "import gc; gc.disable()",
    "writes to every open descriptor but the channel's": """
        import os, stat
        for number in range(256):
            try:
                if not stat.S_ISSOCK(os.fstat(number).st_mode):
                    os.write(number, b'{"metrics": {"time": 0.0}}')
            except OSError:
                pass
        """,
}


def code(body: str) -> str:
    return SIGNATURE + textwrap.indent(textwrap.dedent(body).strip(), "    ") + "\n"


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks that need no file.

    The shipped one with drawn formulas alone and less patience; and a game whose judge says how long
    after its preparation the submission was loaded.
    """
    folder = tmp_path_factory.mktemp("tasks")
    copy_of_sat(folder / DRAWN)
    slow_game(folder / SLOW_GAME)
    return folder


def copy_of_sat(folder: Path) -> None:
    shutil.copytree(shipped("tasks") / "three-sat", folder)
    text = (folder / "task.toml").read_text().replace('id = "three-sat"', f'id = "{DRAWN}"')
    start, end = text.index("[[dataset.sources]]"), text.index("[variants.full]")
    text = (text[:start] + text[end:]).replace("call_seconds = 20.0", "call_seconds = 2.0")
    (folder / "task.toml").write_text(text)
    program = (folder / "dataset.py").read_text()
    (folder / "dataset.py").write_text(program.replace("known = satlib(", "known = [] and satlib("))


def slow_game(folder: Path) -> None:
    shutil.copytree(shipped("tasks") / "battle-of-sexes", folder)
    spec = folder / "task.toml"
    spec.write_text(spec.read_text().replace('"battle-of-sexes"', f'"{SLOW_GAME}"', 1))
    (folder / "judge" / "judge.py").write_text(
        "import time\n"
        "ended = []\n"
        "def prepare(private, seed, setting):\n"
        "    until = time.monotonic() + 0.5\n"
        "    while time.monotonic() < until: pass\n"
        "    ended.append(time.monotonic())\n"
        "def grade(submission, private, player, seed, setting):\n"
        "    return {'score': player.call('row_strategy', []) / 1e9 - ended[0]}\n"
    )


@pytest.fixture
def solve(scorer: Scorer, tmp_path: Path) -> Solve:
    """Grade a heuristic on 285 formulas."""

    async def grade(text: str) -> Grade:
        path = tmp_path / "heuristic.py"
        path.write_text(text)
        with anyio.fail_after(SECONDS):
            return await score_path(scorer, DRAWN, "mini", path, "validate")

    return grade


@pytest.mark.parametrize("name", INVALID)
async def test_a_heuristic_is_invalid_that(name: str, solve: Solve) -> None:
    body, said = INVALID[name]
    grade = await solve(code(body))
    assert (grade.status, grade.integrity, grade.score) == ("graded", "invalid", None)
    assert said in grade.evidence[0]
    assert len(grade.evidence[0]) < 600


@pytest.mark.parametrize("name", TAMPERED)
async def test_a_heuristic_has_tampered_that(name: str, solve: Solve) -> None:
    grade = await solve(code(TAMPERED[name] + f"\n        {HONEST}"))
    assert (grade.status, grade.integrity, grade.score) == ("graded", "tampered", None)
    assert grade.metrics == {}


@pytest.mark.parametrize("name", NO_GAIN)
async def test_a_heuristic_gains_nothing_that(name: str, solve: Solve) -> None:
    body = textwrap.dedent(NO_GAIN[name]).strip()
    grade = await solve(code(f"{body}\n{HONEST}"))
    assert (grade.integrity, grade.evidence) == ("clean", ())
    assert grade.score is not None
    assert (grade.metrics["correct"], grade.metrics["incorrect"]) == (285, 0)
    assert grade.metrics["decisions"] > 500
    assert grade.score > QUICKEST * grade.metrics["decisions"]


async def test_the_wait_for_a_heuristic_is_counted_whole(solve: Solve) -> None:
    body = f"import time\ntime.sleep(0.002)\ntime.perf_counter = time.monotonic = int\n{HONEST}"
    grade = await solve(code(body))
    assert grade.score is not None
    assert grade.score > 0.002 * grade.metrics["decisions"]


async def test_no_formula_comes_twice_so_that_nothing_is_worth_remembering(solve: Solve) -> None:
    body = f"""
    import os
    if level == 0 and conflict_count == 0:
        seen = __builtins__.setdefault("seen", set())
        formula = str(sorted(sorted(c) for c in clauses))
        if formula in seen: raise RuntimeError("again")
        seen.add(formula)
    {HONEST}
    """
    grade = await solve(code(body))
    assert grade.integrity == "clean", grade.evidence


def test_a_formula_has_another_face_each_time_and_the_same_shape() -> None:
    judge = shipped("tasks") / "three-sat" / "judge"
    import_file(judge / "solver.py", "solver")
    instances = import_file(judge / "instances.py", "three_sat_instances")
    chance = random.Random(1)
    clauses = [[chance.choice((v, -v)) for v in chance.sample(range(1, 21), 3)] for _ in range(91)]
    given = [instances.Instance("uf20-91", True, clauses)]
    faces = [next(instances.disguised(given, random.Random(seed))).clauses for seed in range(50)]
    assert len({str(sorted(sorted(c) for c in face)) for face in faces}) == 50
    for face in faces:
        assert sorted(len({abs(x) for x in c}) for c in face) == [3] * 91
        degrees = [
            sorted(sum(v in map(abs, c) for c in f) for v in range(1, 21)) for f in (face, clauses)
        ]
        assert degrees[0] == degrees[1]


async def test_answers_change_no_channel_of_the_report(solve: Solve) -> None:
    grade = await solve(code(f'print(\'{{"metrics": {{"time": 0.001}}}}\', flush=True)\n{HONEST}'))
    assert grade.integrity == "clean"
    assert grade.score is not None
    assert grade.score > 0.01


async def test_submitted_code_is_loaded_only_when_the_judge_has_prepared(
    scorer: Scorer, tmp_path: Path
) -> None:
    path = tmp_path / "strategy.py"
    path.write_text(
        "import time\nloaded = time.monotonic_ns()\ndef row_strategy(history): return loaded\n"
    )
    grade = await score_path(scorer, SLOW_GAME, "mini", path)
    assert grade.status == "graded"
    assert grade.score is not None
    assert grade.score > 0
