"""Split the labelled passengers into what an agent sees and what only the judge sees.

Run in a sandbox as `python dataset.py SOURCES OUT VARIANT`. Only Kaggle's labelled file is used:
what is published as the truth of the unlabelled one says `female` and nothing more.
"""

import csv
import json
import random
import sys
from pathlib import Path

LABEL = "Survived"
KEY = "PassengerId"
SPLIT_SEED = 42
HALF_SEED = 19_120_415
TEST_SHARE = 0.3
MINI_ROWS = 300

Row = dict[str, str]


def split(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Train and test rows, each in the file's order."""
    count = -int(-len(rows) * TEST_SHARE // 1)
    held_out = set(random.Random(SPLIT_SEED).sample(range(len(rows)), count))
    train = [row for number, row in enumerate(rows) if number not in held_out]
    return train, [row for number, row in enumerate(rows) if number in held_out]


def write(path: Path, rows: list[Row], columns: list[str]) -> None:
    """Write some columns of the rows."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def card(columns: list[str], train: list[Row], test: list[Row]) -> dict[str, object]:
    """What a reader asks first."""
    return {
        "title": "Passengers of the Titanic",
        "licence": "Kaggle competition rules",
        "rows": {"train.csv": len(train), "test.csv": len(test)},
        "columns": columns,
        "label": LABEL,
        "missing": "an empty cell",
        "sample": {"train.csv": train[:3]},
        "note": f"test.csv has the {len(columns) - 1} columns without {LABEL}.",
    }


def main() -> None:
    """Prepare one variant."""
    sources, out, variant = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    with (sources / "train.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    columns = list(rows[0])
    train, test = split(rows[:MINI_ROWS] if variant == "mini" else rows)

    public, private = out / "public", out / "private"
    public.mkdir()
    private.mkdir()
    write(public / "train.csv", train, columns)
    write(public / "test.csv", test, [name for name in columns if name != LABEL])

    keys = [row[KEY] for row in test]
    half = set(random.Random(HALF_SEED).sample(keys, len(keys) // 2))
    labels = [{**row, "half": "public" if row[KEY] in half else "private"} for row in test]
    write(private / "labels.csv", labels, [KEY, LABEL, "half"])

    text = json.dumps(card(columns, train, test), indent=1)
    (out / "card.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
