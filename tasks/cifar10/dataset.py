"""Read the pictures, and keep the test labels for the judge.

Run in a sandbox as `python dataset.py SOURCES OUT VARIANT`. `full` is made from the author's binary
archive: in each `.bin` file, records of 3,073 bytes, one for the label and then 32 x 32 for each of
red, green and blue. `mini` is drawn from the same pictures, packed as parquet. `generated` needs
no source: its pictures are figures that this program paints.
"""

import csv
import io
import json
import math
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
FIGURES = [
    *("disc", "ring", "square", "frame", "triangle"),
    *("cross", "bar", "crescent", "half disc", "two discs"),
]
SEED = 20_250_222
RESPLIT = False
"""Whether `full` draws its test pictures anew from all pictures, by SEED: for a copy of this task
whose test labels are in no published file. Its scores are not comparable with published ones."""

MINI_TRAIN = 3000
MINI_TEST = 1000
MISNAMED = 10
"""In `generated`, the share of pictures with another figure's label is one in this many, in both
parts: the best possible accuracy is about 0.9, far from what the judge takes for leaked."""

FINE = 64
"""Points each way on which a picture is painted; each pixel is the mean of 2 x 2 of them."""

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


def generate(chance: np.random.Generator) -> tuple[Arrays, Arrays]:
    """As many pictures as in `mini`, of FIGURES, a share of them with a wrong label.

    Everything is whole numbers, so that every machine paints the same.
    """
    sizes = MINI_TRAIN, MINI_TEST
    parts = [chance.permutation(np.arange(size) % len(FIGURES)) for size in sizes]
    figures = np.concatenate(parts)
    images = np.concatenate([paint(part, chance) for part in np.split(figures, 16)])
    other = figures + chance.integers(1, len(FIGURES), len(figures))
    wrong = chance.integers(MISNAMED, size=len(figures)) == 0
    labels = (np.where(wrong, other, figures) % len(FIGURES)).astype(np.uint8)
    return (images[:MINI_TRAIN], labels[:MINI_TRAIN]), (images[MINI_TRAIN:], labels[MINI_TRAIN:])


