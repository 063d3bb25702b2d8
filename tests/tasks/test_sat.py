"""3-SAT: the solver against truth tables, the formulas, and heuristics scored end to end."""

import ast
import json
import random
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import IO, Any, cast

import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.errors import DataMissing
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.scoring import Scorer, open_scorer, score_path
from mlgym_mcp.scoring.harness.loading import import_file
from mlgym_mcp.types.task import Variant

pytestmark = pytest.mark.anyio
FREQUENT = """
def heuristic_fn(clauses, assignments, conflict_count, assignment_history, level):
    counts = {}
    for clause in clauses:
        if any(assignments.get(abs(one)) == (one > 0) for one in clause):
            continue
        left = [one for one in clause if abs(one) not in assignments]
        for one in left:
            counts[one] = counts.get(one, 0) + 8 ** (3 - len(left))
    best = max(counts, key=lambda one: counts[one] + counts.get(-one, 0))
    return abs(best), counts[best] >= counts.get(-best, 0) if best > 0 else False
"""


@pytest.fixture
def solver(task_files: Path) -> ModuleType:
    return import_file(task_files / "three-sat" / "judge" / "solver.py", "solver")


@pytest.fixture
def dataset(task_files: Path) -> ModuleType:
    return import_file(task_files / "three-sat" / "dataset.py", "three_sat_dataset")


def choose(search: Any) -> tuple[int, bool]:
    return min(search.variables - search.values.keys()), False


