"""Load the model folder inside the player sandbox."""

from collections.abc import Callable
from pathlib import Path

from harness.loading import import_file


def load(submission: Path, public: Path) -> dict[str, Callable[..., object]]:
    """The functions the judge may call, by name."""
    model = import_file(submission / "model.py", "model").load(submission)

    def predict(rows: list[list[float]]) -> list[float]:
        return [float(value) for value in model.predict(rows)]

    return {"predict": predict}
