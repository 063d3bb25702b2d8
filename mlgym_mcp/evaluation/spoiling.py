"""Broken submissions made from a good one, to see that a judge refuses them and never fails.

Above: the rehearsal of a task. Below: copies of a submission's file or folder. Everything is the
same each time.
"""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

_SEED = 1
_GARBAGE_BYTES = 4096
_OTHER = b"This is not the file that was asked for.\n"


def spoiled(good: Path, name: str, into: Path) -> Iterator[tuple[str, Path]]:
    """What is broken about each copy, and the workspace that holds it under `name`.

    `good` is a file or a folder. Empty, garbage, another file, cut in half, not there at all.
    """
    makers = _folders(good) if good.is_dir() else _contents(good)
    for number, (what, files) in enumerate([("missing", None), *makers]):
        workspace = into / f"spoiled-{number}"
        workspace.mkdir(parents=True)
        if files is not None:
            _lay_out(workspace / name, files, good)
        yield what, workspace


Files = dict[str, bytes]
"""What replaces the content of each file; a folder keeps its other files."""

_WHOLE = ""
_NO_OTHERS = "\0"


def _garbage(salt: str) -> bytes:
    return hashlib.shake_256(f"{_SEED} {salt}".encode()).digest(_GARBAGE_BYTES)


def _contents(good: Path) -> Iterator[tuple[str, Files]]:
    data = good.read_bytes()
    yield "empty", {_WHOLE: b""}
    yield "garbage", {_WHOLE: _garbage(good.name)}
    yield "another file", {_WHOLE: _OTHER}
    yield "truncated", {_WHOLE: data[: len(data) // 2]}


def _folders(good: Path) -> Iterator[tuple[str, Files]]:
    sizes = {p.relative_to(good).as_posix(): p for p in sorted(good.rglob("*")) if p.is_file()}
    weights = {n: p for n, p in sizes.items() if p.suffix != ".py"} or sizes
    largest = max(weights, key=lambda name: weights[name].stat().st_size)
    data = weights[largest].read_bytes()
    yield "an empty folder", {_NO_OTHERS: b""}
    yield "empty files", dict.fromkeys(sizes, b"")
    yield "garbage", {name: _garbage(name) for name in sizes}
    yield "garbage weights", {name: _garbage(name) for name in weights}
    yield "another file", {_NO_OTHERS: b"", "README.txt": _OTHER}
    yield f"truncated ({largest})", {largest: data[: len(data) // 2]}


def _lay_out(target: Path, files: Files, good: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if _WHOLE in files:
        target.write_bytes(files[_WHOLE])
        return
    if _NO_OTHERS in files:
        target.mkdir()
    else:
        shutil.copytree(good, target)
    for name, data in files.items():
        if name != _NO_OTHERS:
            (target / name).write_bytes(data)
