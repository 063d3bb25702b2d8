"""Load strategy.py inside the player sandbox."""

from collections.abc import Callable
from pathlib import Path

from harness.loading import import_file


def load(submission: Path, public: Path) -> dict[str, Callable[..., object]]:
    """The functions the judge may call, by name."""
    strategy = import_file(submission, "strategy").choose

    def choose(history: list[list[int]]) -> object:
        return strategy([tuple(pair) for pair in history])

    return {"choose": choose}
