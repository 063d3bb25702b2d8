"""Load heuristic.py inside the player sandbox and keep what it may look at.

The formula comes with its first decision; later ones bring only what changed on the trail.
"""

import operator
from collections.abc import Callable
from pathlib import Path

from harness.loading import import_file

Heuristic = Callable[..., tuple[int, bool]]


def load(submission: Path, public: Path) -> dict[str, Callable[..., object]]:
    """The functions the judge may call, by name."""
    return {"heuristic_fn": Board(import_file(submission, "heuristic").heuristic_fn).decide}


class Board:
    """The formula and the assignments, as the heuristic sees them."""

    def __init__(self, heuristic: Heuristic) -> None:
        self._heuristic = heuristic
        self._clauses: list[list[int]] = []
        self._assignments: dict[int, bool] = {}
        self._history: list[tuple[int, bool]] = []

    def decide(
        self,
        ticket: int,
        clauses: list[list[int]] | None,
        kept: int,
        literals: list[int],
        conflicts: int,
        level: int,
    ) -> list[object]:
        """The ticket, a variable and a value. `clauses` are those of a new formula, or None."""
        if clauses is not None:
            self._clauses, self._assignments, self._history = clauses, {}, []
        for variable, _ in self._history[kept:]:
            self._assignments.pop(variable, None)
        del self._history[kept:]
        for literal in literals:
            self._assignments[abs(literal)] = literal > 0
            self._history.append((abs(literal), literal > 0))
        variable, value = self._heuristic(
            self._clauses, self._assignments, conflicts, self._history, level
        )
        # numpy's integers and booleans are fine; anything else goes to the judge as it is
        variable = operator.index(variable) if hasattr(variable, "__index__") else variable
        return [ticket, variable, value.item() if hasattr(value, "item") else value]
