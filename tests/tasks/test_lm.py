"""Language modelling: the shards, and the loss of models whose loss is known."""

import hashlib
import json
import math
import shutil
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.catalog import DatasetFolders
from mlgym_mcp.scoring import Scorer, open_scorer, score_path
from mlgym_mcp.types.grade import Grade, GradeKind
from mlgym_mcp.types.task import Variant

pytestmark = [pytest.mark.anyio, pytest.mark.bubblewrap]
VOCABULARY = 2048
LENGTH = 128

UNIFORM = "return np.zeros((len(tokens), 2048), np.float32)"
FREQUENCIES = """
        counts = np.bincount(train, minlength=2048) + 1.0
        return np.tile(np.log(counts / counts.sum()), (len(tokens), 1))"""
UNNORMALISED = FREQUENCIES.replace("counts / counts.sum()", "counts") + " + 1e3"


def model(folder: Path, body: str) -> Path:
    """A model folder without weights; `train` is the public shard's tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.py").write_text(
        "import numpy as np\n"
        "train = np.fromfile('/public/train.bin', '<u2', offset=1024)\n"
        "class Model:\n"
        "    def logits(self, tokens):\n"
        f"        {body.strip()}\n"
        "def load(folder):\n"
        "    return Model()\n"
    )
    return folder


@pytest.fixture
async def mini(quick_scorer: Scorer) -> DatasetFolders:
    data = await quick_scorer.data(quick_scorer.catalog.task("fineweb-lm"), "mini")
    assert data is not None
    return data


def shard(path: Path) -> NDArray[np.uint16]:
    header = np.fromfile(path, "<i4", 256)
    assert header[:2].tolist() == [20240520, 1]
    assert not header[3:].any()
    tokens = np.fromfile(path, "<u2", offset=1024)
    assert len(tokens) == header[2]
    return tokens


async def graded(
    scorer: Scorer,
    folder: Path,
    kind: GradeKind = "submit",
    seed: int = 1,
    variant: Variant = "mini",
) -> Grade:
    grade = await score_path(scorer, "fineweb-lm", variant, folder, kind, seed)
    assert (grade.status, grade.integrity, grade.evidence) == ("graded", "clean", ())
    return grade


@pytest.mark.data
async def test_the_shards_of_the_mini_variant_have_the_published_form(mini: DatasetFolders) -> None:
    sizes = json.loads((mini.public / "sizes.json").read_text())
    assert sizes == {"vocabulary": VOCABULARY, "end": 0, "length": LENGTH}
    for name in ("train", "validation"):
        tokens = shard(mini.public / f"{name}.bin")
        assert tokens.max() < VOCABULARY
        assert tokens[0] == 0
        assert len(tokens) == mini.card["rows"][f"{name}.bin"]
    assert "MINI" in mini.card["note"]


@pytest.mark.data
async def test_hidden_text_is_in_no_public_file(mini: DatasetFolders) -> None:
    hidden = shard(mini.private / "hidden.bin").tobytes()
    public = b"".join(path.read_bytes() for path in mini.public.iterdir())
    starts = range(0, len(hidden) - 64, 2 * (LENGTH + 1))
    found = sum(hidden[start : start + 64] in public for start in starts)
    assert found <= len(starts) / 100


@pytest.mark.data
async def test_a_model_that_knows_nothing_has_the_loss_of_chance(
    quick_scorer: Scorer, tmp_path: Path
) -> None:
    grade = await graded(quick_scorer, model(tmp_path / "model", UNIFORM))
    assert grade.score == pytest.approx(math.log(VOCABULARY), abs=1e-9)
    assert grade.metrics["standard_error"] == pytest.approx(0, abs=1e-9)
    assert grade.metrics["private_val_loss"] == pytest.approx(math.log(VOCABULARY), abs=1e-9)


@pytest.mark.data
async def test_the_loss_of_token_frequencies_is_what_all_hidden_tokens_give(
    quick_scorer: Scorer, mini: DatasetFolders, tmp_path: Path
) -> None:
    grade = await graded(quick_scorer, model(tmp_path / "model", FREQUENCIES))
    counts = np.bincount(shard(mini.public / "train.bin"), minlength=VOCABULARY) + 1.0
    expected = -np.log(counts / counts.sum())[shard(mini.private / "hidden.bin")].mean()
    error = grade.metrics["standard_error"]
    assert 0.01 < error < 0.06
    assert grade.score == pytest.approx(expected, abs=4 * error)


@pytest.mark.data
async def test_scores_need_not_be_normalised(quick_scorer: Scorer, tmp_path: Path) -> None:
    plain = await graded(quick_scorer, model(tmp_path / "model", FREQUENCIES))
    raised = await graded(quick_scorer, model(tmp_path / "model", UNNORMALISED))
    assert raised.score == pytest.approx(plain.score, abs=1e-3)


@pytest.mark.data
async def test_validate_scores_windows_of_one_half_and_another_seed_other_positions(
    quick_scorer: Scorer, tmp_path: Path
) -> None:
    folder = model(tmp_path / "model", FREQUENCIES)
    half = await graded(quick_scorer, folder, "validate")
    again = await graded(quick_scorer, folder, "validate")
    other = await graded(quick_scorer, folder, "validate", 2)
    assert set(half.metrics) == {"val_loss", "standard_error"}
    assert half.details == {"windows": 200, "positions": 800}
    assert again.metrics == half.metrics
    assert other.score != half.score


@pytest.fixture
async def drawn(quick_scorer: Scorer) -> DatasetFolders:
    """What the generated variant has."""
    data = await quick_scorer.data(quick_scorer.catalog.task("fineweb-lm"), "generated")
    assert data is not None
    return data


def files(data: DatasetFolders) -> dict[str, bytes]:
    out = data.public.parent
    found = (path for path in out.rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


async def test_generated_text_needs_no_files_and_is_the_same_each_time(
    make_settings: Callable[..., Settings], drawn: DatasetFolders
) -> None:
    settings = make_settings(engine="bubblewrap", mirrors=())
    async with open_scorer(settings, SystemClock()) as scorer:
        again = await scorer.data(scorer.catalog.task("fineweb-lm"), "generated")
    assert again is not None
    assert again.public != drawn.public
    assert files(again) == files(drawn)
    assert set(files(drawn)) == {
        "card.json",
        *(f"public/{name}" for name in ("train.bin", "validation.bin")),
        *(f"public/{name}" for name in ("sizes.json", "tokenizer.json")),
        *(f"private/{name}" for name in ("hidden.bin", "trial.bin", "sizes.json")),
    }


async def test_generated_shards_have_the_form_and_sizes_of_mini_and_say_that_they_are_drawn(
    drawn: DatasetFolders,
) -> None:
    sizes = json.loads((drawn.public / "sizes.json").read_text())
    assert sizes == {"vocabulary": VOCABULARY, "end": 0, "length": LENGTH}
    for folder, name, documents in (
        (drawn.public, "train", 480),
        (drawn.public, "validation", 20),
        (drawn.private, "hidden", 100),
    ):
        tokens = shard(folder / f"{name}.bin")
        assert tokens[0] == 0
        assert (tokens == 0).sum() == documents
    assert shard(drawn.public / "train.bin").max() == VOCABULARY - 1
    assert drawn.card["rows"]["train.bin"] > 400_000
    assert drawn.card["hidden_tokens"] > 200 * 2 * (LENGTH + 1)
    assert "GENERATED" in drawn.card["title"]
    assert "GENERATED" in drawn.card["note"]
    assert drawn.card["licence"] == "CC0: drawn by a program of this project"


async def test_no_run_of_hidden_generated_text_is_in_a_public_file(drawn: DatasetFolders) -> None:
    hidden = shard(drawn.private / "hidden.bin").tobytes()
    public = b"".join(path.read_bytes() for path in drawn.public.iterdir())
    starts = range(0, len(hidden) - 64, 2 * (LENGTH + 1))
    assert sum(hidden[start : start + 64] in public for start in starts) == 0


async def test_generated_text_is_worth_learning_and_cannot_be_foretold(
    quick_scorer: Scorer, drawn: DatasetFolders, tmp_path: Path
) -> None:
    """A token's share, then what it is after the one before: each loss is lower, none is as low
    as what the program drew for a token."""
    train, hidden = shard(drawn.public / "train.bin"), shard(drawn.private / "hidden.bin")
    counts = np.bincount(train, minlength=VOCABULARY) + 1.0
    shares = counts / counts.sum()
    pairs = np.zeros((VOCABULARY, VOCABULARY))
    np.add.at(pairs, (train[:-1], train[1:]), 1)
    followed = (pairs + 5 * shares) / (pairs.sum(1, keepdims=True) + 5)
    single = -np.log(shares[hidden]).mean()
    paired = -np.log(followed[hidden[:-1], hidden[1:]]).mean()
    least = drawn.card["nats_drawn_for_a_token"]
    assert 2 < least < paired - 1
    assert paired < single - 2
    folder = model(tmp_path / "model", FREQUENCIES)
    grade = await graded(quick_scorer, folder, variant="generated")
    assert grade.score == pytest.approx(single, abs=4 * grade.metrics["standard_error"])


@pytest.fixture
def published(tmp_path: Path) -> tuple[Path, Path]:
    """The task with shards of the published form, but short and of random tokens."""
    folder, mirror = tmp_path / "tasks" / "short-lm", tmp_path / "mirror" / "fineweb"
    shutil.copytree(shipped("tasks") / "fineweb-lm", folder)
    mirror.mkdir(parents=True)
    spec, script = folder / "task.toml", folder / "dataset.py"
    text = spec.read_text().replace('"fineweb-lm"', '"short-lm"')
    script.write_text(
        script.read_text().replace("FULL_HIDDEN = 10_485_760", "FULL_HIDDEN = 41_000")
    )
    chance = np.random.default_rng(1)
    for name in ("fineweb_val_000000.bin", "fineweb_train_000001.bin"):
        header = np.zeros(256, "<i4")
        header[:3] = 20240520, 1, 200_000
        data = header.tobytes() + chance.integers(0, 50257, 200_000, "<u2").tobytes()
        (mirror / name).write_bytes(data)
        start = text.index(f'name = "{name}"')
        end = text.index("mirror", start)
        url = f'url = "https://example.org/{name}"\n'
        digest = f'sha256 = "{hashlib.sha256(data).hexdigest()}"\nsize = {len(data)}\n'
        text = f'{text[:start]}name = "{name}"\n{url}{digest}{text[end:]}'
    spec.write_text(text)
    return folder.parent, mirror.parent


@pytest.fixture
async def short_scorer(
    make_settings: Callable[..., Settings], published: tuple[Path, Path]
) -> AsyncGenerator[Scorer]:
    tasks, mirror = published
    settings = make_settings(engine="bubblewrap", tasks=(tasks,), mirrors=(mirror,))
    async with open_scorer(settings, SystemClock()) as opened:
        yield opened


async def test_published_shards_are_split_and_scored_with_windows_of_1024(
    short_scorer: Scorer, published: tuple[Path, Path], tmp_path: Path
) -> None:
    data = await short_scorer.data(short_scorer.catalog.task("short-lm"), "full")
    assert data is not None
    held = shard(published[1] / "fineweb" / "fineweb_val_000000.bin")
    assert (shard(data.private / "hidden.bin") == held[:41_000]).all()
    assert (shard(data.public / "validation.bin") == held[82_000:123_000]).all()
    assert len(shard(data.public / "train.bin")) == 200_000
    folder = model(tmp_path / "model", UNIFORM.replace("2048", "50257"))
    grade = await score_path(short_scorer, "short-lm", "full", folder)
    assert grade.score == pytest.approx(math.log(50257), abs=1e-9)
    assert grade.details == {"windows": 40, "positions": 160}
