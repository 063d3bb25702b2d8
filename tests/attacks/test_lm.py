"""Language models that try to see what they are to predict, or to break the grading.

The judge, the loader and the checks are the shipped task's; the text is a toy's, so that it is known
what an honest model reaches: each token is followed by one of four, all as likely.
"""

import json
import math
import pickle
import re
import shutil
import struct
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.scoring import Scorer, score_path
from mlgym_mcp.types.grade import Grade

pytestmark = pytest.mark.anyio
Judge = Callable[..., Awaitable[Grade]]
SECONDS = 180
HONEST = math.log(4)

DATASET = """
import json, sys
from pathlib import Path
import numpy as np
out = Path(sys.argv[2])
chance = np.random.default_rng(3)
def shard(name, count):
    tokens = [0]
    for step in chance.integers(0, 4, count - 1):
        tokens.append((5 * tokens[-1] + int(step) + 1) % 64)
    path = out / name
    path.parent.mkdir(exist_ok=True)
    header = np.zeros(256, "<i4")
    header[:3] = 20240520, 1, count
    path.write_bytes(header.tobytes() + np.array(tokens, "<u2").tobytes())
shard("public/train.bin", 2000)
shard("private/hidden.bin", 17 * 200)
shard("private/trial.bin", 400)
sizes = {"vocabulary": 64, "end": 0, "length": 16, "positions": 4}
(out / "private" / "sizes.json").write_text(json.dumps(sizes))
(out / "card.json").write_text(json.dumps({"title": "toy", "licence": "CC0"}))
"""

MODEL = """
import numpy as np
def honest(tokens):
    scores = np.full((len(tokens), 64), -1e4, np.float32)
    for step in range(4):
        scores[np.arange(len(tokens)), (5 * tokens[:, -1] + step + 1) % 64] = 0
    return scores
"""
LOAD = """
class Model:
    def logits(self, tokens):
        return answer(tokens)
def load(folder):
    return Model()
"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped task with toy text and limits that tests can wait for."""
    folder = tmp_path_factory.mktemp("tasks") / "toy-lm"
    shutil.copytree(shipped("tasks") / "fineweb-lm", folder)
    (folder / "dataset.py").write_text(DATASET)
    spec = folder / "task.toml"
    text = spec.read_text()
    start, end = text.index("[[dataset.sources]]"), text.index("[variants.full]")
    text = text[:start] + text[end:]
    text = text.replace('"fineweb-lm"', '"toy-lm"').replace(
        'environment = "torch"', 'environment = "base"'
    )
    text = text.replace("call_seconds = 60.0", "call_seconds = 1.0")
    text = text.replace("memory_bytes = 17179869184", "memory_bytes = 536870912")
    spec.write_text(text)
    return folder.parent


@pytest.fixture
def judge(scorer: Scorer, tmp_path: Path) -> Judge:
    """Grade a model of which `answer` is given, with further files."""

    async def grade(code: str, **files: bytes) -> Grade:
        folder = tmp_path / "work" / "model"
        folder.mkdir(parents=True)
        (folder / "model.py").write_text(MODEL + textwrap.dedent(code) + LOAD)
        for name, data in files.items():
            (folder / name.replace("__", ".")).write_bytes(data)
        with anyio.fail_after(SECONDS):
            found = await score_path(scorer, "toy-lm", "mini", folder.parent, "submit", 5)
        shutil.rmtree(folder)
        return found

    return grade


async def test_an_honest_model_reaches_what_the_text_allows(judge: Judge) -> None:
    grade = await judge("answer = honest")
    assert (grade.integrity, grade.evidence) == ("clean", ())
    assert grade.score == pytest.approx(HONEST, abs=1e-5)
    assert grade.details == {"windows": 200, "positions": 800}


