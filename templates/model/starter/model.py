"""A plane: the weights of a, b and 1. It is copied into the model folder by train.py."""

from pathlib import Path

import numpy as np


class Plane:
    """Predicts from three weights."""

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights

    def predict(self, rows: list[list[float]]) -> list[float]:
        """One number for each [a, b]."""
        pairs = np.asarray(rows)
        return (np.column_stack([pairs, np.ones(len(pairs))]) @ self.weights).tolist()


def load(folder: Path) -> Plane:
    """The model whose weights lie in the folder."""
    return Plane(np.load(folder / "weights.npy", allow_pickle=False))
