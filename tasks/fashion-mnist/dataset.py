"""Read the four official files, and keep the test labels for the judge.

Run in a sandbox as `python dataset.py SOURCES OUT VARIANT`. The format of the files (IDX): four
big-endian bytes say the type and the number of dimensions, four more each dimension's length.
"""

import csv
import gzip
import json
import sys
from pathlib import Path

import numpy as np

KINDS = [
    *("T-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
]
SEED = 20_250_221
RESPLIT = False
"""Whether `full` draws its test pictures anew from all pictures, by SEED: for a copy of this task
whose test labels are in no published file. Its scores are not comparable with published ones."""

MINI_TRAIN = 3000
MINI_TEST = 1000

Arrays = tuple[np.ndarray, np.ndarray]


def read_idx(path: Path) -> np.ndarray:
    """The array of an IDX file of unsigned bytes."""
    data = gzip.decompress(path.read_bytes())
    if data[:3] != b"\0\0\x08":
        raise ValueError(f"{path.name} is not an IDX file of bytes")
    head = 4 + 4 * data[3]
    shape = np.frombuffer(data[4:head], dtype=">u4").astype(int)
    return np.frombuffer(data[head:], dtype=np.uint8).reshape(shape)


def resplit(train: Arrays, test: Arrays, chance: np.random.Generator) -> tuple[Arrays, Arrays]:
    """As many test pictures as there were, drawn from all."""
    images, labels = (np.concatenate(pair) for pair in zip(train, test, strict=True))
    order = chance.permutation(len(images))
    held, rest = order[: len(test[1])], np.sort(order[len(test[1]) :])
    return (images[rest], labels[rest]), (images[held], labels[held])


def read(sources: Path, variant: str, chance: np.random.Generator) -> tuple[Arrays, Arrays]:
    """The variant's training part, in its published order, and its test part, shuffled."""
    train, test = (
        (
            read_idx(sources / f"{part}-images-idx3-ubyte.gz"),
            read_idx(sources / f"{part}-labels-idx1-ubyte.gz"),
        )
        for part in ("train", "t10k")
    )
    if RESPLIT and variant == "full":
        return resplit(train, test, chance)
    order = chance.permutation(len(test[0]))
    if variant == "mini":
        chosen = np.sort(chance.permutation(len(train[0]))[:MINI_TRAIN])
        train, order = (train[0][chosen], train[1][chosen]), order[:MINI_TEST]
    return train, (test[0][order], test[1][order])


def write_labels(path: Path, labels: np.ndarray, chance: np.random.Generator) -> None:
    """The hidden labels; `validate` scores those of the public half."""
    public = set(chance.permutation(len(labels))[: len(labels) // 2].tolist())
    rows = [(i, int(y), "public" if i in public else "private") for i, y in enumerate(labels)]
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([("id", "label", "half"), *rows])


def card(train: int, test: int) -> dict[str, object]:
    """What a reader asks first."""
    images = {"dtype": "uint8", "unit": "grey value, 0 black to 255 white"}
    return {
        "title": "Fashion-MNIST",
        "licence": "MIT, Copyright 2017 Zalando SE",
        "files": {
            "train.npz": {
                "images": {**images, "shape": [train, 28, 28]},
                "labels": {"dtype": "uint8", "shape": [train]},
            },
            "test.npz": {
                "images": {**images, "shape": [test, 28, 28]},
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
