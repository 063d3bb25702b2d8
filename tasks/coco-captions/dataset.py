"""Lay out photographs and captions, and keep the captions of the test photographs for the judge.

Run in a sandbox as `python dataset.py SOURCES OUT VARIANT`. Test photographs get new names in a
shuffled order; a training photograph keeps its name in COCO. `generated` needs no source: this
program paints scenes and describes each as five people might.
"""

import csv
import json
import random
import shutil
import sys
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SEED = 20_250_223
REFERENCES = 5

TRAIN, TEST = 600, 136
"""Scenes of `generated`. Who knows a scene and all that writers may say of it has BLEU-4 of about
0.6 and one caption in a hundred word for word, for the five writers choose by chance."""

SIZES = [(172, 128), (172, 128), (128, 128), (128, 172)]
"""Width and height in points; each is painted as 2 x 2 pixels."""

PLACES = {
    "beach": ["ball", "umbrella", "boat", "balloon"],
    "meadow": ["tree", "house", "tent", "balloon"],
    "lake": ["boat", "boat", "ball", "balloon"],
    "road": ["car", "car", "house", "tree"],
    "snow": ["house", "tree", "tent", "ball"],
    "desert": ["tent", "car", "umbrella", "balloon"],
}
"""What is seen where."""

LIGHT = {"day": (256, 256, 256), "evening": (270, 190, 140), "night": (120, 125, 180)}
"""How much of red, green and blue is left at each hour, in 1/256."""

SKY = (130, 190, 250)
GROUND = {
    "beach": [(7, (50, 130, 190)), (9, (235, 215, 160))],
    "meadow": [(8, (90, 170, 70))],
    "lake": [(6, (60, 110, 70)), (7, (60, 120, 200))],
    "road": [(7, (120, 160, 90)), (9, (110, 110, 115))],
    "snow": [(8, (235, 240, 250))],
    "desert": [(8, (225, 165, 90))],
}
"""Bands below the sky: where each begins, in 1/16 of the height, and its colour."""

COLOURS = {
    "red": (215, 40, 40),
    "blue": (40, 70, 220),
    "yellow": (240, 215, 40),
    "green": (30, 150, 60),
    "white": (245, 245, 245),
    "purple": (150, 60, 180),
}
DETAILS = {"dark": (40, 35, 35), "light": (250, 245, 220), "brown": (115, 75, 40)}

# What writers say; `pick` takes the first ones more often.
NOUNS = {
    "ball": ["ball", "beach ball", "rubber ball"],
    "umbrella": ["umbrella", "parasol", "sunshade"],
    "boat": ["boat", "sailboat", "sailing boat"],
    "balloon": ["balloon", "hot air balloon", "air balloon"],
    "tree": ["tree", "leafy tree"],
    "house": ["house", "cottage", "hut"],
    "tent": ["tent", "camping tent", "canvas tent"],
    "car": ["car", "automobile", "motor car"],
}
DOING = {
    "others": ["standing", "sitting", "seen"],
    "boat": ["floating", "sailing", "drifting"],
    "balloon": ["flying", "floating", "hovering"],
    "car": ["parked", "standing", "waiting"],
}
WHERE = {
    "beach": ["on the beach", "on a sandy beach", "by the sea", "on the sand near the water"],
    "meadow": ["in a meadow", "in a grassy field", "on the green grass", "on a wide lawn"],
    "lake": ["on a lake", "on the water", "at the lake", "near the shore of a lake"],
    "road": ["on the road", "at the side of a road", "on a gray street", "along the street"],
    "snow": ["in the snow", "on a snowy field", "on snow covered ground", "in a winter landscape"],
    "desert": ["in the desert", "on the desert sand", "among sand dunes", "in a dry, empty place"],
}
WHEN = {
    "day": ["", "on a sunny day", "under a blue sky", "during the day", "in bright daylight"],
    "evening": ["at sunset", "", "in the evening", "under an orange sky", "late in the day"],
    "night": ["at night", "", "in the dark", "under a night sky", "by the light of the moon"],
}
COUNTS = [["a", "one", "a single"], ["two", "a pair of", "a couple of"], ["three", "several"]]
NEAR = ["next to", "near", "and", "beside", "with", "close to"]
FORMS = [
    "{thing} {doing} {where} {beside} {when}",
    "{thing} {beside} {where} {when}",
    "there {be} {thing} {where} {beside}",
    "{when} {thing} {doing} {where} {beside}",
    "a picture of {thing} {beside} {where}",
    "{thing} {doing} {where} {when}",
    "{thing} that can be seen {where} {beside}",
]

