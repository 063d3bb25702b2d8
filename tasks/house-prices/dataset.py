"""Split the labelled houses as published, into what an agent sees and what only the judge sees.

Run in a sandbox as `python dataset.py SOURCES OUT VARIANT`.
"""

import csv
import json
import random
import sys
from pathlib import Path

import numpy as np

LABEL = "SalePrice"
SPLIT_SEED = 42
HALF_SEED = 20_250_220
MINI_ROWS = 300

Row = dict[str, str]


def split(rows: list[Row]) -> tuple[list[Row], list[Row], list[Row]]:
    """Train, validation and test rows: scikit-learn's `train_test_split` twice, in numpy.

    First a fifth is held out as test, then an eighth of the rest as validation.
    """
    rest, test = _held_out(rows, 0.2)
    train, validation = _held_out(rest, 0.125)
    return train, validation, test


def _held_out(rows: list[Row], share: float) -> tuple[list[Row], list[Row]]:
    order = np.random.RandomState(SPLIT_SEED).permutation(len(rows))
    count = int(np.ceil(len(rows) * share))
    return [rows[i] for i in order[count:]], [rows[i] for i in order[:count]]


def write(path: Path, rows: list[Row], columns: list[str]) -> None:
    """Write some columns of the rows."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def public_half(ids: list[str]) -> set[str]:
    """The ids that `validate` scores."""
    return set(random.Random(HALF_SEED).sample(ids, len(ids) // 2))


def card(columns: list[str], parts: dict[str, list[Row]]) -> dict[str, object]:
    """What a reader asks first."""
    seen = [name for name in columns if name != LABEL]
    return {
        "title": "House prices in Ames, Iowa",
        "licence": "Kaggle competition rules; data by D. De Cock, 2011",
        "rows": {f"{name}.csv": len(rows) for name, rows in parts.items()},
        "columns": columns,
        "label": LABEL,
        "missing": "NA",
        "sample": {"train.csv": parts["train"][:3]},
        "note": f"test.csv has the {len(seen)} columns without {LABEL}.",
    }


def main() -> None:
    """Prepare one variant."""
    sources, out, variant = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    with (sources / "train.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    columns = list(rows[0])
    train, validation, test = split(rows[:MINI_ROWS] if variant == "mini" else rows)

    public, private = out / "public", out / "private"
    public.mkdir()
    private.mkdir()
    write(public / "train.csv", train, columns)
    write(public / "validation.csv", validation, columns)
    write(public / "test.csv", test, [name for name in columns if name != LABEL])

    half = public_half([row["Id"] for row in test])
    labels = [{**row, "half": "public" if row["Id"] in half else "private"} for row in test]
    write(private / "labels.csv", labels, ["Id", LABEL, "half"])

    parts = {"train": train, "validation": validation, "test": test}
    (out / "card.json").write_text(json.dumps(card(columns, parts), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
