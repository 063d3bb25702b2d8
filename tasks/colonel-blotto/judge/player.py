"""Load strategy.py inside the player sandbox."""

import operator
from collections.abc import Callable
from pathlib import Path

from harness.loading import import_file


def load(submission: Path, public: Path) -> dict[str, Callable[..., object]]:
    """The functions the judge may call, by name."""
    strategy = import_file(submission, "strategy").row_strategy

    def row_strategy(history: list[list[list[int]]]) -> object:
        placed = strategy([(own, other) for own, other in history])
        # tuples and numpy's arrays and integers are fine; anything else goes as it is
        return [plain(soldiers) for soldiers in placed] if hasattr(placed, "__iter__") else placed

    return {"row_strategy": row_strategy}


def plain(soldiers: object) -> object:
    """A whole number as Python's own."""
    return operator.index(soldiers) if hasattr(soldiers, "__index__") else soldiers
