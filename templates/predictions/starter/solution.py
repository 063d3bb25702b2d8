"""Predict the mean, and write submission.csv."""

import csv
from pathlib import Path

with Path("data/train.csv").open(newline="", encoding="utf-8") as stream:
    known = [float(row["y"]) for row in csv.DictReader(stream)]
with Path("data/test.csv").open(newline="", encoding="utf-8") as stream:
    ids = [row["id"] for row in csv.DictReader(stream)]

mean = sum(known) / len(known)
lines = ["id,y", *(f"{i},{mean:.6f}" for i in ids)]
Path("submission.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
print(f"wrote submission.csv with {len(ids)} rows")
