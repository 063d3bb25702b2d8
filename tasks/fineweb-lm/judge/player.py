"""Load the model folder inside the player sandbox."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from harness.arrays import offered
from harness.loading import import_file


def load(submission: Path, public: Path) -> dict[str, Callable[..., object]]:
    """The function the judge may ask, by name."""
    model = import_file(submission / "model.py", "model").load(submission)

    def logits(tokens: np.ndarray) -> np.ndarray:
        answer = model.logits(np.array(tokens))
        return np.asarray(plain(answer), np.float32)

    return {"logits": offered(logits)}


def plain(answer: Any) -> Any:
    """A tensor of torch as an array; anything else as it is."""
    return answer.detach().cpu().float().numpy() if hasattr(answer, "detach") else answer
