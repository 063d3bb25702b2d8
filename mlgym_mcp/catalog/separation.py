"""Whether prepared data keeps apart what the agent sees and what only the judge sees.

Above: the rehearsal of a task. Below: the folders that a `dataset.py` filled. Contents are compared
by hash: whole files, members of zip containers (npz too), and columns of tables. It does not know
what a column means; it asks only whether an answer lies where the agent can read it.
"""

import csv
import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from mlgym_mcp.catalog.datasets import DatasetFolders
from mlgym_mcp.catalog.task import Task

SMALLEST_SECRET = 64
"""Bytes; shorter files are alike by chance."""

_MAX_TABLE_BYTES = 256 * 2**20
_MOST_ALIKE = 0.5
"""A column of the answer's own name that gives more of the hidden answers than this is a leak; one
of another name may agree by chance, unless it gives them all."""

Columns = Mapping[str, list[str]]


def separation_faults(task: Task, data: DatasetFolders) -> list[str]:
    """Each private thing that is found in the public folder, in a sentence."""
    return [*_links(data), *_same_files(data), *_answers(task, data)]


def card_faults(data: DatasetFolders) -> list[str]:
    """What a dataset's card lacks."""
    faults = [f"card.json has no `{key}`" for key in ("title", "licence") if not data.card.get(key)]
    rows: object = data.card.get("rows")
    if isinstance(rows, dict):
        known = {path.name for path in data.public.rglob("*")}
        names = [str(name) for name in cast("dict[str, Any]", rows)]
        absent = [name for name in names if Path(name).suffix and Path(name).name not in known]
        faults += [f"card.json counts rows of {name}, which is not public" for name in absent]
    return faults


def secrets_of(data: DatasetFolders) -> dict[str, tuple[str, int]]:
    """Name and size of each private file that is long enough to be told apart, by its sha256."""
    found = {path: path.stat().st_size for path in _files(data.private)}
    return {
        _hash(path): (path.relative_to(data.private).as_posix(), size)
        for path, size in found.items()
        if size >= SMALLEST_SECRET
    }


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _links(data: DatasetFolders) -> Iterator[str]:
    private = {(found.st_dev, found.st_ino) for found in map(Path.stat, _files(data.private))}
    for path in sorted(data.public.rglob("*")):
        if path.is_symlink():
            yield f"public/{path.relative_to(data.public)} is a link"
        elif (path.stat().st_dev, path.stat().st_ino) in private:
            yield f"public/{path.relative_to(data.public)} is a hard link to a private file"


def _same_files(data: DatasetFolders) -> Iterator[str]:
    secret = {digest: name for path in _files(data.private) for digest, name in _pieces(path)}
    for path in _files(data.public):
        for digest, name in _pieces(path):
            if found := secret.get(digest):
                yield f"public/{name} has the same content as private/{found}"


def _pieces(path: Path) -> Iterator[tuple[str, str]]:
    """Hash and name of the file, and of each member when it is a container."""
    if path.stat().st_size < SMALLEST_SECRET:
        return
    yield _hash(path), path.name
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as container:
            for member in container.infolist():
                if member.file_size >= 2 * SMALLEST_SECRET:
                    with container.open(member) as stream:
                        digest = hashlib.file_digest(cast("Any", stream), "sha256").hexdigest()
                    yield digest, f"{path.name}:{member.filename}"


def _answers(task: Task, data: DatasetFolders) -> Iterator[str]:
    """Answer columns of the hidden rows that a public table has too, whatever they are called."""
    if (schema := task.table_schema) is None:
        return
    key, *answers = json.loads(schema.read_text(encoding="utf-8"))["items"]["properties"]
    private = [(path, _table(path)) for path in _files(data.private)]
    hidden = [(path, table) for path, table in private if key in table]
    for public in _files(data.public):
        shown = _table(public)
        for path, table in hidden:
            yield from _shared(public, shown, path, table, (key, answers))


def _shared(
    public: Path, shown: Columns, path: Path, table: Columns, names: tuple[str, list[str]]
) -> Iterator[str]:
    key, answers = names
    for answer in answers:
        values = table.get(answer, [])
        if len(set(values)) < 2:
            continue
        truth = dict(zip(table[key], values, strict=True))
        for name, column in shown.items():
            if column == values:
                yield f"public/{public.name}: column {name} is private/{path.name}'s {answer}"
            elif key in shown and name != key:
                told = _told(truth, shown[key], column)
                if told == len(truth) or (name == answer and told > _MOST_ALIKE * len(truth)):
                    rows = f"{told} of {len(truth)} hidden rows"
                    yield f"public/{public.name}: column {name} tells the {answer} of {rows}"


def _told(truth: Mapping[str, str], keys: list[str], column: list[str]) -> int:
    """How many hidden answers the column gives, matched by key."""
    return sum(truth.get(key) == value for key, value in zip(keys, column, strict=True))


def _table(path: Path) -> Columns:
    """The columns of a csv or of JSON lines, gzipped or not; nothing for other files."""
    names = path.name.removesuffix(".gz")
    if path.stat().st_size > _MAX_TABLE_BYTES:
        return {}
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
        if names.endswith(".csv"):
            header, *rows = csv.reader(io.StringIO(text, newline=""))
            return {n: list(c) for n, c in zip(header, zip(*rows, strict=True), strict=False)}
        if names.endswith(".jsonl"):
            return _lines(text)
    except (OSError, ValueError, csv.Error):
        return {}
    return {}


def _lines(text: str) -> Columns:
    rows = [cast("dict[str, Any]", json.loads(line)) for line in text.splitlines() if line.strip()]
    return {name: [str(row.get(name, "")) for row in rows] for name in (rows[0] if rows else {})}
