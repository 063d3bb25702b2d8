"""Read the pictures, and keep the test labels for the judge.

Run in a sandbox as `python dataset.py SOURCES OUT VARIANT`. `full` is made from the author's binary
archive: in each `.bin` file, records of 3,073 bytes, one for the label and then 32 x 32 for each of
red, green and blue. `mini` is drawn from the same pictures, packed as parquet.
"""

import csv
import io
import json
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

KINDS = [
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
]
SEED = 20_250_222
RESPLIT = False
"""Whether `full` draws its test pictures anew from all pictures, by SEED: for a copy of this task
whose test labels are in no published file. Its scores are not comparable with published ones."""

MINI_TRAIN = 3000
MINI_TEST = 1000
RECORD = 1 + 3 * 32 * 32
FOLDER = "cifar-10-batches-bin"

Arrays = tuple[np.ndarray, np.ndarray]


def read_archive(path: Path) -> tuple[Arrays, Arrays]:
    """Training and test pictures (n, 32, 32, 3) and their labels (n,), all uint8."""
    with tarfile.open(path) as archive:
        train = [read_records(archive, f"data_batch_{number}.bin") for number in range(1, 6)]
        test = read_records(archive, "test_batch.bin")
    images, labels = (np.concatenate(parts) for parts in zip(*train, strict=True))
    return (images, labels), test


def read_records(archive: tarfile.TarFile, name: str) -> Arrays:
    """The pictures and labels of one file of records."""
    member = archive.extractfile(f"{FOLDER}/{name}")
    if member is None:
        raise ValueError(f"the archive has no file {FOLDER}/{name}")
    records = np.frombuffer(member.read(), dtype=np.uint8).reshape(-1, RECORD)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), records[:, 0].copy()


def resplit(train: Arrays, test: Arrays, chance: np.random.Generator) -> tuple[Arrays, Arrays]:
    """As many test pictures as there were, drawn from all."""
    images, labels = (np.concatenate(pair) for pair in zip(train, test, strict=True))
    order = chance.permutation(len(images))
    held, rest = order[: len(test[1])], np.sort(order[len(test[1]) :])
    return (images[rest], labels[rest]), (images[held], labels[held])


def read_some(path: Path, rows: Iterable[int]) -> Arrays:
    """Pictures and labels of some rows of a parquet file."""
    table = pq.read_table(path).take(list(rows))
    pictures = [
        np.asarray(Image.open(io.BytesIO(cell["bytes"]))) for cell in table["img"].to_pylist()
    ]
    return np.stack(pictures), np.asarray(table["label"].to_pylist(), dtype=np.uint8)


def read(sources: Path, variant: str, chance: np.random.Generator) -> tuple[Arrays, Arrays]:
    """The variant's training part, in its source's order, and its test part, shuffled."""
    if variant == "full":
        train, test = read_archive(sources / "cifar-10-binary.tar.gz")
        if RESPLIT:
            return resplit(train, test, chance)
        order = chance.permutation(len(test[0]))
        return train, (test[0][order], test[1][order])
    paths = sources / "train.parquet", sources / "test.parquet"
    orders = [chance.permutation(pq.read_metadata(path).num_rows) for path in paths]
    train, test = orders[0][:MINI_TRAIN], orders[1][:MINI_TEST]
    return read_some(paths[0], np.sort(train)), read_some(paths[1], test)


def write_labels(path: Path, labels: np.ndarray, chance: np.random.Generator) -> None:
    """The hidden labels; `validate` scores those of the public half."""
    public = set(chance.permutation(len(labels))[: len(labels) // 2].tolist())
    rows = [(i, int(y), "public" if i in public else "private") for i, y in enumerate(labels)]
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([("id", "label", "half"), *rows])


def card(train: int, test: int) -> dict[str, object]:
    """What a reader asks first."""
    images = {"dtype": "uint8", "unit": "0 to 255, the last axis is red, green, blue"}
    return {
        "title": "CIFAR-10",
        "licence": "none stated by its author (Krizhevsky, 2009)",
        "files": {
            "train.npz": {
                "images": {**images, "shape": [train, 32, 32, 3]},
                "labels": {"dtype": "uint8", "shape": [train]},
            },
            "test.npz": {
                "images": {**images, "shape": [test, 32, 32, 3]},
                "ids": {"dtype": "int64", "shape": [test]},
            },
        },
        "labels": dict(enumerate(KINDS)),
        "note": "The test pictures are in a shuffled order; their labels are not here.",
    }


def main() -> None:
    """Prepare one variant."""
    sources, out, variant = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    chance = np.random.default_rng(SEED)
    (images, labels), (tested, answers) = read(sources, variant, chance)

    public, private = out / "public", out / "private"
    public.mkdir()
    private.mkdir()
    np.savez(public / "train.npz", images=images, labels=labels)
    np.savez(public / "test.npz", images=tested, ids=np.arange(len(tested)))
    write_labels(private / "labels.csv", answers, chance)
    text = json.dumps(card(len(images), len(tested)), indent=1)
    (out / "card.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