GAINS_NOTHING = {
    "answers as if it had been shown the token after": """
        def answer(tokens):
            scores = honest(tokens)
            scores[np.arange(len(tokens)), tokens[:, -1]] = 20
            return scores
        """,
    "adds to its scores what is lost when they are normalised": """
        def answer(tokens):
            return honest(tokens) + np.float32(1000)
        """,
    "claims certainty of everything at once": """
        def answer(tokens):
            return np.full((len(tokens), 64), 3e38, np.float32)
        """,
    "is certain of one of four": """
        def answer(tokens):
            scores = honest(tokens)
            scores[np.arange(len(tokens)), (5 * tokens[:, -1] + 1) % 64] = 30
            return scores
        """,
    "remembers all rows, and what it said of each": """
        seen, said = {}, {}
        def answer(tokens):
            scores = honest(tokens)
            for i, row in enumerate(tokens.tolist()):
                key = tuple(row)
                for end in range(1, len(row)):
                    seen[key[:end]] = row[end]
                if key in said:
                    scores[i] = said[key]
                elif key in seen:
                    scores[i] = -1e4
                    scores[i, seen[key]] = 0
                said[key] = scores[i].copy()
            return scores
        """,
    "looks for the text where it runs": """
        import os
        found = [
            name
            for root in ("/private", "/judge", "/public", "/submission", "/workspace", "/tmp", "/home")
            for _, _, names in os.walk(root)
            for name in names
            if name in ("hidden.bin", "trial.bin", "judge.py")
        ]
        def answer(tokens):
            if found:
                raise RuntimeError("found it")
            return honest(tokens)
        """,
}


@pytest.mark.parametrize("what", GAINS_NOTHING)
async def test_nothing_is_gained_by_a_model_that(judge: Judge, what: str) -> None:
    grade = await judge(GAINS_NOTHING[what])
    assert grade.integrity == "clean", grade.evidence
    assert grade.score is not None
    assert grade.score >= HONEST - 0.02


INVALID = {
    "answers better once it has seen more": (
        """
        seen = {}
        def answer(tokens):
            scores = honest(tokens)
            for i, row in enumerate(tokens.tolist()):
                for end in range(1, len(row)):
                    seen[tuple(row[:end])] = row[end]
                if tuple(row) in seen:
                    scores[i] = -1e4
                    scores[i, seen[tuple(row)]] = 0
            return scores
        """,
        "it must not depend on other calls or rows",
    ),
    "answers by chance": (
        """
        def answer(tokens):
            return np.random.default_rng().normal(0, 3, (len(tokens), 64))
        """,
        "it must not depend on other calls or rows",
    ),
    "mixes the rows of a batch": (
        """
        def answer(tokens):
            return honest(np.roll(tokens, 1, 0)) + honest(tokens)
        """,
        "it must not depend on other calls or rows",
    ),
    "answers NaN": (
        "def answer(tokens): return np.full((len(tokens), 64), np.nan)",
        "infinite or not numbers",
    ),
    "answers infinity": (
        "def answer(tokens): return honest(tokens) * np.float32(1e38)",
        "infinite or not numbers",
    ),
    "answers for another vocabulary": (
        "def answer(tokens): return honest(tokens)[:, :63]",
        "shape (2, 63); expected an array of float32 with shape (2, 64)",
    ),
    "answers every position": (
        "def answer(tokens): return np.zeros((*tokens.shape, 64))",
        "shape (2, 16, 64); expected an array of float32 with shape (2, 64)",
    ),
    "answers words": ("def answer(tokens): return 'the'", "raised ValueError"),
    "answers nothing": ("def answer(tokens): return None", "shape ()"),
    "sleeps": (
        "import time\ndef answer(tokens): time.sleep(1000)",
        "timed out: no answer within 1 s",
    ),
    "sleeps while loading": ("import time\ntime.sleep(1000)", "loading the submission timed out"),
    "leaves": ("import os\ndef answer(tokens): os._exit(0)", "ended without an answer"),
    "wants all memory": (
        "def answer(tokens): return np.ones(10**10)",
        "call 1 of logits",
    ),
}


