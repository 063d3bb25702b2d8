"""Captions: what the agent sees, and what BLEU and CIDEr-D make of known sentences."""

import json
import os
import zipfile
from collections import Counter
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import pytest

import mlgym_mcp.scoring
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.catalog import DatasetFolders
from mlgym_mcp.sandbox.environments import Environments
from mlgym_mcp.scoring import Scorer, score_path
from mlgym_mcp.types.grade import Grade, GradeKind
from mlgym_mcp.types.task import Variant

pytestmark = [pytest.mark.anyio, pytest.mark.bubblewrap]

Described = list[tuple[str, list[str]]]
Score = Callable[[Described], Awaitable[dict[str, float]]]
Prepare = Callable[[str, Path, Variant], Awaitable[Path]]

# The judge's two files, run without the rest of it: JSON of captions and references in, scores out.
SCORE = """
import json, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import judge
from cider import Cider
rows = json.load(sys.stdin)
made = [judge.Described(judge.words(c), [judge.words(r) for r in refs], "") for c, refs in rows]
json.dump(judge.scores(Cider([one.references for one in made]), made), sys.stdout)
"""


async def data(scorer: Scorer, variant: Variant = "mini") -> DatasetFolders:
    folders = await scorer.data(scorer.catalog.task("coco-captions"), variant)
    assert folders is not None
    return folders


async def describe(
    scorer: Scorer,
    folder: Path,
    captions: dict[int, str],
    kind: GradeKind,
    variant: Variant = "mini",
) -> Grade:
    path = folder / "submission.csv"
    path.write_text("id,caption\n" + "".join(f'{i},"{c}"\n' for i, c in captions.items()))
    return await score_path(scorer, "coco-captions", variant, path, kind)


@pytest.mark.data
async def test_captions_of_the_photographs_to_describe_are_nowhere_in_what_the_agent_sees(
    quick_scorer: Scorer,
) -> None:
    folders = await data(quick_scorer)
    lines = (folders.private / "references.jsonl").read_text().splitlines()
    references = [text for line in lines for text in json.loads(line)["references"]]
    assert len(references) == 5 * 136
    assert len(list((folders.public / "train").glob("*.jpg"))) == 77
    assert len(list((folders.public / "test").glob("*.jpg"))) == 136
    texts = [p.read_text() for p in folders.public.iterdir() if p.is_file()]
    assert len(texts) == 2
    assert [r for r in references for t in texts if len(r) > 30 and r in t] == []
    names = [p.name for p in (folders.public / "test").glob("*.jpg")]
    assert sorted(names) == [f"{number:06}.jpg" for number in range(136)]


@pytest.mark.data
async def test_validate_scores_one_half_and_submit_both(
    quick_scorer: Scorer, tmp_path: Path
) -> None:
    captions = dict.fromkeys(range(136), "A man is sitting on a bench in front of a building.")
    validated = await describe(quick_scorer, tmp_path, captions, "validate")
    assert set(validated.metrics) == {"bleu", "cider"}
    submitted = await describe(quick_scorer, tmp_path, captions, "submit")
    assert set(submitted.metrics) == {"bleu", "cider", "private_bleu", "private_cider"}
    assert submitted.integrity == validated.integrity == "clean"
    assert 0 < submitted.metrics["bleu"] < 0.1
    half = (validated.metrics["cider"] + submitted.metrics["private_cider"]) / 2
    assert submitted.metrics["cider"] == pytest.approx(half)


@pytest.fixture
def score(make_settings: Callable[..., Settings], task_files: Path) -> Score:
    """Scores of captions, each with the references for its photograph."""

    async def scored(rows: Described) -> dict[str, float]:
        python = (await Environments(make_settings()).ensure("torch")).python
        harness = Path(mlgym_mcp.scoring.__path__[0])
        folder = task_files / "coco-captions" / "judge"
        command = [str(python), "-c", SCORE, str(folder), str(harness)]
        done = await anyio.run_process(command, input=json.dumps(rows).encode())
        return json.loads(done.stdout)

    return scored


async def test_cider_of_a_caption_worked_out_by_hand(score: Score) -> None:
    """Of two photographs: the words of one alone weigh log 2, a word of both nothing; a caption
    of two words has no 3- or 4-grams. So 10 * (1 + 1 + 0 + 0) / 4, and nothing for the other."""
    found = await score([("a cat", ["a cat"]), ("a house", ["a dog"])])
    assert found["cider"] == pytest.approx((5 + 0) / 2)
    assert found["bleu"] == 0


