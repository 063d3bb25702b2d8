"""The picture tasks: what the agent sees, what the judge keeps, and what labels score."""

import ast
import csv
import gzip
import io
import json
import tarfile
import zipfile
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from pathlib import Path

import anyio
import pytest

from mlgym_mcp.base.settings import Settings
from mlgym_mcp.catalog import DatasetFolders
from mlgym_mcp.sandbox.environments import Environments
from mlgym_mcp.scoring import Scorer, score_path
from mlgym_mcp.types.grade import Grade, GradeKind
from mlgym_mcp.types.task import Variant

pytestmark = [pytest.mark.anyio, pytest.mark.bubblewrap]
PLAYS = [
    pytest.param("cifar10", "mini", marks=pytest.mark.data),
    pytest.param("fashion-mnist", "mini", marks=pytest.mark.data),
    ("cifar10", "generated"),
]
SHAPES = {"cifar10": (32, 32, 3), "fashion-mnist": (28, 28)}


async def data(scorer: Scorer, task: str, variant: Variant = "mini") -> DatasetFolders:
    folders = await scorer.data(scorer.catalog.task(task), variant)
    assert folders is not None
    return folders


def array(path: Path, name: str) -> tuple[str, tuple[int, ...], bytes]:
    """Type, shape and bytes of an array, as the format of numpy's files says."""
    with zipfile.ZipFile(path) as archive:
        content = archive.read(f"{name}.npy")
    end = 10 + int.from_bytes(content[8:10], "little")
    head = ast.literal_eval(content[10:end].decode())
    assert head["fortran_order"] is False
    return head["descr"], head["shape"], content[end:]


def hidden(folders: DatasetFolders) -> list[tuple[int, int, str]]:
    with (folders.private / "labels.csv").open(newline="", encoding="utf-8") as stream:
        return [(int(r["id"]), int(r["label"]), r["half"]) for r in csv.DictReader(stream)]


async def grade(
    scorer: Scorer,
    task: str,
    path: Path,
    rows: Sequence[tuple[object, object]],
    kind: GradeKind,
    variant: Variant = "mini",
) -> Grade:
    path.write_text("id,label\n" + "".join(f"{i},{label}\n" for i, label in rows))
    return await score_path(scorer, task, variant, path, kind)


@pytest.mark.parametrize(("task", "variant"), PLAYS)
async def test_the_agent_sees_arrays_as_the_card_says_and_no_test_label(
    task: str, variant: Variant, quick_scorer: Scorer
) -> None:
    folders = await data(quick_scorer, task, variant)
    files = folders.card["files"]
    assert {p.name for p in folders.public.rglob("*")} == set(files) == {"train.npz", "test.npz"}
    for name, arrays in files.items():
        for key, told in arrays.items():
            kind, shape, content = array(folders.public / name, key)
            assert kind == {"uint8": "|u1", "int64": "<i8"}[told["dtype"]]
            assert list(shape) == told["shape"]
            assert content
    assert array(folders.public / "train.npz", "images")[1] == (3000, *SHAPES[task])
    with zipfile.ZipFile(folders.public / "test.npz") as archive:
        assert set(archive.namelist()) == {"images.npy", "ids.npy"}


@pytest.mark.parametrize(("task", "variant"), PLAYS)
async def test_one_label_for_all_scores_its_share_of_the_half_that_counts(
    task: str, variant: Variant, quick_scorer: Scorer, tmp_path: Path
) -> None:
    rows = hidden(await data(quick_scorer, task, variant))
    assert Counter(half for _, _, half in rows) == {"public": 500, "private": 500}
    share = {
        half: sum(label == 3 for _, label, h in rows if h == half) / 500
        for half in ("public", "private")
    }
    table = [(i, 3) for i, _, _ in rows]
    path = tmp_path / "submission.csv"
    validated = await grade(quick_scorer, task, path, table, "validate", variant)
    assert validated.metrics == {"accuracy": pytest.approx(share["public"])}
    submitted = await grade(quick_scorer, task, path, list(reversed(table)), "submit", variant)
    assert submitted.metrics == {
        "accuracy": pytest.approx((share["public"] + share["private"]) / 2),
        "private_accuracy": pytest.approx(share["private"]),
    }
    assert submitted.integrity == "clean"