def formulas(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_solver_says_what_the_truth_table_says(solver: ModuleType, dataset: ModuleType) -> None:
    chance = random.Random(3)
    verdicts: list[bool] = []
    for size in range(3, 13):
        for _ in range(30):
            clauses = dataset.draw(chance, size)
            search = solver.Search(clauses)
            verdicts.append(search.run(choose))
            assert verdicts[-1] == dataset.satisfiable(clauses, size)
            assert not verdicts[-1] or solver.holds(clauses, search.values)
    assert 50 < sum(verdicts) < 290


@pytest.mark.parametrize(
    ("clauses", "satisfiable"),
    [
        ([], True),
        ([[1]], True),
        ([[1], [-1]], False),
        ([[1, -1, 2]], True),
        ([[1, 1, 1], [-1, -1, -1]], False),
        ([[1, 2, 3], [-1], [-2], [-3]], False),
        ([[1, 2], [-1, 2], [1, -2], [-1, -2]], False),
        ([[1, 2], [-1, 2], [1, -2]], True),
    ],
)
def test_the_solver_copes_with_odd_formulas(
    solver: ModuleType, clauses: list[list[int]], *, satisfiable: bool
) -> None:
    search = solver.Search(clauses)
    assert search.run(choose) is satisfiable
    assert not satisfiable or solver.holds(clauses, search.values)


def test_a_choice_is_told_what_stayed_and_what_came_since_the_last_one(
    solver: ModuleType, dataset: ModuleType
) -> None:
    """The board at the far end is built from `kept` and the rest of the trail."""
    board: list[int] = []

    def follow(search: Any) -> tuple[int, bool]:
        del board[search.kept :]
        board.extend(search.trail[search.kept :])
        assert board == search.trail
        assert {abs(one): one > 0 for one in board} == search.values
        return choose(search)

    for seed in range(20):
        board.clear()
        solver.Search(dataset.draw(random.Random(seed), 15)).run(follow)


def test_the_starter_has_the_solver_of_the_judge(task_files: Path) -> None:
    trees = [
        ast.parse((task_files / "three-sat" / folder / "solver.py").read_text())
        for folder in ("judge", "starter")
    ]
    assert ast.dump(ast.Module(trees[0].body[1:], [])) == ast.dump(
        ast.Module(trees[1].body[1:], [])
    )


@pytest.mark.data
@pytest.mark.bubblewrap
@pytest.mark.parametrize(
    ("variant", "counts", "published"),
    [("full", (1000, 2400, 24_000), 300), ("mini", (200, 300, 1200), 60)],
)
async def test_both_variants_have_satlib_s_formulas_with_their_verdicts(
    variant: Variant, counts: tuple[int, ...], published: int, quick_scorer: Scorer
) -> None:
    folders = await quick_scorer.data(quick_scorer.catalog.task("three-sat"), variant)
    assert folders is not None
    parts = {name: formulas(folders.private / f"{name}.jsonl") for name in ("validate", "submit")}
    parts["sample"] = formulas(folders.public / "instances.jsonl")
    sizes = {name: len(rows) for name, rows in parts.items()}
    assert sizes == dict(zip(("sample", "validate", "submit"), counts, strict=True))
    every = [row for rows in parts.values() for row in rows]
    assert len({str(row["clauses"]) for row in every}) == len(every)
    real = [row for row in every if not row["family"].startswith("drawn")]
    assert len(real) == published
    assert all(row["satisfiable"] == row["family"].startswith("uf") for row in real)
    assert all(len(row["clauses"]) == int(row["family"].partition("-")[2]) for row in every)


async def test_without_the_published_formulas_full_and_mini_are_not_made(
    make_settings: Callable[..., Settings],
) -> None:
    async with open_scorer(make_settings(mirrors=()), SystemClock()) as scorer:
        task = scorer.catalog.task("three-sat")
        for variant in ("mini", "full"):
            assert scorer.datasets.state(task, variant) == "missing"
            with pytest.raises(DataMissing, match=r"satlib\.tar\.xz") as info:
                await scorer.data(task, variant)
            fix = "Run `mlgym-mcp data fetch three-sat`."
            if variant == "mini":
                fix += " The variant `generated` needs no files."
            assert info.value.fix == fix
        assert scorer.datasets.playable(task, "mini") == "generated"
        assert scorer.datasets.playable(task, "full") == "full"


@pytest.mark.bubblewrap
async def test_generated_formulas_need_no_files_and_are_called_so_in_card_spec_and_grade(
    make_settings: Callable[..., Settings], task_files: Path
) -> None:
    settings = make_settings(mirrors=(), engine="bubblewrap")
    async with open_scorer(settings, SystemClock()) as scorer:
        task = scorer.catalog.task("three-sat")
        folders = await scorer.data(task, "generated")
        assert folders is not None
        assert folders.card["title"].endswith("GENERATED")
        assert folders.card["origin"].startswith("0 of SATLIB, 200 drawn by a seeded program")
        assert "drawn by a seeded program" in task.spec.variants["generated"].description
        hidden = [formulas(folders.private / f"{name}.jsonl") for name in ("validate", "submit")]
        assert [len(rows) for rows in hidden] == [300, 1200]
        sizes = {row["family"].partition("-")[0] for rows in hidden for row in rows}
        assert sizes == {f"drawn{size}" for size in range(5, 19)}
        path = task_files / "three-sat" / "starter" / "heuristic.py"
        grade = await score_path(scorer, "three-sat", "generated", path, "validate")
        assert grade.details["origin"] == "0 from SATLIB, 300 drawn by a seeded program"
        assert (grade.variant, grade.integrity) == ("generated", "clean")


@pytest.mark.data
@pytest.mark.bubblewrap
async def test_drawn_formulas_are_called_so_in_card_spec_and_grade(
    quick_scorer: Scorer, task_files: Path
) -> None:
    task = quick_scorer.catalog.task("three-sat")
    folders = await quick_scorer.data(task, "mini")
    assert folders is not None
    assert folders.card["origin"].startswith("15 of SATLIB, 185 drawn by a seeded program")
    assert "drawn by a seeded program" in task.spec.variants["mini"].description
    path = task_files / "three-sat" / "starter" / "heuristic.py"
    grade = await score_path(quick_scorer, "three-sat", "mini", path, "validate")
    assert grade.details["origin"] == "15 from SATLIB, 285 drawn by a seeded program"


@pytest.mark.data
@pytest.mark.parametrize("folder", ["starter", "baseline"])
async def test_the_starter_decides_as_often_as_the_reference_beside_it(
    folder: str, scorer: Scorer, task_files: Path
) -> None:
    path = task_files / "three-sat" / folder / "heuristic.py"
    grade = await score_path(scorer, "three-sat", "mini", path, "submit", seed=1)
    found = grade.metrics
    assert (grade.integrity, grade.score) == ("clean", found["time"])
    assert (found["correct"], found["incorrect"]) == (1200, 0)
    assert found["decisions"] == pytest.approx(grade.details["reference_decisions"], rel=0.1)
    assert found["relative_time"] == pytest.approx(found["time"] / found["reference_time"])
    assert set(found) == {"time", *scorer.catalog.task("three-sat").spec.metric.others}


@pytest.mark.data
@pytest.mark.bubblewrap
async def test_a_heuristic_that_counts_literals_decides_less_often(
    quick_scorer: Scorer, tmp_path: Path
) -> None:
    path = tmp_path / "heuristic.py"
    path.write_text(FREQUENT)
    grade = await score_path(quick_scorer, "three-sat", "mini", path, "submit")
    assert grade.integrity == "clean"
    assert grade.metrics["decisions"] < 0.75 * grade.details["reference_decisions"]


@pytest.mark.data
@pytest.mark.bubblewrap
async def test_the_same_seed_gives_the_same_decisions_and_another_one_others(
    quick_scorer: Scorer, task_files: Path
) -> None:
    path = task_files / "three-sat" / "baseline" / "heuristic.py"
    counts = [
        (await score_path(quick_scorer, "three-sat", "mini", path, "validate", seed)).metrics[
            "decisions"
        ]
        for seed in (5, 5, 6)
    ]
    assert counts[0] == counts[1] != counts[2]


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.bubblewrap
@pytest.mark.parametrize("variant", ["full"])
async def test_validate_solves_2400_formulas_of_the_full_variant(
    variant: Variant, quick_scorer: Scorer, task_files: Path
) -> None:
    path = task_files / "three-sat" / "baseline" / "heuristic.py"
    grade = await score_path(quick_scorer, "three-sat", variant, path, "validate")
    assert (grade.integrity, grade.metrics["correct"]) == ("clean", 2400)
    assert grade.details["origin"] == "30 from SATLIB, 2370 drawn by a seeded program"


@pytest.mark.slow
@pytest.mark.data
def test_the_archive_can_be_made_again_from_its_files(task_files: Path, tmp_path: Path) -> None:
    name = "sat/satlib_uniform_random_3sat.tar.xz"
    kept = next(m / name for m in Settings().mirrors if (m / name).is_file())
    with tarfile.open(kept) as tar:
        for member in tar:
            path = tmp_path / "SAT" / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(cast("IO[bytes]", tar.extractfile(member)).read())
    command = [sys.executable, str(task_files / "three-sat" / "pack.py")]
    made = tmp_path / "mirror" / name
    subprocess.run([*command, str(tmp_path / "SAT"), str(made)], check=True, timeout=300)
    assert made.read_bytes() == kept.read_bytes()
    other = tmp_path / "other" / "uf20-91" / "uf20-01.cnf"
    other.parent.mkdir(parents=True)
    other.write_text("p cnf 0 0\n")
    done = subprocess.run(
        [*command, str(tmp_path / "other"), str(tmp_path / "never")],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 1
    assert "expected b5ab0e50" in done.stderr
    assert not (tmp_path / "never").exists()
