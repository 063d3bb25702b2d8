"""Score predictions: root mean squared error on the public half, or on all test rows."""

import csv
import math
from pathlib import Path

from harness.setting import Setting
from harness.table import match_ids, read_table


def grade(
    submission: Path, private: Path, player: None, seed: int, setting: Setting
) -> dict[str, float]:
    """The metrics of one submission; `submit` adds those of the private half alone."""
    with (private / "labels.csv").open(newline="", encoding="utf-8") as stream:
        labels = {int(row["id"]): (float(row["y"]), row["half"]) for row in csv.DictReader(stream)}
    rows = match_ids(read_table(submission, setting.table_schema), "id", labels)

    def rmse(*halves: str) -> float:
        errors = [rows[i]["y"] - y for i, (y, half) in labels.items() if half in halves]
        return math.sqrt(math.fsum(error**2 for error in errors) / len(errors))

    if setting.kind == "validate":
        return {"rmse": rmse("public")}
    return {"rmse": rmse("public", "private"), "private_rmse": rmse("private")}
