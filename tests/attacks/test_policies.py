"""Policies and checkpoints that try to win, hang or break the grading in which they act.

They act in the shipped mountain car, cut to a few steps. Its observations begin with a random
position in every episode, which is what a policy would like to know in advance.
"""

import io
import json
import pickle
import shutil
import struct
import textwrap
import zipfile
from functools import cache
from pathlib import Path

import anyio
import numpy as np
import pytest

from mlgym_mcp.base.errors import SubmissionRejected
from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.scoring import Scorer, score_path
from mlgym_mcp.types.grade import Grade

from .honest import SECONDS, SEED

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
CAR = "small-car"
MEMORY = 2**30
BUILD_SECONDS = 900
"""For the first grade, which builds what is not there."""

HONEST = """
import numpy as np
class Policy:
    def act(self, observations, key):
        return np.zeros((len(observations), 1), np.float32)
def load(weights):
    return Policy()
"""

NO_ACTION = {
    "has another shape": ("return np.zeros(n)", "with shape (40,); expected an array of float32"),
    "has a row too many": ("return np.zeros((n + 1, 1))", "shape (41, 1); expected"),
    "has no rows": ("return np.zeros((0, 1))", "shape (0, 1); expected"),
    "is not a number": ("return np.full((n, 1), np.nan)", "infinite or not numbers"),
    "is infinite": ("return np.full((n, 1), -np.inf)", "infinite or not numbers"),
    "overflows its type": ("return np.full((n, 1), 1e300)", "infinite or not numbers"),
    "would overflow the reward": ("return np.full((n, 1), 1e30)", "answered numbers over 1000"),
    "is an integer": ("return np.zeros((n, 1), int)", "an array of int32"),
    "is complex": ("return np.zeros((n, 1), complex)", "arrays of complex128 cannot be sent"),
    "is an object": ("return np.full((n, 1), None)", "arrays of object cannot be sent"),
    "is text": ("return [['1']] * n", "cannot be sent"),
    "is nothing": ("return None", "cannot be sent"),
    "is larger than a frame": ("return np.zeros((2**25, 1))", "bytes of arrays, over"),
    "comes late": ("import time; time.sleep(100)", "timed out: no answer within 5 s"),
    "never comes": ("import os; os._exit(0)", "ended without an answer"),
    "raises": ("raise SystemExit(0)", "raised SystemExit"),
}

NO_FRAME = {
    "declares a negative size": (["array", "float32", [-40, 1]], 160),
    "declares more than an address can hold": (["array", "float32", [2**40, 2**40]], 160),
    "declares less than it sends": (["array", "float32", [20, 1]], 160),
    "declares more than it sends": (["array", "float32", [80, 1]], 160),
    "declares objects": (["array", "object", [40, 1]], 320),
    "declares a pickle": (["pickle", "float32", [40, 1]], 160),
}

FRAME = """
import gc, json, os, socket, struct
head = json.dumps([1 + calls, "value", {answer}]).encode()
body = struct.pack("!I", len(head)) + head + bytes({size})
for thing in gc.get_objects():
    if isinstance(thing, socket.socket):
        thing.sendall(struct.pack("!I", 2**31 + len(body)) + body)
import time; time.sleep(100)
"""

NO_GAIN = {
    "looks for the environments in its process": """
        import gc, sys
        assert "gymnax" not in sys.modules and "task_judge" not in sys.modules
        for thing in gc.get_objects():
            assert type(thing).__name__ not in ("EnvState", "Arena", "Listener", "Player")
        """,
    "looks for the judge's files, processes and seed": """
        import os
        for place in ("/private", "/judge", "/report"):
            assert not os.path.exists(place), place
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                told = open(f"/proc/{pid}/cmdline").read() + open(f"/proc/{pid}/environ").read()
            except OSError:
                continue
            told = told.replace("PYTHONHASHSEED=0", "")
            assert "harness.judging" not in told and "seed" not in told.lower(), told
        """,
    "writes into the observations": "observations[...] = 0.45",
    "finds the same episodes with another checkpoint": """
        if first:
            starts = set(observations[:, 0].tolist())
            assert not starts & seen, "met again"
            seen.update(starts)
        """,
}