Captions = dict[str, list[str]]
Chance = np.random.Generator


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


@dataclass(frozen=True)
class Scene:
    """What is painted: some things of one kind, and perhaps one of another kind beside them."""

    place: str
    hour: str
    kind: str
    colour: str
    count: int
    other: str | None
    other_colour: str


def generate(_: Path) -> tuple[Part, Part]:
    """Scenes and what five writers say of each, the same on every machine."""
    chance = random.Random(SEED)
    scenes = {f"{number:012}.jpg": invent(chance) for number in range(1, TRAIN + TEST + 1)}
    said = {n: [describe(one, chance) for _ in range(REFERENCES)] for n, one in scenes.items()}

    def save(name: str, target: Path) -> None:
        image = paint(scenes[name], np.random.default_rng([SEED, int(name.partition(".")[0])]))
        Image.fromarray(image).save(target, quality=90)

    parts = [*scenes][:TRAIN], [*scenes][TRAIN:]
    train, test = (Part({name: said[name] for name in part}, save) for part in parts)
    return train, test


def invent(chance: random.Random) -> Scene:
    """A scene by chance."""
    place, kinds = chance.choice(list(PLACES.items()))
    kind = chance.choice(kinds)
    others = sorted({*kinds} - {kind})
    return Scene(
        place=place,
        hour=chance.choice(("day", *LIGHT)),
        kind=kind,
        colour=chance.choice(list(COLOURS)),
        count=chance.choice((1, 1, 1, 2, 3)),
        other=chance.choice((None, None, *others)),
        other_colour=chance.choice(list(COLOURS)),
    )


def pick(options: Sequence[str], chance: random.Random) -> str:
    """One of them, the earlier ones more often."""
    return options[min(chance.randrange(len(options)), chance.randrange(len(options)))]


def describe(scene: Scene, chance: random.Random) -> str:
    """What one writer says of a scene."""
    other = phrase(scene.other, scene.other_colour, 1, chance) if scene.other else ""
    text = pick(FORMS, chance).format(
        thing=phrase(scene.kind, scene.colour, scene.count, chance),
        be="is" if scene.count == 1 else "are",
        beside=f"{pick(NEAR, chance)} {other}" if other else "",
        doing=pick(DOING.get(scene.kind, DOING["others"]), chance),
        where=pick(WHERE[scene.place], chance),
        when=pick(WHEN[scene.hour], chance),
    )
    text = " ".join(text.split())  # what was left empty leaves two spaces
    return text[0].upper() + text[1:] + chance.choice((".", ".", ""))


def phrase(kind: str, colour: str, count: int, chance: random.Random) -> str:
    """Some things: how many, of which colour (one in four leaves it out, one in 16 errs), what."""
    words = [pick(COUNTS[count - 1], chance)]
    seen = chance.choice(list(COLOURS)) if chance.randrange(16) == 0 else colour
    words += [seen] if chance.randrange(4) else []
    words.append(pick(NOUNS[kind], chance) + ("s" if count > 1 else ""))
    if words[0] == "a" and words[1][0] in "aeiou":
        words[0] = "an"
    return " ".join(words)


def paint(scene: Scene, chance: Chance) -> np.ndarray:
    """A picture (2 height, 2 width, 3), uint8; in whole numbers, so the same on every machine."""
    width, height = SIZES[chance.integers(len(SIZES))]
    canvas = landscape(scene.place, width, height, chance)
    aside = chance.integers(-width // 9, width // 9 + 1, scene.count)
    sizes = chance.integers(26, 38, scene.count) * 3 // (2 + scene.count)
    for number, size in enumerate(sizes):
        middle = width * (2 * number + 1) // (2 * scene.count) + aside[number]
        put(canvas, (scene.kind, scene.colour), (middle, size), chance)
    if scene.other:
        middle = chance.integers(18, width - 17)
        put(canvas, (scene.other, scene.other_colour), (middle, 18), chance)
    canvas = canvas * np.array(LIGHT[scene.hour]) // 256
    canvas += chance.integers(-9, 10, canvas.shape)
    return canvas.clip(0, 255).astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)


