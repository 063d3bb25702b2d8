"""Fit a plane by least squares, and write submission.csv."""

from pathlib import Path

import numpy as np

train = np.loadtxt("data/train.csv", delimiter=",", skiprows=1)
test = np.loadtxt("data/test.csv", delimiter=",", skiprows=1)


def design(rows: np.ndarray) -> np.ndarray:
    """The columns a, b and 1 of rows that start with an id."""
    return np.column_stack([rows[:, 1], rows[:, 2], np.ones(len(rows))])


weights, *_ = np.linalg.lstsq(design(train), train[:, 3], rcond=None)
predictions = design(test) @ weights
lines = [f"{int(row[0])},{y:.6f}" for row, y in zip(test, predictions, strict=True)]
Path("submission.csv").write_text("\n".join(["id,y", *lines]) + "\n", encoding="utf-8")
