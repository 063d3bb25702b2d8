"""BERT as mnli's baseline has it: the published function, and fine-tuning from start to answers."""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import anyio
import numpy as np
import pytest

from mlgym_mcp.base.settings import Settings
from mlgym_mcp.sandbox.environments import Environments

pytestmark = [pytest.mark.anyio, pytest.mark.bubblewrap]

WIDTH, INNER, LAYERS, POSITIONS = 128, 48, 2, 64
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "##s", "yes", "maybe", "no"]

# Two layers of the published form, on two pairs of which the second is two tokens shorter.
ANSWER = """
import sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
import bert
model = bert.load(Path(sys.argv[2]), 3).eval()
ids = torch.tensor([[2, 5, 6, 3, 7, 8, 3], [2, 9, 3, 5, 3, 0, 0]])
types = torch.tensor([[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0]])
with torch.no_grad():
    print(model(ids, types, ids > 0).tolist())
"""


def shapes(classifier: bool) -> dict[str, tuple[int, ...]]:
    """The names and shapes in `model.safetensors` as published, LayerNorm's old names included."""
    pairs = {
        "attention.self.query": (WIDTH, WIDTH),
        "attention.self.key": (WIDTH, WIDTH),
        "attention.self.value": (WIDTH, WIDTH),
        "attention.output.dense": (WIDTH, WIDTH),
        "intermediate.dense": (INNER, WIDTH),
        "output.dense": (WIDTH, INNER),
    }
    linear = {
        f"bert.encoder.layer.{layer}.{name}": shape
        for layer in range(LAYERS)
        for name, shape in pairs.items()
    }
    linear["bert.pooler.dense"] = (WIDTH, WIDTH)
    linear["classifier" if classifier else "cls.seq_relationship"] = (3, WIDTH)
    norms = ["bert.embeddings", "cls.predictions.transform"]
    for layer in range(LAYERS):
        norms += [f"bert.encoder.layer.{layer}.{part}output" for part in ("attention.", "")]
    return {
        "bert.embeddings.word_embeddings.weight": (len(WORDS), WIDTH),
        "bert.embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        "bert.embeddings.token_type_embeddings.weight": (2, WIDTH),
        **{f"{name}.weight": shape for name, shape in linear.items()},
        **{f"{name}.bias": shape[:1] for name, shape in linear.items()},
        **{f"{name}.LayerNorm.gamma": (WIDTH,) for name in norms},
        **{f"{name}.LayerNorm.beta": (WIDTH,) for name in norms},
    }


def write_weights(path: Path, *, classifier: bool) -> None:
    """Random weights as a safetensors file: the header's length, the header, the numbers."""
    chance = np.random.RandomState(7)
    header: dict[str, object] = {}
    content = b""
    for name, shape in sorted(shapes(classifier).items()):
        weight = 0.1 * chance.standard_normal(shape) + name.endswith("gamma")
        packed = weight.astype("<f4").tobytes()
        ends = [len(content), len(content) + len(packed)]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": ends}
        content += packed
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)


@pytest.fixture
async def python(make_settings: Callable[..., Settings]) -> Path:
    """The interpreter of the environment that the baseline runs in."""
    return (await Environments(make_settings()).ensure("torch")).python


async def test_bert_answers_as_the_published_network(
    python: Path, task_files: Path, tmp_path: Path
) -> None:
    """Expected values: BertForSequenceClassification of transformers 5.23 on the same file."""
    write_weights(tmp_path / "model.safetensors", classifier=True)
    folder = task_files / "mnli" / "baseline"
    command = [str(python), "-c", ANSWER, str(folder), str(tmp_path / "model.safetensors")]
    done = await anyio.run_process(command)
    expected = [
        [0.332919716835022, -1.5515241622924805, 0.14984697103500366],
        [0.48202261328697205, -1.8542630672454834, 0.20315760374069214],
    ]
    assert np.array(json.loads(done.stdout)) == pytest.approx(np.array(expected), abs=1e-5)


def write_pairs(path: Path, count: int) -> None:
    """Pairs whose label is the hypothesis's word."""
    rows = [
        {"pair_id": i, "premise": "Cats", "hypothesis": WORDS[7 + i % 3], "label": i % 3}
        for i in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.slow
@pytest.mark.parametrize(("weights", "said"), [(True, "Fine-tuning BERT"), (False, "from scratch")])
async def test_the_baseline_says_which_model_it_is_and_learns(
    weights: bool, said: str, python: Path, task_files: Path, tmp_path: Path
) -> None:
    (tmp_path / "baseline").symlink_to(task_files / "mnli" / "baseline")
    data = tmp_path / "data"
    data.mkdir()
    for name, count in (("train", 2400), ("validation", 30), ("test", 90)):
        write_pairs(data / f"{name}.jsonl", count)
    if weights:
        (data / "bert").mkdir()
        (data / "bert" / "vocab.txt").write_text("\n".join(WORDS))
        write_weights(data / "bert" / "model.safetensors", classifier=False)
    # one thread: the network is small, and threads of a busy machine wait for each other
    path = f"{python.parent}:{os.environ['PATH']}"
    variables = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"}
    done = await anyio.run_process(["bash", "baseline/run.sh"], cwd=tmp_path, env=variables)
    assert said in done.stdout.decode()
    with (tmp_path / "submission.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["pair_id"]) for row in rows] == list(range(90))
    assert all(int(row["label"]) == i % 3 for i, row in enumerate(rows))
