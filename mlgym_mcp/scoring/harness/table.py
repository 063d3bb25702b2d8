"""A predictions table: read, checked against its JSON Schema, every fault with row and column.

Above: judges of prediction tasks. Below: `csv` and `fastjsonschema`. The schema is an array of
row objects; a column's `type` says how its text becomes a value. It does not know what is right,
only what is well formed.
"""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import fastjsonschema

from .verdict import MAX_EVIDENCE, invalid

Row = dict[str, Any]
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}(\.0*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]{1,100}\.?[0-9]{0,100}|\.[0-9]{1,100})([eE][+-]?[0-9]{1,4})?")
_MAX_FIELD = 10_000


def read_table(path: Path, schema_path: Path) -> list[Row]:
    """The table's rows, in their order, with typed values.

    Raises:
        Verdict: It is not UTF-8, not csv, or breaks the schema.
    """
    schema = json.loads(schema_path.read_text(encoding="utf-8"))
    properties: Mapping[str, Any] = schema["items"]["properties"]
    lines = _lines(_text(path), schema.get("maxItems"))
    _, first = next(lines, (0, list[str]()))
    header = _header(first, list(properties), schema["items"]["required"])
    validate = fastjsonschema.compile(schema["items"])
    rows: list[Row] = []
    faults: list[str] = []
    for number, (line, cells) in enumerate(lines, start=1):
        where = f"row {number} (line {line})"
        if len(cells) != len(header):
            faults.append(f"{where} has {len(cells)} cells; expected {len(header)}")
        else:
            row, found = _row(where, dict(zip(header, cells, strict=True)), properties)
            faults += found or _broken(validate, row, where)
            rows.append(row)
        if len(faults) > MAX_EVIDENCE:
            break
    if faults:
        raise invalid(*faults)
    return rows


def match_ids(rows: Iterable[Row], column: str, expected: Iterable[Any]) -> dict[Any, Row]:
    """The rows by id, when every expected id is there exactly once and no other.

    Raises:
        Verdict: Ids are missing, unknown or given twice; the evidence names them.
    """
    wanted = dict.fromkeys(expected)
    found: dict[Any, Row] = {}
    faults: list[str] = []
    for number, row in enumerate(rows, start=1):
        key = row[column]
        if key not in wanted:
            faults.append(f"row {number}, column {column}: {key} is not an id of the test rows")
        elif key in found:
            faults.append(f"row {number}, column {column}: {key} was given before")
        found[key] = row
    missing = [key for key in wanted if key not in found]
    if missing:
        shown = ", ".join(map(str, missing[:5]))
        count = f"{len(missing)} of {len(wanted)} expected ids are missing"
        faults.append(f"column {column}: {count}, for example {shown}")
    if faults:
        raise invalid(*faults)
    return found


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        said = f"byte 0x{byte:02x} at position {error.start} is not UTF-8"
        raise invalid(f"{path.name}: {said}; save the table as UTF-8 text") from None


def _lines(text: str, most: int | None) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(_MAX_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    count = 0
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
                count += 1
                if most is not None and count > most + 1:
                    raise invalid(f"the table has more than {most} rows")
    except csv.Error as error:
        raise invalid(f"line {reader.line_num} is not csv: {error}") from None


def _header(cells: list[str], known: list[str], required: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    expected = f"expected {', '.join(known)}"
    if not names:
        raise invalid(f"the table is empty; {expected}")
    if len(names) > len(known):
        raise invalid(f"the table has {len(names)} columns; {expected}")
    faults = [
        f"column {name!r:.60} is not known; {expected}" for name in names if name not in known
    ]
    faults += [f"column {name} is missing; {expected}" for name in required if name not in names]
    faults += [f"column {name} is there twice" for name in known if names.count(name) > 1]
    if faults:
        raise invalid(*faults)
    return names


def _row(
    where: str, cells: Mapping[str, str], properties: Mapping[str, Any]
) -> tuple[Row, list[str]]:
    row: Row = {}
    faults: list[str] = []
    for name, cell in cells.items():
        try:
            row[name] = _CONVERT[properties[name]["type"]](cell.strip(" \t"))
        except ValueError as error:
            faults.append(f"{where}, column {name}: {cell!r:.60} is not {error}")
    return row, faults


def _integer(cell: str) -> int:
    if not _INTEGER.fullmatch(cell):
        raise ValueError("a whole number")
    return int(cell.partition(".")[0])


def _number(cell: str) -> float:
    value = float(cell) if _NUMBER.fullmatch(cell) else math.nan
    if not math.isfinite(value):
        raise ValueError("a finite number")
    return value


_CONVERT: Mapping[str, Callable[[str], Any]] = {
    "integer": _integer,
    "number": _number,
    "string": str,
}


def _broken(validate: Callable[[Row], Any], row: Row, where: str) -> list[str]:
    try:
        validate(row)
    except fastjsonschema.JsonSchemaValueException as error:
        column = error.path[-1] if len(error.path) > 1 else ""
        rule = error.message.removeprefix(f"{error.name} ").removeprefix("data ")
        return [f"{where}, column {column}: {error.value!r:.60} {rule}"]
    return []