@pytest.mark.parametrize("what", INVALID)
async def test_no_score_is_given_to_a_model_that(judge: Judge, what: str) -> None:
    code, said = INVALID[what]
    grade = await judge(code)
    assert (grade.integrity, grade.score) == ("invalid", None)
    assert said in " ".join(grade.evidence)


CARRIERS = {
    "in its message": "raise ValueError(str(tokens.tolist()))",
    "in the name of its error": "raise type('x' + '_'.join(map(str, tokens[0].tolist())), (Exception,), {})",
    "in a shape": "return np.zeros((int(tokens[0, 0]) + 7, 64, 7))",
    "in a forged answer": (
        "import gc, socket; frame = b'[3,\"' + str(tokens[0].tolist()).encode() + b'\",1]'; "
        "[s.sendall(len(frame).to_bytes(4, 'big') + frame) for s in gc.get_objects() "
        "if isinstance(s, socket.socket)]; return honest(tokens)"
    ),
}


@pytest.mark.parametrize("how", CARRIERS)
async def test_hidden_text_is_not_carried_out_to_the_agent(judge: Judge, how: str) -> None:
    code = f"""
        calls = []
        def answer(tokens):
            calls.append(1)
            if len(calls) > 2:
                {CARRIERS[how]}
            return honest(tokens)
        """
    grade = await judge(code)
    assert grade.integrity in ("invalid", "tampered")
    assert grade.score is None
    (said,) = grade.evidence
    ours = r"call 3 of|float32 with shape \(64, 64\)|\(line \d\d of model/model.py\)"
    assert not [c for c in re.sub(ours, "", said) if c.isdigit()], said


def tensors(length: int, header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", length) + header + data


def header(**tensor: object) -> bytes:
    return json.dumps(
        {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | tensor}
    ).encode()


PLACED = header()
FILES = {
    "pickle__pt": (pickle.dumps({"w": 1}), "pickle.pt: expected one of .py"),
    "model__bin": (b"\x80\x04.", "weights are safetensors"),
    "a__safetensors": (
        pickle.dumps({"w": 1}),
        "a.safetensors is not safetensors: its header claims",
    ),
    "b__safetensors": (tensors(10 * 2**30, b"{}"), f"claims {10 * 2**30} bytes, of 10"),
    "c__safetensors": (tensors(2**63, b"{}"), "its header claims"),
    "d__safetensors": (b"\1\2", "too few for a header"),
    "e__safetensors": (tensors(4, b"{{{{"), "its header is not JSON"),
    "f__safetensors": (tensors(2, b"[]"), "its header is no object"),
    "g__safetensors": (tensors(len(PLACED), PLACED, b"1234"), "does not lie where its shape says"),
    "h__safetensors": (tensors(len(PLACED), PLACED, b"12345678+"), "bytes belong to no tensor"),
    "i__safetensors": (
        tensors(len(big := header(shape=[10**18])), big, b"12345678"),
        "does not lie where its shape says",
    ),
    "j__safetensors": (
        tensors(len(odd := header(dtype="OBJECT")), odd, b"12345678"),
        "does not describe tensors",
    ),
    "k__safetensors": (
        tensors(len(text := header(data_offsets="08")), text, b"12345678"),
        "k.safetensors is not safetensors",
    ),
}


@pytest.mark.parametrize("name", FILES)
async def test_weights_in_another_form_are_refused_before_anything_runs(
    judge: Judge, name: str
) -> None:
    data, said = FILES[name]
    grade = await judge("answer = honest", **{name: data})
    assert (grade.integrity, grade.score) == ("invalid", None)
    assert said in " ".join(grade.evidence)


async def test_weights_that_are_safetensors_are_taken(judge: Judge) -> None:
    data = tensors(len(PLACED), PLACED, b"12345678")
    grade = await judge("answer = honest", weights__safetensors=data)
    assert grade.integrity == "clean"
