"""Split the pairs into what an agent sees and what only the judge sees.

Run in a sandbox as `python dataset.py SOURCES OUT VARIANT`. The test pairs are the official matched
development set, in a seeded order and with new ids, so that neither tells anything.
"""

import csv
import gzip
import json
import random
import shutil
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

LABELS = ("entailment", "neutral", "contradiction")
ORDER_SEED = 20_180_101
HALF_SEED = 20_250_220
SPLIT_SEED = 7
MINI_VALIDATION = 1000

Pair = dict[str, object]


def published(archive: zipfile.ZipFile, part: str) -> list[Pair]:
    """One part of the published corpus; pairs without a gold label (`-`) are left out."""
    pairs: list[Pair] = []
    with archive.open(f"multinli_1.0/multinli_1.0_{part}.jsonl") as stream:
        for line in stream:
            row = json.loads(line)
            if row["gold_label"] in LABELS:
                pairs.append(pair(row["sentence1"], row["sentence2"], row["gold_label"]))
    return pairs


def mirrored(path: Path) -> list[Pair]:
    """The pairs of one of the mirror's files, whose labels are numbers already."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    return [pair(row["premise"], row["hypothesis"], LABELS[row["label"]]) for row in rows]


def pair(premise: str, hypothesis: str, label: str) -> Pair:
    """A pair as it is written."""
    return {"premise": premise, "hypothesis": hypothesis, "label": LABELS.index(label)}


def full(sources: Path, public: Path) -> dict[str, list[Pair]]:
    """The published parts, and the weights that the published baseline starts from."""
    with zipfile.ZipFile(sources / "multinli_1.0.zip") as archive:
        train = published(archive, "train")
        validation = published(archive, "dev_mismatched")
        test = published(archive, "dev_matched")
    (public / "bert").mkdir()
    shutil.copyfile(sources / "bert.safetensors", public / "bert" / "model.safetensors")
    shutil.copyfile(sources / "vocab.txt", public / "bert" / "vocab.txt")
    return {"train": train, "validation": validation, "test": test}


def mini(sources: Path) -> dict[str, list[Pair]]:
    """A part of the published training pairs; some of the verbatim ones are set aside."""
    verbatim = mirrored(sources / "train_verbatim.jsonl.gz")
    random.Random(SPLIT_SEED).shuffle(verbatim)
    extra = mirrored(sources / "train_extra_final_period_stripped.jsonl.gz")
    return {
        "train": verbatim[MINI_VALIDATION:] + extra,
        "validation": verbatim[:MINI_VALIDATION],
        "test": mirrored(sources / "validation_matched.jsonl.gz"),
    }


def write(path: Path, rows: Iterable[Pair]) -> None:
    """Write JSON lines."""
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_test(test: list[Pair], public: Path, private: Path) -> None:
    """Shuffle and number the test pairs, then keep their labels apart."""
    random.Random(ORDER_SEED).shuffle(test)
    half = set(random.Random(HALF_SEED).sample(range(len(test)), len(test) // 2))
    shown = [{"pair_id": i} | row for i, row in enumerate(test)]
    write(public / "test.jsonl", [{k: v for k, v in r.items() if k != "label"} for r in shown])
    with (private / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["pair_id", "label", "half"])
        for i, row in enumerate(test):
            writer.writerow([i, row["label"], "public" if i in half else "private"])


def card(variant: str, parts: dict[str, list[Pair]]) -> dict[str, object]:
    """What a reader asks first."""
    note = "test.jsonl is the matched development set without labels, in a seeded order."
    if variant == "mini":
        note += (
            " MINI: real pairs, but 19,841 of the 392,702 training pairs only, and 9,370 of them "
            "without their final full stops. Scores do not compare with the published ones."
        )
    return {
        "title": "MultiNLI",
        "licence": "MultiNLI corpus terms: OANC; fiction partly CC BY, CC BY-SA, public domain",
        "rows": {f"{name}.jsonl": len(rows) for name, rows in parts.items()},
        "columns": ["premise", "hypothesis", "label"],
        "labels": dict(enumerate(LABELS)),
        "sample": {"train.jsonl": parts["train"][:3]},
        "note": note,
    }


def main() -> None:
    """Prepare one variant."""
    sources, out, variant = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    public, private = out / "public", out / "private"
    public.mkdir()
    private.mkdir()
    parts = mini(sources) if variant == "mini" else full(sources, public)
    write(public / "train.jsonl", parts["train"])
    write(public / "validation.jsonl", parts["validation"])
    write_test(parts["test"], public, private)
    text = json.dumps(card(variant, parts), indent=1, ensure_ascii=False)
    (out / "card.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