DRAWS_FROM_ITS_KEY = """
if first:
    root = jax.random.wrap_key_data(np.array(key))
    for which in (root, *jax.random.split(root)):
        keys = jax.random.split(which, len(observations))
        drawn = jax.vmap(lambda k: jax.random.uniform(k, (), minval=-0.6, maxval=-0.4))(keys)
        assert not set(np.asarray(drawn).tolist()) & set(observations[:, 0].tolist())
"""


def policy(body: str) -> str:
    """The code of a policy that does this in each call, and then nothing."""
    lines = textwrap.indent(textwrap.dedent(body).strip(), "        ")
    return f"""
import numpy as np
calls, seen = 0, set()
class Policy:
    fresh = True
    def act(self, observations, key):
        global calls
        calls += 1
        observations = np.array(observations)
        first, self.fresh, n = self.fresh, False, len(observations)
{lines}
        return np.zeros((n, 1), np.float32)
def load(weights):
    return Policy()
"""


def npz(number: float) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, w=np.array([number]))
    return stream.getvalue()


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("import os; os._exit(7)",)


def pickled_npz() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, w=np.array([Bomb()], dtype=object), allow_pickle=True)
    return stream.getvalue()


def swollen_npz() -> bytes:
    """An array of a terabyte in a file of a few hundred bytes."""
    head = (
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (137438953472,), }".ljust(117) + b"\n"
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("w.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head)
    return stream.getvalue()


@cache
def inflated_npz() -> bytes:
    """An array of zeros larger than the memory, packed into a two-hundredth of that."""
    pieces = MEMORY // 2**24 + 16
    head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({pieces * 2**24},), }}"
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("w.npy", "w", force_zip64=True) as member,
    ):
        member.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118))
        member.write(head.encode().ljust(117) + b"\n")
        for _ in range(pieces):
            member.write(bytes(2**24))
    return stream.getvalue()


def safetensors(header: dict[str, object], data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


CHECKPOINTS = {
    "is a pickle that would end the player": ("0.npz", pickle.dumps(Bomb()), "allow_pickle="),
    "hides a pickle among arrays": ("0.npz", pickled_npz(), "allow_pickle=False"),
    "claims a terabyte of arrays": ("0.npz", swollen_npz(), "call 1 of begin"),
    "is a pickle by another name": ("0.safetensors", pickle.dumps(Bomb()), "SafetensorError"),
    "has a header of 10 GB": (
        "0.safetensors",
        struct.pack("<Q", 10 * 2**30) + b"{" * 100,
        "SafetensorError",
    ),
    "has tensors beyond its end": (
        "0.safetensors",
        safetensors({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}),
        "SafetensorError",
    ),
    "has tensors of another size": (
        "0.safetensors",
        safetensors({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 4]}}, b"\0" * 4),
        "SafetensorError",
    ),
    "is empty": ("0.safetensors", b"", "SafetensorError"),
    "is a second file of one number": ("0.safetensors", npz(9), "found 2"),
    "is another's copy": ("1.npz", npz(0), "1.npz and 0.npz are the same file"),
}


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped task with three steps and limits that tests can wait for."""
    folder = tmp_path_factory.mktemp("tasks") / CAR
    shutil.copytree(shipped("tasks") / "mountain-car", folder)
    spec = folder / "task.toml"
    text = spec.read_text().replace('"mountain-car"', f'"{CAR}"')
    text = text.replace("call_seconds = 30.0", "call_seconds = 5.0", 1)
    text = text.replace("memory_bytes = 8589934592", f"memory_bytes = {MEMORY}", 1)
    spec.write_text(text)
    script = folder / "dataset.py"
    script.write_text(script.read_text().replace("STEPS = 999", "STEPS = 3"))
    return folder.parent


@pytest.fixture(scope="module", autouse=True)
async def built(scorer: Scorer, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The environment is there, however long building it takes."""
    with anyio.fail_after(BUILD_SECONDS):
        await played(scorer, tmp_path_factory.mktemp("honest"), HONEST)


async def attacked(
    scorer: Scorer, folder: Path, code: str, checkpoint: tuple[str, bytes] | None = None
) -> Grade:
    with anyio.fail_after(SECONDS):
        return await played(scorer, folder, code, checkpoint)


