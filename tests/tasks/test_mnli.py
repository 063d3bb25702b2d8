"""Language inference: the published files become a task, and predictions are scored in percent."""

import csv
import gzip
import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mlgym_mcp.base.errors import DataMissing
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.catalog import Datasets, load_catalog
from mlgym_mcp.sandbox.contract import silent
from mlgym_mcp.scoring import Scorer, score_path
from mlgym_mcp.types.grade import Grade

pytestmark = pytest.mark.anyio
SCRIPT = shipped("tasks") / "mnli" / "dataset.py"
GOLD = ["entailment", "neutral", "contradiction", "-"]


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").strip("\n").split("\n")]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def prepare(sources: Path, out: Path, variant: str, script: Path = SCRIPT) -> None:
    out.mkdir()
    command = [sys.executable, "-I", script, sources, out, variant]
    subprocess.run(command, check=True)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A small archive of the shape of the published one."""
    sources = tmp_path / "sources"
    sources.mkdir()
    with zipfile.ZipFile(sources / "multinli_1.0.zip", "w") as archive:
        for part, count in (("train", 40), ("dev_matched", 20), ("dev_mismatched", 8)):
            rows = [
                {
                    "gold_label": GOLD[i % 4],
                    "sentence1": f"{part} {i} ü\u2028.",
                    "sentence2": f"h{i}",
                }
                for i in range(count)
            ]
            text = "\n".join(json.dumps(row) for row in rows)
            archive.writestr(f"multinli_1.0/multinli_1.0_{part}.jsonl", text)
    (sources / "bert.safetensors").write_bytes(b"weights")
    (sources / "vocab.txt").write_text("[PAD]")
    return sources


async def test_the_published_archive_becomes_a_task_without_test_labels(
    published: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    prepare(published, out, "full")
    public = out / "public"
    rows = {
        name: (public / f"{name}.jsonl").read_text("utf-8").strip("\n").split("\n")
        for name in ("train", "validation", "test")
    }
    assert {name: len(found) for name, found in rows.items()} == {
        "train": 30,
        "validation": 6,
        "test": 15,
    }
    test = [json.loads(row) for row in rows["test"]]
    assert all(set(row) == {"pair_id", "premise", "hypothesis"} for row in test)
    assert [row["pair_id"] for row in test] == list(range(15))
    assert [row["premise"] for row in test] != sorted(row["premise"] for row in test)
    labels = table(out / "private" / "labels.csv")
    for row, label in zip(test, labels, strict=True):
        number = int(str(row["premise"]).split()[1])
        assert int(label["label"]) == number % 4
    assert (public / "bert" / "model.safetensors").read_bytes() == b"weights"


async def test_an_operators_copy_may_draw_its_test_pairs_anew_premise_by_premise(
    published: Path, tmp_path: Path
) -> None:
    """Each published row comes three times, as premises do in MultiNLI."""
    with zipfile.ZipFile(published / "multinli_1.0.zip") as archive:
        texts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(published / "multinli_1.0.zip", "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, b"\n".join([text] * 3))
    script = tmp_path / "dataset.py"
    script.write_text(SCRIPT.read_text().replace("RESPLIT = False", "RESPLIT = True"))
    prepare(published, tmp_path / "out", "full", script)
    train = lines(tmp_path / "out" / "public" / "train.jsonl")
    test = lines(tmp_path / "out" / "public" / "test.jsonl")
    assert len(train) + len(test) == 3 * (30 + 15)
    assert 20 < len(test) <= 45
    shown, held = ({str(row["premise"]) for row in rows} for rows in (train, test))
    assert not shown & held
    assert {premise.split()[0] for premise in held} == {"train", "dev_matched"}
    assert len(table(tmp_path / "out" / "private" / "labels.csv")) == len(test)
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert "drawn anew" in card["note"]


async def test_preparing_twice_gives_the_same_files(published: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        prepare(published, tmp_path / name, "full")
    files = [p for p in (tmp_path / "one").rglob("*") if p.is_file()]
    assert len(files) == 7
    for path in files:
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == other.read_bytes()


async def test_a_source_without_an_address_is_left_out_or_says_where_to_put_it(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(mirrors=())
    task = load_catalog(settings).task("mnli")
    assert task.spec.dataset is not None
    spec = task.spec.dataset.model_copy(
        update={"sources": tuple(s for s in task.spec.dataset.sources if s.url is None)}
    )
    bare = type(task)(task.spec.model_copy(update={"dataset": spec}), task.folder)
    assert await Datasets(settings).fetch(bare, silent) == list(spec.sources)
    variants = {name: one for name, one in task.spec.variants.items() if name != "generated"}
    update = {"dataset": spec, "variants": variants}
    bare = type(task)(task.spec.model_copy(update=update), task.folder)
    with pytest.raises(DataMissing, match="mini is made from, has no public address") as caught:
        await Datasets(settings).fetch(bare, silent)
    assert caught.value.fix.startswith("Put the file at mnli/")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the generated variant has, prepared without a sandbox."""
    out = tmp_path_factory.mktemp("drawn") / "out"
    prepare(Path("no-such-folder"), out, "generated")
    return out


