"""Solve the formulas of data/instances.jsonl with heuristic.py, and print what it took."""

import json
import time
from pathlib import Path

from heuristic import heuristic_fn
from solver import Search


def choose(search: Search) -> tuple[int, bool]:
    """Ask the heuristic, as the judge does over its channel."""
    history = [(abs(literal), literal > 0) for literal in search.trail]
    values = dict(search.values)
    return heuristic_fn(search.clauses, values, search.conflicts, history, search.level)


decisions = conflicts = 0
started = time.perf_counter()
lines = Path("data/instances.jsonl").read_text(encoding="utf-8").splitlines()
for line in lines:
    instance = json.loads(line)
    search = Search(instance["clauses"])
    found = search.run(choose)
    assert found == instance["satisfiable"], "the solver was changed"
    decisions += search.decisions
    conflicts += search.conflicts
seconds = time.perf_counter() - started
print(f"{len(lines)} formulas, {seconds:.2f} s, {decisions} decisions, {conflicts} conflicts")
