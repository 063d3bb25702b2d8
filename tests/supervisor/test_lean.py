"""The supervisor starts in every sandbox anew, so what it imports is looked at here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mlgym_mcp.base.shipped import package_folder
from mlgym_mcp.supervisor import lean

_HEAVY = [
    "ctypes",
    "re",
    "enum",
    "json",
    "collections",
    "contextlib",
    "functools",
    "signal",
    "socket",
    "typing",
    "dataclasses",
]
_VALUES: list[object] = [
    {"id": 1, "op": "start", "wait": None, "ok": True, "seconds": 0.1 + 0.2},
    {"text": 'é "\\\n\u2028\udc80', "more": [1, [2, {"a": {}}], []]},
    ("a", "file", 10**30),
    "",
]


def _python(program: str) -> subprocess.CompletedProcess[str]:
    root = package_folder().parent
    start = f"import sys; sys.path.insert(0, {str(root)!r})\n"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", start + program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path("/"),
    )


def test_the_supervisor_loads_nothing_that_would_double_its_start() -> None:
    done = _python(f"""
import mlgym_mcp.supervisor.stdio
print(sorted(set({_HEAVY!r}) & set(sys.modules)))
""")
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("value", _VALUES)
def test_its_json_is_that_of_the_library(value: object) -> None:
    text = lean.dumps(value)
    assert text == json.dumps(value, separators=(",", ":"))
    assert lean.loads(text) == json.loads(text)


@pytest.mark.parametrize(
    "text", ["", " ", "{", '"a', "[1,]", "1 2", '{"a":NaN}', "-Infinity", "[" * 100_000]
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises((ValueError, RecursionError)):
        lean.loads(text)


def test_numbers_that_json_has_not_are_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        lean.dumps({"seconds": float("nan")})


def test_where_nothing_else_is_loaded_it_refuses_what_is_no_json_too() -> None:
    done = _python("""
from mlgym_mcp.supervisor.lean import loads
for text in ('{"a', '["\\\\u12"]', '{"a":NaN}'):
    try:
        loads(text)
    except ValueError:
        print("refused")
""")
    assert (done.stdout, done.stderr) == ("refused\n" * 3, "")


def test_another_python_without_these_parts_has_the_same() -> None:
    done = _python(f"""
sys.modules["_json"] = sys.modules["_ctypes"] = None
import types
sys.modules["ctypes"] = types.SimpleNamespace(
    CDLL=lambda name: types.SimpleNamespace(prctl=lambda *given: given)
)
from mlgym_mcp.supervisor.lean import dumps, loads, prctl
assert prctl(3, 0) == (3, 0)
for value in {_VALUES!r}:
    print(dumps(value) if loads(dumps(value)) is not None else "lost")
""")
    assert done.stderr == ""
    written = [json.dumps(value, separators=(",", ":")) for value in _VALUES]
    assert done.stdout.splitlines() == written
