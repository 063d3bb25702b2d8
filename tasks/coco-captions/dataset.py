"""Lay out photographs and captions, and keep the captions of the test photographs for the judge.

Run in a sandbox as `python dataset.py SOURCES OUT VARIANT`. Test photographs get new names in a
shuffled order; a training photograph keeps its name in COCO.
"""

import csv
import json
import random
import shutil
import sys
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SEED = 20_250_223
REFERENCES = 5
Captions = dict[str, list[str]]


@dataclass(frozen=True)
class Part:
    """Photographs of one split: the captions by file name, and how to copy one's file."""

    captions: Captions
    copy: Callable[[str, Path], object]


def read_full(sources: Path) -> tuple[Part, Part]:
    """All of COCO 2017: train2017 to learn from, val2017 to describe."""
    with zipfile.ZipFile(sources / "annotations_trainval2017.zip") as archive:
        captions = {
            split: read_captions(json.loads(archive.read(f"annotations/captions_{split}.json")))
            for split in ("train2017", "val2017")
        }
    train, test = (
        Part(captions[split], unpacker(sources / f"{split}.zip", split))
        for split in ("train2017", "val2017")
    )
    return train, test


def read_captions(annotations: dict[str, list[dict[str, object]]]) -> Captions:
    """Captions by file name, in the order in which people wrote them."""
    names = {image["id"]: str(image["file_name"]) for image in annotations["images"]}
    found: Captions = defaultdict(list)
    for one in sorted(annotations["annotations"], key=lambda a: a["id"]):
        found[names[one["image_id"]]].append(str(one["caption"]))
    return dict(found)


def unpacker(path: Path, folder: str) -> Callable[[str, Path], object]:
    """How to copy a photograph out of one of the archives."""
    archive = zipfile.ZipFile(path)

    def copy(name: str, target: Path) -> None:
        with archive.open(f"{folder}/{name}") as packed, target.open("wb") as stream:
            shutil.copyfileobj(packed, stream, 2**20)

    return copy


def read_mini(sources: Path) -> tuple[Part, Part]:
    """The sample: each part has photographs of the same part of COCO 2017 as in `full`."""
    with (sources / "captioned_images.jsonl").open(encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]

    def copy(name: str, target: Path) -> None:
        shutil.copyfile(sources / name, target)

    train, test = (
        Part({r["file_name"]: r["captions"] for r in rows if r["coco_split"] == split}, copy)
        for split in ("train2017", "val2017")
    )
    return train, test


def one_line(captions: list[str]) -> list[str]:
    """The captions without line breaks and spaces at their ends."""
    return [" ".join(caption.split()) for caption in captions]


def write_train(public: Path, part: Part) -> None:
    """Photographs and their captions."""
    (public / "train").mkdir()
    with (public / "train.jsonl").open("w", encoding="utf-8") as stream:
        for name in sorted(part.captions):
            part.copy(name, public / "train" / name)
            row = {"file": f"train/{name}", "captions": one_line(part.captions[name])}
            stream.write(json.dumps(row) + "\n")


def write_test(public: Path, private: Path, part: Part) -> None:
    """Photographs for the agent; references and halves for the judge."""
    chance = random.Random(SEED)
    names = sorted(part.captions)
    chance.shuffle(names)
    scored = set(chance.sample(range(len(names)), len(names) // 2))
    (public / "test").mkdir()
    with (
        (public / "test.csv").open("w", newline="", encoding="utf-8") as listed,
        (private / "references.jsonl").open("w", encoding="utf-8") as hidden,
    ):
        writer = csv.writer(listed, lineterminator="\n")
        writer.writerow(("id", "file"))
        for number, name in enumerate(names):
            file = f"test/{number:06}.jpg"
            part.copy(name, public / file)
            writer.writerow((number, file))
            references = one_line(part.captions[name])[:REFERENCES]
            half = "public" if number in scored else "private"
            row = {"id": number, "half": half, "references": references}
            hidden.write(json.dumps(row) + "\n")


def rows_of(path: Path, count: int) -> Iterator[object]:
    """The first rows of a file of JSON lines."""
    with path.open(encoding="utf-8") as stream:
        for _, line in zip(range(count), stream, strict=False):
            yield json.loads(line)


def main() -> None:
    """Prepare one variant."""
    sources, out, variant = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    train, test = read_mini(sources) if variant == "mini" else read_full(sources)
    public, private = out / "public", out / "private"
    public.mkdir()
    private.mkdir()
    write_train(public, train)
    write_test(public, private, test)
    size = "short side 256 pixels" if variant == "mini" else "as published, about 640 x 480 pixels"
    card = {
        "title": "COCO Captions 2017",
        "licence": "captions CC BY 4.0; photographs under their Flickr licences",
        "files": {
            "train/": f"{len(train.captions)} photographs, JPEG, {size}",
            "train.jsonl": "file and captions of each",
            "test/": f"{len(test.captions)} photographs to describe",
            "test.csv": "id and file of each",
        },
        "sample": {"train.jsonl": list(rows_of(public / "train.jsonl", 2))},
        "note": "The captions of the test photographs are not here.",
    }
    (out / "card.json").write_text(json.dumps(card, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