async def test_scores_are_those_of_the_published_programs(score: Score) -> None:
    """Expected values: pycocoevalcap 1.2's Bleu(4) and Cider() on the same words."""
    rows = [
        (
            "A man is riding a wave on a surfboard.",
            [
                "A man riding a wave on top of a surfboard.",
                "A surfer rides a large wave.",
                "Man on a surfboard, riding a wave!",
            ],
        ),
        (
            "A dog sleeps on the man's bed",
            [
                "A brown dog sleeping on a bed.",
                "The man's dog sleeps on his bed.",
                "There is a dog on the bed.",
            ],
        ),
        (
            "Two people walk down a street with an umbrella",
            [
                "A couple walking down a street with an umbrella.",
                "People walk in the rain.",
                "Two people under one umbrella",
            ],
        ),
    ]
    found = await score(rows)
    assert found["bleu"] == pytest.approx(0.5182035315651995, abs=1e-6)
    assert found["cider"] == pytest.approx(2.774943505664135)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Small archives of the form of COCO 2017's: 3 photographs to learn from, 4 to describe."""
    folder = tmp_path / "sources"
    folder.mkdir()
    with zipfile.ZipFile(folder / "annotations_trainval2017.zip", "w") as annotations:
        for split, count in (("train2017", 3), ("val2017", 4)):
            names = {10 * n: f"{10 * n:012}.jpg" for n in range(count)}
            with zipfile.ZipFile(folder / f"{split}.zip", "w") as archive:
                for name in names.values():
                    archive.writestr(f"{split}/{name}", f"{split} {name}")
            said = [
                {"id": 100 - k, "image_id": i, "caption": f" {split} {i}\n {100 - k}. "}
                for i in names
                for k in range(6)
            ]
            images = [{"id": i, "file_name": name} for i, name in names.items()]
            content = {"images": images, "annotations": said}
            annotations.writestr(f"annotations/captions_{split}.json", json.dumps(content))
    return folder


@pytest.fixture
def prepare(make_settings: Callable[..., Settings], tmp_path: Path) -> Prepare:
    """Run a text as dataset.py on the sources in a folder."""

    async def prepared(text: str, sources: Path, variant: Variant) -> Path:
        script, out = tmp_path / "dataset.py", tmp_path / "out"
        script.write_text(text)
        out.mkdir()
        python = (await Environments(make_settings()).ensure("torch")).python
        command = [str(python), "-I", str(script), str(sources), str(out), variant]
        await anyio.run_process(command)
        return out

    return prepared


async def test_the_published_archives_become_photographs_and_captions(
    prepare: Prepare, published: Path, task_files: Path
) -> None:
    text = (task_files / "coco-captions" / "dataset.py").read_text()
    out = await prepare(text, published, "full")
    rows = [json.loads(line) for line in (out / "public" / "train.jsonl").read_text().splitlines()]
    assert [row["file"] for row in rows] == [f"train/{10 * n:012}.jpg" for n in range(3)]
    assert rows[1]["captions"] == [f"train2017 10 {number}." for number in range(95, 101)]
    assert (out / "public" / rows[1]["file"]).read_text() == "train2017 000000000010.jpg"
    hidden = [
        json.loads(line) for line in (out / "private" / "references.jsonl").read_text().splitlines()
    ]
    assert [len(row["references"]) for row in hidden] == [5] * 4
    assert sorted(row["half"] for row in hidden) == ["private"] * 2 + ["public"] * 2
    for row in hidden:
        photograph = (out / "public" / "test" / f"{row['id']:06}.jpg").read_text()
        number = int(row["references"][0].split()[1])
        assert photograph == f"val2017 {number:012}.jpg"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_generated_scenes_lie_as_the_photographs_of_mini_do_and_hide_their_captions(
    quick_scorer: Scorer,
) -> None:
    folders = await data(quick_scorer, "generated")
    shown = lines(folders.public / "train.jsonl")
    assert [row["file"] for row in shown] == [f"train/{n:012}.jpg" for n in range(1, 601)]
    assert {len(row["captions"]) for row in shown} == {5}
    assert {p.name for p in folders.public.iterdir()} == {
        "train.jsonl",
        "train",
        "test.csv",
        "test",
    }
    tests = [f"{n},test/{n:06}.jpg" for n in range(136)]
    assert (folders.public / "test.csv").read_text().splitlines() == ["id,file", *tests]
    pictures = [p.read_bytes() for p in folders.public.glob("*/*.jpg")]
    assert len(set(pictures)) == len(pictures) == 600 + 136
    assert all(picture[:3] == b"\xff\xd8\xff" for picture in pictures)
    hidden = lines(folders.private / "references.jsonl")
    assert [row["id"] for row in hidden] == list(range(136))
    assert Counter(row["half"] for row in hidden) == {"public": 68, "private": 68}
    # with so few words, a sentence may be written twice by chance
    known = {text for row in shown for text in row["captions"]}
    references = [text for row in hidden for text in row["references"]]
    assert sum(text in known for text in references) < 0.02 * len(references)


