"""Give every test pair the commonest label, and write submission.csv."""

import json
from collections import Counter
from pathlib import Path


def read(name: str) -> list[dict[str, object]]:
    """The pairs of one file."""
    with Path("data", name).open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


commonest, _ = Counter(row["label"] for row in read("train.jsonl")).most_common(1)[0]
lines = [f"{row['pair_id']},{commonest}" for row in read("test.jsonl")]
Path("submission.csv").write_text("\n".join(["pair_id,label", *lines]) + "\n", encoding="utf-8")
print(f"wrote submission.csv with {len(lines)} rows")
