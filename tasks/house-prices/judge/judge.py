"""Score predicted prices: r2 and rmse on the public half, or on all test houses."""

import csv
import math
from pathlib import Path

from harness.setting import Setting
from harness.table import match_ids, read_table
from harness.verdict import leaked

COPIED_SHARE = 0.9
"""Honest models hit a price to the cent for a few houses in a hundred; nobody does for most."""


def grade(
    submission: Path, private: Path, player: None, seed: int, setting: Setting
) -> tuple[dict[str, float], dict[str, int]]:
    """The metrics of one submission; `submit` adds those of the private half alone."""
    labels = read_labels(private / "labels.csv")
    predictions = match_ids(read_table(submission, setting.table_schema), "Id", labels)
    pairs = {
        half: [
            (label, predictions[i]["SalePrice"]) for i, (label, h) in labels.items() if h == half
        ]
        for half in ("public", "private")
    }
    every = pairs["public"] + pairs["private"]
    if setting.kind == "validate":
        metrics = scores(pairs["public"])
    else:
        metrics = scores(every) | scores(pairs["private"], "private_")
    copied = sum(label == prediction for label, prediction in every)
    if copied >= COPIED_SHARE * len(every):
        said = f"{copied} of {len(every)} predictions are the hidden prices to the cent"
        raise leaked(said, metrics=metrics)
    return metrics, {"rows": len(every) if setting.kind == "submit" else len(pairs["public"])}


def read_labels(path: Path) -> dict[int, tuple[float, str]]:
    """Price and half of each test house, by id."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = csv.DictReader(stream)
        return {int(row["Id"]): (float(row["SalePrice"]), row["half"]) for row in rows}


def scores(pairs: list[tuple[float, float]], prefix: str = "") -> dict[str, float]:
    """Share of variance explained, and root mean squared error."""
    mean = math.fsum(label for label, _ in pairs) / len(pairs)
    total = math.fsum((label - mean) ** 2 for label, _ in pairs)
    error = math.fsum((label - prediction) ** 2 for label, prediction in pairs)
    return {f"{prefix}r2": 1 - error / total, f"{prefix}rmse": math.sqrt(error / len(pairs))}