async def test_the_card_of_generated_scenes_says_that_they_are(quick_scorer: Scorer) -> None:
    card = (await data(quick_scorer, "generated")).card
    assert card["title"].startswith("GENERATED")
    assert card["licence"].startswith("CC0")
    assert "600" in card["files"]["train/"]
    assert "Flickr" not in str(card)


async def test_generated_captions_are_the_same_on_every_machine(quick_scorer: Scorer) -> None:
    """The digests are those of the machine on which it was written."""
    folders = await data(quick_scorer, "generated")
    paths = folders.public / "train.jsonl", folders.private / "references.jsonl"
    digests = [sha256(path.read_bytes()).hexdigest()[:16] for path in paths]
    assert digests == ["5a15a263d80d5b3d", "8d4480b5496c5dbe"]


async def test_another_writer_of_generated_captions_is_far_from_full_marks_and_clean(
    quick_scorer: Scorer, prepare: Prepare, task_files: Path, tmp_path: Path
) -> None:
    """With six writers instead of five, the same pictures are described in other words."""
    folders = await data(quick_scorer, "generated")
    text = (task_files / "coco-captions" / "dataset.py").read_text()
    text = text.replace("REFERENCES = 5", "REFERENCES = 6")
    out = await prepare(text, tmp_path / "nothing", "generated")
    for picture in (folders.public / "test").iterdir():
        assert (out / "public" / "test" / picture.name).read_bytes() == picture.read_bytes()
    anew = lines(out / "private" / "references.jsonl")
    captions = {row["id"]: row["references"][0] for row in anew}
    found = await describe(quick_scorer, tmp_path, captions, "submit", "generated")
    assert found.integrity == "clean"
    assert 0.3 < found.metrics["bleu"] < 0.6


COLOURS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (30, 40, 200)}

# Photographs of one colour each, under the names in JSON on standard input.
PAINT = """
import json, sys
from PIL import Image
for name, colour in json.load(sys.stdin).items():
    Image.new("RGB", (96, 72), tuple(colour)).save(name)
"""


@pytest.mark.slow
async def test_the_captioner_learns_to_say_what_it_sees(
    make_settings: Callable[..., Settings], task_files: Path, tmp_path: Path
) -> None:
    python = str((await Environments(make_settings()).ensure("torch")).python)
    data = tmp_path / "data"
    names = [list(COLOURS)[i % 3] for i in range(24)]
    for part in ("train", "test"):
        (data / part).mkdir(parents=True)
    rows = [
        {"file": f"train/{i}.jpg", "captions": [f"A {name} wall.", f"The wall is {name}"]}
        for i, name in enumerate(names)
    ]
    (data / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (data / "test.csv").write_text("id,file\n" + "".join(f"{i},test/{i}.jpg\n" for i in range(6)))
    files = {str(data / f"train/{i}.jpg"): COLOURS[name] for i, name in enumerate(names)}
    files |= {str(data / f"test/{i}.jpg"): COLOURS[names[i]] for i in range(6)}
    await anyio.run_process([python, "-c", PAINT], input=json.dumps(files).encode())

    script = str(task_files / "coco-captions" / "baseline" / "captioner.py")
    # one thread: the network is small, and threads of a busy machine wait for each other
    variables = os.environ | {"OMP_NUM_THREADS": "1"}
    await anyio.run_process([python, script], cwd=tmp_path, env=variables)
    lines = (tmp_path / "submission.csv").read_text().splitlines()
    assert lines[0] == "id,caption"
    for i, line in enumerate(lines[1:]):
        assert line in {f"{i},a {names[i]} wall", f"{i},the wall is {names[i]}"}
    assert len(lines) == 7
