"""Score predicted labels: the share that is right, in percent.

validation_accuracy = 100 * |{i : predicted_i = gold_i}| / n, as in the published task.
"""

import csv
from pathlib import Path

from harness.setting import Setting
from harness.table import match_ids, read_table
from harness.verdict import leaked

COPIED_SHARE = 0.98
"""The best published systems reach 92 to 93 %, people about 92 %: who is here has the labels."""


def grade(
    submission: Path, private: Path, player: None, seed: int, setting: Setting
) -> tuple[dict[str, float], dict[str, int]]:
    """The metrics of one submission; `submit` adds that of the private half alone."""
    labels = read_labels(private / "labels.csv")
    predictions = match_ids(read_table(submission, setting.table_schema), "pair_id", labels)
    right = {
        half: [predictions[i]["label"] == label for i, (label, h) in labels.items() if h == half]
        for half in ("public", "private")
    }
    every = right["public"] + right["private"]
    if setting.kind == "validate":
        scored = right["public"]
        metrics = {"validation_accuracy": percent(scored)}
    else:
        scored = every
        metrics = {
            "validation_accuracy": percent(scored),
            "private_validation_accuracy": percent(right["private"]),
        }
    if sum(every) >= COPIED_SHARE * len(every):
        said = (
            f"{sum(every)} of {len(every)} predictions are the hidden labels; no model is so good"
        )
        raise leaked(said, metrics=metrics)
    return metrics, {"rows": len(scored)}


def read_labels(path: Path) -> dict[int, tuple[int, str]]:
    """Label and half of each test pair, by id."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = csv.DictReader(stream)
        return {int(row["pair_id"]): (int(row["label"]), row["half"]) for row in rows}


def percent(right: list[bool]) -> float:
    """How many are true, in percent."""
    return 100 * sum(right) / len(right)
