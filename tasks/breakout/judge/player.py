"""Load policy.py and its checkpoints inside the player sandbox; nothing is unpickled."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from harness.arrays import offered
from harness.loading import import_file
from safetensors.numpy import load_file


def load(submission: Path, public: Path) -> dict[str, Callable[..., object]]:
    """The functions the judge may call, by name."""
    module = import_file(submission / "policy.py", "policy")
    policies: list[Any] = []

    def begin(name: str) -> None:
        """From now on the policy of this checkpoint plays."""
        policies[:] = [module.load(read(submission / "checkpoints" / name))]

    def act(observations: np.ndarray, key: np.ndarray) -> np.ndarray:
        """An action for each observation; the kind of number is right, the width need not be."""
        actions = np.asarray(policies[0].act(observations, key))
        width = {"i": np.int32, "u": np.int32, "f": np.float32}.get(actions.dtype.kind)
        return actions if width is None else actions.astype(width)

    return {"begin": begin, "act": offered(act)}


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint, by name."""
    if path.suffix == ".safetensors":
        return load_file(path)
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)