@pytest.mark.parametrize("kind", ["validate", "submit"])
@pytest.mark.parametrize(("task", "variant"), PLAYS)
async def test_labels_better_than_can_be_learnt_are_labelled_as_leaked(
    task: str, variant: Variant, kind: GradeKind, quick_scorer: Scorer, tmp_path: Path
) -> None:
    rows = hidden(await data(quick_scorer, task, variant))
    copied = [(i, label if i else (label + 1) % 10) for i, label, _ in rows]
    found = await grade(quick_scorer, task, tmp_path / "submission.csv", copied, kind, variant)
    assert (found.integrity, found.score) == ("leaked", None)
    assert "more than can be learnt" in found.evidence[0]


@pytest.mark.data
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((5, 10), "column label: 10 must be smaller than or equal to 9"),
        ((5, -1), "column label: -1 must be bigger than or equal to 0"),
        ((5, "2.5"), "column label: '2.5' is not a whole number"),
        ((5, "ankle boot"), "column label: 'ankle boot' is not a whole number"),
        ((1000, 1), "1000 is not an id of the test rows"),
        ((4, 1), "4 was given before"),
    ],
)
async def test_a_table_that_breaks_the_rules_is_refused_by_row_and_column(
    change: tuple[object, object], said: str, quick_scorer: Scorer, tmp_path: Path
) -> None:
    rows: list[tuple[object, object]] = [(i, 0) for i in range(1000)]
    rows[5] = change
    path = tmp_path / "submission.csv"
    found = await grade(quick_scorer, "fashion-mnist", path, rows, "submit")
    assert (found.integrity, found.score) == ("invalid", None)
    assert any(said in line for line in found.evidence), found.evidence


@pytest.mark.data
async def test_the_order_of_the_test_pictures_is_not_the_published_one(
    quick_scorer: Scorer,
) -> None:
    """A table of labels in the order that everybody has scores what chance does."""
    folders = await data(quick_scorer, "fashion-mnist", "full")
    name = "fashion_mnist/t10k-labels-idx1-ubyte.gz"
    mirror = next(m for m in Settings().mirrors if (m / name).is_file())
    published = gzip.decompress((mirror / name).read_bytes())[8:]
    given = [label for _, label, _ in sorted(hidden(folders))]
    assert Counter(given) == Counter(published)
    same = sum(a == b for a, b in zip(given, published, strict=True))
    assert same / len(given) == pytest.approx(0.1, abs=0.02)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """An archive of the form of CIFAR-10's binary one: batch b has labels b, and one colour each
    for its pictures' first pixel."""
    folder = tmp_path / "sources"
    folder.mkdir()
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for number in range(6):
            name = f"data_batch_{number}.bin" if number else "test_batch.bin"
            planes = [bytes([colour + number]) + bytes(1023) for colour in (10, 20, 30)]
            content = (bytes([number]) + b"".join(planes)) * 4
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return folder


Prepare = Callable[..., Awaitable[Path]]


@pytest.fixture
def prepare(published: Path, make_settings: Callable[..., Settings], tmp_path: Path) -> Prepare:
    """Run a text as CIFAR-10's dataset.py: on the archive, or, to generate, on nothing."""

    async def prepared(text: str, variant: Variant = "full") -> Path:
        out = tmp_path / "out"
        out.mkdir()
        script = tmp_path / "dataset.py"
        script.write_text(text)
        sources = published if variant == "full" else tmp_path / "nothing"
        python = (await Environments(make_settings()).ensure("torch")).python
        command = [str(python), "-I", str(script), str(sources), str(out), variant]
        await anyio.run_process(command)
        return out

    return prepared