def landscape(place: str, width: int, height: int, chance: Chance) -> np.ndarray:
    """The sky and what is below it, by day, with shape (height, width, 3)."""
    x, y = np.arange(width), np.arange(height)[:, None]
    canvas = np.zeros((height, width, 3), np.int64) + (60 * y // height - 20)[..., None] + SKY
    for _ in range(chance.integers(4)):
        middle, top, long = chance.integers((0, 2, 10), (width, 35, 30))
        canvas[(x - middle) ** 2 + 9 * (y - top) ** 2 < long**2] = (235, 238, 242)
    high, long = chance.integers((0, 30), (5, 100))
    waves = abs((x + chance.integers(200)) % (2 * long) - long) * high // long
    hills = y + waves - chance.integers(-6, 7)
    for start, colour in GROUND[place]:
        below = hills >= start * height // 16
        ripples = abs(hills[below] % 8 - 4) * 2 - 4
        canvas[below] = ripples[:, None] + chance.integers(-18, 19, 3) + colour
    return canvas


def put(canvas: np.ndarray, what: tuple[str, str], where: tuple[int, int], chance: Chance) -> None:
    """Paint one thing (kind, colour) at (middle, radius), in points; balloons in the sky."""
    (kind, colour), (middle, size) = what, where
    low, high = (3, 6) if kind == "balloon" else (9, 13)
    centre = len(canvas) * chance.integers(low, high) // 16
    top, left = max(centre - size, 0), max(middle - size, 0)
    box = canvas[top : centre + size, left : middle + size]
    u = (np.arange(box.shape[1]) + left - middle) * 256 // size
    v = (np.arange(box.shape[0])[:, None] + top - centre) * 256 // size
    shift = chance.integers(-20, 21, 3)
    for tone, points in outlines(u, v)[kind]:
        box[points] = np.array(DETAILS[tone] if tone else COLOURS[colour]) + shift


def outlines(u: np.ndarray, v: np.ndarray) -> dict[str, list[tuple[str, np.ndarray]]]:
    """The parts of each kind of thing, about 256 in radius around (0, 0), v downwards.

    For each part a tone of DETAILS, or nothing for the thing's own colour, and which points have it.
    """
    beside, low, around = abs(u), v < 200, u * u + v * v
    ball, bag = around < 200**2, u * u + (v + 60) ** 2 < 185**2
    shade, hull = (around < 240**2) & (v < 0), (v > 60) & (v < 160) & (beside < 290 - v)
    basket = (beside < 50) & (v > 80) & (v < 230)
    roof, door = (v > -190) & (v <= 0) & (beside < v + 210), (abs(u - 40) < 40) & (v > 80) & low
    return {
        "ball": [("", ball), ("light", ball & (abs(u + v // 2) < 45))],
        "umbrella": [("brown", (beside < 15) & (v >= 0) & (v < 240)), ("", shade)],
        "boat": [("light", (u > -10) & (v < 60) & (2 * u < v + 200)), ("", hull)],
        "balloon": [("dark", basket), ("", bag), ("light", bag & (beside < 45))],
        "tree": [("brown", (beside < 35) & (v > 40) & (v < 240)), ("", bag)],
        "house": [("", (beside < 170) & (v > 0) & low), ("brown", roof), ("dark", door)],
        "tent": [("", low & (8 * beside < 5 * v + 1000)), ("dark", low & (3 * beside < v + 40))],
        "car": [
            ("", (beside < 240) & (v > 0) & (v < 110)),
            ("light", (beside < 120) & (v > -90) & (v <= 0)),
            ("dark", (beside - 140) ** 2 + (v - 110) ** 2 < 60**2),
        ],
    }


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


READERS = {"full": read_full, "mini": read_mini, "generated": generate}
GENERATED = {
    "title": "GENERATED scenes with captions; not COCO",
    "licence": "CC0: drawn by a program of this project",
    "note": "GENERATED: a seeded program painted these scenes, no photographs, and wrote their "
    "captions. Those of the test pictures are not here.",
}


def main() -> None:
    """Prepare one variant."""
    sources, out, variant = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    train, test = READERS[variant](sources)
    public, private = out / "public", out / "private"
    public.mkdir()
    private.mkdir()
    write_train(public, train)
    write_test(public, private, test)
    size = "as published, about 640 x 480 pixels" if variant == "full" else "short side 256 pixels"
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
    card |= GENERATED if variant == "generated" else {}
    (out / "card.json").write_text(json.dumps(card, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
