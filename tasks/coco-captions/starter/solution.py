"""Say of every photograph what is said of the first training photograph."""

import csv
import json
from pathlib import Path

with Path("data/train.jsonl").open(encoding="utf-8") as stream:
    caption = json.loads(stream.readline())["captions"][0]

with Path("data/test.csv").open(newline="", encoding="utf-8") as stream:
    ids = [row["id"] for row in csv.DictReader(stream)]

with Path("submission.csv").open("w", newline="", encoding="utf-8") as stream:
    csv.writer(stream).writerows([("id", "caption"), *((i, caption) for i in ids)])
print(f"wrote submission.csv with {len(ids)} rows")