async def test_the_authors_archive_of_cifar10_becomes_pictures_with_the_colours_last(
    prepare: Prepare, task_files: Path
) -> None:
    out = await prepare((task_files / "cifar10" / "dataset.py").read_text())
    card = json.loads((out / "card.json").read_text())
    assert card["files"]["train.npz"]["images"]["shape"] == [20, 32, 32, 3]
    kind, shape, content = array(out / "public" / "train.npz", "images")
    assert (kind, shape) == ("|u1", (20, 32, 32, 3))
    assert [tuple(content[i * 3072 : i * 3072 + 4]) for i in (0, 4, 16)] == [
        (11, 21, 31, 0),
        (12, 22, 32, 0),
        (15, 25, 35, 0),
    ]
    labels = array(out / "public" / "train.npz", "labels")[2]
    assert list(labels) == [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4 + [5] * 4
    assert (out / "private" / "labels.csv").read_text().count(",0,") == 4


async def test_an_operators_copy_of_cifar10_may_draw_its_test_pictures_anew(
    prepare: Prepare, task_files: Path
) -> None:
    text = (task_files / "cifar10" / "dataset.py").read_text()
    out = await prepare(text.replace("RESPLIT = False", "RESPLIT = True"))
    train = array(out / "public" / "train.npz", "labels")[2]
    with (out / "private" / "labels.csv").open(newline="", encoding="utf-8") as stream:
        test = [int(row["label"]) for row in csv.DictReader(stream)]
    assert (len(train), len(test)) == (20, 4)
    assert sorted([*train, *test]) == sorted([*range(6)] * 4)
    assert any(test)


def pictures(path: Path) -> list[bytes]:
    """Each picture's bytes."""
    content = array(path, "images")[2]
    size = 32 * 32 * 3
    return [content[start : start + size] for start in range(0, len(content), size)]


async def test_generated_pictures_are_all_different_and_their_ten_kinds_about_as_frequent(
    quick_scorer: Scorer,
) -> None:
    folders = await data(quick_scorer, "cifar10", "generated")
    shown = pictures(folders.public / "train.npz") + pictures(folders.public / "test.npz")
    assert len(set(shown)) == len(shown) == 4000
    for labels, each in (
        (array(folders.public / "train.npz", "labels")[2], 300),
        ([label for _, label, _ in hidden(folders)], 100),
    ):
        counts = Counter(labels)
        assert set(counts) == set(range(10))
        assert all(0.8 * each < count < 1.2 * each for count in counts.values())


async def test_the_card_of_generated_pictures_names_what_is_painted_and_says_so(
    quick_scorer: Scorer,
) -> None:
    card = (await data(quick_scorer, "cifar10", "generated")).card
    assert card["title"].startswith("GENERATED")
    assert card["licence"].startswith("CC0")
    assert list(card["labels"]) == [str(number) for number in range(10)]
    assert len(set(card["labels"].values())) == 10
    assert "airplane" not in str(card)


async def test_who_sees_every_generated_figure_is_right_nine_times_in_ten_and_clean(
    prepare: Prepare, quick_scorer: Scorer, task_files: Path, tmp_path: Path
) -> None:
    """Prepared a second time with no label wrong: the same pictures, and what is on them."""
    folders = await data(quick_scorer, "cifar10", "generated")
    text = (task_files / "cifar10" / "dataset.py").read_text()
    out = await prepare(text.replace("MISNAMED = 10", "MISNAMED = 2**31"), "generated")
    for name in ("train.npz", "test.npz"):
        assert pictures(out / "public" / name) == pictures(folders.public / name)
    seen = hidden(DatasetFolders(out / "public", out / "private", {}))
    path, table = tmp_path / "submission.csv", [(i, label) for i, label, _ in seen]
    found = await grade(quick_scorer, "cifar10", path, table, "submit", "generated")
    assert found.integrity == "clean"
    assert found.metrics["accuracy"] == pytest.approx(0.9, abs=0.03)


async def test_generated_pictures_are_the_same_on_every_machine(quick_scorer: Scorer) -> None:
    """The digests are those of the machine on which it was written."""
    folders = await data(quick_scorer, "cifar10", "generated")
    train, test = folders.public / "train.npz", folders.public / "test.npz"
    contents = [array(train, "images")[2], array(train, "labels")[2], array(test, "images")[2]]
    contents.append((folders.private / "labels.csv").read_bytes())
    assert [sha256(content).hexdigest()[:16] for content in contents] == [
        "8cf0789f17b8425b",
        "589f1f5d162bdeb9",
        "114ff451839113d7",
        "722329dae9e2c98c",
    ]