def paint(figures: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Pictures (n, 32, 32, 3), uint8, of figures (n,) by their place in FIGURES.

    Place, size, turn, colours and light vary; things lie behind and before a figure, and noise.
    """
    n = len(figures)
    ground = (4 * chance.integers(256, size=(n, 1, 1, 3)) + usual(figures)) // 5
    apart = chance.integers(50, 206, (n, 1, 1, 3))
    colour = (ground + apart) % 256
    canvas = ground + stripes(n, chance)
    canvas = np.where(clutter(n, chance), chance.integers(256, size=(n, 1, 1, 3)), canvas)
    canvas = np.where(shape(figures, chance), colour + stripes(n, chance), canvas)
    canvas = np.where(clutter(n, chance), chance.integers(256, size=(n, 1, 1, 3)), canvas)
    pixels = canvas.reshape(n, FINE // 2, 2, FINE // 2, 2, 3).sum(axis=(2, 4)) // 4
    pixels = pixels * light(n, chance) // 256
    grain = chance.integers(2, 24, (n, 1, 1, 1))
    noise = chance.integers(-256, 257, pixels.shape) + chance.integers(-256, 257, pixels.shape)
    return (pixels + noise * grain // 256).clip(0, 255).astype(np.uint8)


def usual(figures: np.ndarray) -> np.ndarray:
    """Colours that the ground of each figure is a little nearer to, with shape (n, 1, 1, 3)."""
    levels = np.stack([figures % 3, figures // 3 % 3, (figures + figures // 3) % 3], axis=-1)
    return (levels * 127)[:, None, None]


def plane(n: int, chance: np.random.Generator, turn: int = 180, off: int = 40) -> Arrays:
    """Coordinates of the fine points: two of (n, FINE, FINE), in 1/1024 of a quarter pixel.

    Turned by up to `turn` degrees about a point up to `off` quarter pixels from the middle.
    """
    angles = [math.radians(degrees) for degrees in range(360)]
    turns = np.array([(round(1024 * math.cos(a)), round(1024 * math.sin(a))) for a in angles])
    cos, sin = turns[chance.integers(-turn, turn + 1, n)].T[..., None, None]
    points = 2 * np.arange(FINE) - FINE + 1
    x = points - chance.integers(-off, off + 1, (n, 1, 1))
    y = points[:, None] - chance.integers(-off, off + 1, (n, 1, 1))
    return x * cos + y * sin, y * cos - x * sin


def shape(figures: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Where the figures are, with shape (n, FINE, FINE, 1)."""
    n = len(figures)
    size = chance.integers(33, 54, (n, 1, 1))
    u, v = (along // (4 * size) for along in plane(n, chance, turn=25, off=16))
    v = v * chance.integers(13, 20, (n, 1, 1)) // 16
    found = np.zeros((n, FINE, FINE), dtype=bool)
    for figure in range(len(FIGURES)):
        rows = figures == figure
        found[rows] = inside(figure, u[rows], v[rows])
    return found[..., None]


def inside(figure: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Which points are of a figure about 256 in radius around (0, 0)."""
    around, most, least = u * u + v * v, np.maximum(abs(u), abs(v)), np.minimum(abs(u), abs(v))
    forms = {
        "disc": around < 220**2,
        "ring": (around < 235**2) & (around > 120**2),
        "square": most < 195,
        "frame": (most < 205) & (most > 105),
        "triangle": (v > -150) & (7 * abs(u) + 4 * v < 4 * 250),
        "cross": (most < 240) & (least < 70),
        "bar": (abs(u) < 250) & (abs(v) < 90),
        "crescent": (around < 240**2) & ((u - 110) ** 2 + v * v > 190**2),
        "half disc": (u * u + (v + 100) ** 2 < 250**2) & (v > -100),
        "two discs": (abs(u) - 135) ** 2 + v * v < 105**2,
    }
    return forms[FIGURES[figure]]


def stripes(n: int, chance: np.random.Generator) -> np.ndarray:
    """What waves add to the colours, with shape (n, FINE, FINE, 3)."""
    along, _ = plane(n, chance)
    length = 1024 * chance.integers(12, 60, (n, 1, 1))
    wave = abs(along % (2 * length) - length) * 256 // length - 128
    return wave[..., None] * chance.integers(-60, 61, (n, 1, 1, 3)) // 128


def clutter(n: int, chance: np.random.Generator) -> np.ndarray:
    """Where a small box or a thin line is, with shape (n, FINE, FINE, 1)."""
    u, v = plane(n, chance)
    long = 1024 * chance.integers(6, 40, (n, 1, 1))
    wide = 1024 * chance.integers(3, 9, (n, 1, 1))
    return ((abs(u) < long) & (abs(v) < wide))[..., None]


def light(n: int, chance: np.random.Generator) -> np.ndarray:
    """How bright each pixel is, in 1/256, with shape (n, 32, 32, 1)."""
    slope = chance.integers(-6, 7, (2, n, 1, 1))
    points = np.arange(FINE // 2) - FINE // 4
    bright = chance.integers(150, 300, (n, 1, 1)) + slope[0] * points + slope[1] * points[:, None]
    return bright[..., None]


def read(sources: Path, variant: str, chance: np.random.Generator) -> tuple[Arrays, Arrays]:
    """The variant's training part, in its source's order, and its test part, shuffled."""
    if variant == "full":
        train, test = read_archive(sources / "cifar-10-binary.tar.gz")
        if RESPLIT:
            return resplit(train, test, chance)
        order = chance.permutation(len(test[0]))
        return train, (test[0][order], test[1][order])
    if variant == "generated":
        return generate(chance)
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


GENERATED = {
    "title": "GENERATED figures in the form of CIFAR-10",
    "licence": "CC0: drawn by a program of this project",
    "labels": dict(enumerate(FIGURES)),
    "note": "GENERATED: a seeded program painted these pictures; nothing of CIFAR-10 is in them. "
    f"One label in {MISNAMED} is wrong on purpose. The test labels are not here.",
}
"""What the card says instead in that variant."""


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
    told = card(len(images), len(tested)) | (GENERATED if variant == "generated" else {})
    (out / "card.json").write_text(json.dumps(told, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
