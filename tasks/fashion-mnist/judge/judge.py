"""Score predicted labels: the share that is right, on the public half or on all test pictures."""

import csv
from pathlib import Path

from harness.setting import Setting
from harness.table import match_ids, read_table
from harness.verdict import leaked

UNREACHABLE = 0.985
"""Above every published result on this data (0.97); some of its labels are arguable, so nobody
who has not seen them guesses them all."""


def grade(
    submission: Path, private: Path, player: None, seed: int, setting: Setting
) -> tuple[dict[str, float], dict[str, int]]:
    """The metrics of one submission; `submit` adds that of the private half alone."""
    labels = read_labels(private / "labels.csv")
    rows = match_ids(read_table(submission, setting.table_schema), "id", labels)
    right = {
        half: [rows[i]["label"] == label for i, (label, h) in labels.items() if h == half]
        for half in ("public", "private")
    }
    every = right["public"] + right["private"]
    scored = right["public"] if setting.kind == "validate" else every
    metrics = {"accuracy": share(scored)}
    if setting.kind == "submit":
        metrics["private_accuracy"] = share(right["private"])
    if share(every) > UNREACHABLE:
        said = f"{sum(every)} of {len(every)} labels are the hidden ones, more than can be learnt"
        raise leaked(said, metrics=metrics)
    return metrics, {"rows": len(scored)}


def read_labels(path: Path) -> dict[int, tuple[int, str]]:
    """Label and half of each test picture, by id."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = csv.DictReader(stream)
        return {int(row["id"]): (int(row["label"]), row["half"]) for row in rows}


def share(right: list[bool]) -> float:
    """Accuracy: right ones among all."""
    return sum(right) / len(right)