@pytest.fixture(scope="module")
def noiseless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sentences with the labels that they had before the noise."""
    folder = tmp_path_factory.mktemp("noiseless")
    script, known = folder / "dataset.py", "\nNOISE = 0.1\n"
    assert known in SCRIPT.read_text()
    script.write_text(SCRIPT.read_text().replace(known, "\nNOISE = 0.0\n"))
    prepare(Path("no-such-folder"), folder / "out", "generated", script)
    return folder / "out"


@pytest.mark.bubblewrap
async def test_generated_pairs_need_no_files_and_are_the_same_in_and_out_of_a_sandbox(
    quick_scorer: Scorer, drawn: Path
) -> None:
    data = await quick_scorer.data(quick_scorer.catalog.task("mnli"), "generated")
    assert data is not None
    out = data.public.parent
    names = {path.relative_to(out) for path in out.rglob("*") if path.is_file()}
    assert {name.as_posix() for name in names} == {
        "card.json",
        "private/labels.csv",
        *(f"public/{part}.jsonl" for part in ("train", "validation", "test")),
    }
    for name in names:
        assert (out / name).read_bytes() == (drawn / name).read_bytes()
    assert "GENERATED" in data.card["title"]
    assert "GENERATED" in data.card["note"]
    assert data.card["licence"] == "CC0: drawn by a program of this project"


async def test_generated_pairs_have_the_form_of_the_published_ones(drawn: Path) -> None:
    parts = {name: lines(drawn / "public" / f"{name}.jsonl") for name in ("train", "validation")}
    assert {name: len(rows) for name, rows in parts.items()} == {"train": 18_000, "validation": 999}
    for rows in parts.values():
        assert all(list(row) == ["premise", "hypothesis", "label"] for row in rows)
        shares = [sum(row["label"] == label for row in rows) / len(rows) for label in range(3)]
        assert shares == pytest.approx([1 / 3] * 3, abs=0.05)
    test = lines(drawn / "public" / "test.jsonl")
    assert all(list(row) == ["pair_id", "premise", "hypothesis"] for row in test)
    known = table(drawn / "private" / "labels.csv")
    assert [row["pair_id"] for row in test] == [int(row["pair_id"]) for row in known]
    assert Counter(row["half"] for row in known) == {"public": 1000, "private": 1001}


async def test_no_premise_of_one_generated_part_is_in_another(drawn: Path) -> None:
    parts = ("train", "validation", "test")
    said = [{row["premise"] for row in lines(drawn / "public" / f"{part}.jsonl")} for part in parts]
    assert [len(one) for one in said] == [6000, 333, 667]
    assert len(set[object]().union(*said)) == 7000


async def test_before_the_noise_each_generated_premise_has_a_hypothesis_of_each_label(
    noiseless: Path, drawn: Path
) -> None:
    found: dict[object, list[object]] = {}
    for row in lines(noiseless / "public" / "train.jsonl"):
        found.setdefault(row["premise"], []).append(row["label"])
    assert all(sorted(map(str, labels)) == ["0", "1", "2"] for labels in found.values())
    name = Path("public") / "test.jsonl"
    assert (noiseless / name).read_bytes() == (drawn / name).read_bytes()


ANOTHER_WAY = [
    ("met", "argued with", "quarrelled with"),
    ("helped", "assisted", "taught", "instructed", "lent money to"),
    ("arrived before", "arrived after", "stood behind", "beat", "lost to"),
]
SWAPPED = {deed: label for label, deeds in enumerate(ANOTHER_WAY) for deed in deeds}
"""What a deed of two persons says of the same deed the other way round."""

PERSONS = re.compile(rf"The (\w+) ({'|'.join(SWAPPED)}) the (\w+)(.*)")


def read(premise: str, hypothesis: str) -> int | None:
    """The label of an easy pair: a few words more or less at the end, or two persons swapped."""
    if re.search(", (while|and) |;|hoped|planned", premise):
        return None
    denied = bool(re.search("not|never|failed", premise))
    if premise.startswith(f"{hypothesis[:-1]} "):
        return 1 if denied else 0
    if hypothesis.startswith(f"{premise[:-1]} "):
        return 0 if denied else 1
    deed = PERSONS.fullmatch(premise)
    swapped = deed and f"The {deed[3]} {deed[2]} the {deed[1]}{deed[4]}" == hypothesis
    return SWAPPED[deed[2]] if deed and swapped else None


async def test_generated_labels_are_those_that_a_reader_gives(noiseless: Path) -> None:
    rows = lines(noiseless / "public" / "train.jsonl")
    easy = [(row, read(str(row["premise"]), str(row["hypothesis"]))) for row in rows]
    known = [(row, label) for row, label in easy if label is not None]
    assert len(known) > 100
    assert {label for _, label in known} == {0, 1, 2}
    assert [row for row, label in known if row["label"] != label] == []


@pytest.mark.bubblewrap
@pytest.mark.parametrize(("noisy", "integrity"), [(False, "clean"), (True, "leaked")])
async def test_knowing_what_all_generated_sentences_mean_is_no_leak_and_knowing_the_labels_is(
    quick_scorer: Scorer,
    noiseless: Path,
    drawn: Path,
    tmp_path: Path,
    noisy: bool,
    integrity: str,
) -> None:
    known = table((drawn if noisy else noiseless) / "private" / "labels.csv")
    path = answers(tmp_path / "a.csv", [(int(row["pair_id"]), row["label"]) for row in known])
    grade = await score_path(quick_scorer, "mnli", "generated", path, "submit")
    assert grade.integrity == integrity
    if not noisy:
        assert grade.score == pytest.approx(93.3, abs=2)


def answers(path: Path, rows: Sequence[tuple[int, object]]) -> Path:
    text = "".join(f"{i},{label}\n" for i, label in rows)
    path.write_text(f"pair_id,label\n{text}")
    return path


@pytest.fixture
async def labels(quick_scorer: Scorer) -> list[dict[str, str]]:
    data = await quick_scorer.data(quick_scorer.catalog.task("mnli"), "mini")
    assert data is not None
    return table(data.private / "labels.csv")


async def submit(scorer: Scorer, path: Path, kind: str = "submit") -> Grade:
    assert kind in ("submit", "validate")
    return await score_path(
        scorer, "mnli", "mini", path, "submit" if kind == "submit" else "validate"
    )


@pytest.mark.bubblewrap
@pytest.mark.data
async def test_the_mini_variant_has_all_matched_pairs_and_says_it_is_mini(
    quick_scorer: Scorer, labels: list[dict[str, str]]
) -> None:
    data = await quick_scorer.data(quick_scorer.catalog.task("mnli"), "mini")
    assert data is not None
    assert len(labels) == 9815
    counts = [sum(row["label"] == str(label) for row in labels) for label in range(3)]
    assert counts == [3479, 3123, 3213]
    assert data.card["rows"] == {
        "train.jsonl": 18_841,
        "validation.jsonl": 1000,
        "test.jsonl": 9815,
    }
    assert "MINI" in data.card["note"]
    shown = {(r["premise"], r["hypothesis"]) for r in lines(data.public / "test.jsonl")}
    known = {(r["premise"], r["hypothesis"]) for r in lines(data.public / "train.jsonl")}
    assert not shown & known


@pytest.mark.bubblewrap
@pytest.mark.data
async def test_accuracy_is_the_percentage_of_right_labels(
    quick_scorer: Scorer, labels: list[dict[str, str]], tmp_path: Path
) -> None:
    rows = [
        (int(row["pair_id"]), int(row["label"]) if i % 2 else (int(row["label"]) + 1) % 3)
        for i, row in enumerate(labels)
    ]
    path = answers(tmp_path / "submission.csv", rows)
    whole, half = await submit(quick_scorer, path), await submit(quick_scorer, path, "validate")
    assert whole.score == pytest.approx(100 * (len(labels) // 2) / len(labels))
    assert whole.details["rows"] == 9815
    assert half.details["rows"] == 4907
    assert set(half.metrics) == {"validation_accuracy"}
    assert set(whole.metrics) == {"validation_accuracy", "private_validation_accuracy"}


@pytest.mark.bubblewrap
@pytest.mark.data
async def test_the_hidden_labels_handed_in_are_a_leak_and_no_score(
    quick_scorer: Scorer, labels: list[dict[str, str]], tmp_path: Path
) -> None:
    rows = [(int(row["pair_id"]), row["label"]) for row in labels]
    grade = await submit(quick_scorer, answers(tmp_path / "submission.csv", rows))
    assert (grade.integrity, grade.score) == ("leaked", None)


@pytest.mark.bubblewrap
@pytest.mark.data
@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ((0, 3), "column label: 3 must be smaller than or equal to 2"),
        ((0, "neutral"), "'neutral' is not a whole number"),
        ((0, ""), "is not a whole number"),
        ((1, 0), "1 was given before"),
        ((9815, 0), "9815 is not an id of the test rows"),
    ],
)
async def test_a_row_that_cannot_be_is_named(
    quick_scorer: Scorer,
    labels: list[dict[str, str]],
    tmp_path: Path,
    bad: tuple[int, object],
    said: str,
) -> None:
    rows = [bad, *((int(row["pair_id"]), 0) for row in labels[1:])]
    grade = await submit(quick_scorer, answers(tmp_path / "submission.csv", rows))
    assert grade.integrity == "invalid"
    assert said in " ".join(grade.evidence)


async def test_the_mirror_reader_takes_labels_as_numbers(tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    rows = "".join(
        json.dumps({"premise": f"p{i}", "hypothesis": "h", "label": i % 3}) + "\n"
        for i in range(1500)
    )
    for name in ("train_verbatim", "train_extra_final_period_stripped", "validation_matched"):
        (sources / f"{name}.jsonl.gz").write_bytes(gzip.compress(rows.encode(), mtime=0))
    prepare(sources, tmp_path / "out", "mini")
    assert len(lines(tmp_path / "out" / "public" / "validation.jsonl")) == 1000
    assert len(lines(tmp_path / "out" / "public" / "train.jsonl")) == 2000