async def played(
    scorer: Scorer, folder: Path, code: str, checkpoint: tuple[str, bytes] | None = None
) -> Grade:
    submission = folder / "submission"
    shutil.rmtree(submission, ignore_errors=True)
    (submission / "checkpoints").mkdir(parents=True)
    (submission / "policy.py").write_text(code)
    for number in range(5):
        (submission / "checkpoints" / f"{number}.npz").write_bytes(npz(number))
    if checkpoint:
        name, content = checkpoint
        if content[:1] != npz(9)[:1] or name.endswith(".npz"):
            (submission / "checkpoints" / name).with_suffix(".npz").unlink()
        (submission / "checkpoints" / name).write_bytes(content)
    return await score_path(scorer, CAR, "mini", submission, "validate", SEED)


async def test_doing_nothing_scores_nothing(scorer: Scorer, tmp_path: Path) -> None:
    grade = await attacked(scorer, tmp_path, HONEST)
    assert (grade.status, grade.integrity, grade.score) == ("graded", "clean", 0)
    assert grade.details["episodes"] == 5 * 5 * 8


@pytest.mark.parametrize("name", NO_ACTION)
async def test_an_action_is_invalid_that(name: str, scorer: Scorer, tmp_path: Path) -> None:
    body, said = NO_ACTION[name]
    grade = await attacked(scorer, tmp_path, policy(body))
    assert (grade.status, grade.integrity, grade.score) == ("graded", "invalid", None)
    assert grade.evidence[0].startswith("call 2 of act")
    assert said in grade.evidence[0]


@pytest.mark.parametrize("name", NO_FRAME)
async def test_a_frame_is_tampered_with_that(name: str, scorer: Scorer, tmp_path: Path) -> None:
    answer, size = NO_FRAME[name]
    body = FRAME.format(answer=json.dumps(answer), size=size)
    grade = await attacked(scorer, tmp_path, policy(body))
    assert (grade.status, grade.integrity, grade.score) == ("graded", "tampered", None)
    assert "call 2 of act answered what is no array" in grade.evidence[0]


@pytest.mark.parametrize("name", CHECKPOINTS)
async def test_a_checkpoint_is_invalid_that(name: str, scorer: Scorer, tmp_path: Path) -> None:
    file, content, said = CHECKPOINTS[name]
    grade = await attacked(scorer, tmp_path, HONEST, (file, content))
    assert (grade.status, grade.integrity, grade.score) == ("graded", "invalid", None)
    assert said in grade.evidence[0]


async def test_a_checkpoint_that_unpacks_to_more_than_the_memory_is_invalid(
    scorer: Scorer, tmp_path: Path
) -> None:
    grade = await attacked(scorer, tmp_path, HONEST, ("0.npz", inflated_npz()))
    assert (grade.status, grade.integrity, grade.score) == ("graded", "invalid", None)
    assert grade.evidence[0].startswith("call 1 of begin")


@pytest.mark.parametrize("name", NO_GAIN)
async def test_nothing_is_gained_by_a_policy_that(
    name: str, scorer: Scorer, tmp_path: Path
) -> None:
    grade = await attacked(scorer, tmp_path, policy(NO_GAIN[name]))
    assert grade.evidence == ()
    assert (grade.integrity, grade.score) == ("clean", 0)


async def test_nothing_is_gained_by_drawing_the_episodes_from_the_policys_own_key(
    scorer: Scorer, tmp_path: Path
) -> None:
    # imported when it is loaded, which may take as long as ten calls
    grade = await attacked(scorer, tmp_path, "import jax\n" + policy(DRAWS_FROM_ITS_KEY))
    assert grade.evidence == ()
    assert (grade.integrity, grade.score) == ("clean", 0)


async def test_checkpoints_that_point_elsewhere_are_not_taken(
    scorer: Scorer, tmp_path: Path
) -> None:
    submission = tmp_path / "submission"
    (submission / "checkpoints").mkdir(parents=True)
    (submission / "policy.py").write_text(HONEST)
    (submission / "checkpoints" / "0.npz").symlink_to("/private/rules.json")
    with pytest.raises(SubmissionRejected):
        await score_path(scorer, CAR, "mini", submission, "validate")
