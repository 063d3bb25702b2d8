"""Prediction tables that try to break, confuse or win the grading."""

from collections.abc import Awaitable, Callable

import pytest

from mlgym_mcp.scoring import Scorer
from mlgym_mcp.types.grade import Grade

from .honest import honest_table

pytestmark = [pytest.mark.anyio, pytest.mark.data]
Predict = Callable[[bytes], Awaitable[Grade]]
Change = Callable[[list[bytes]], list[bytes]]


def cell(row: int, text: str) -> Change:
    """Another text instead of the price in one row."""
    return lambda lines: [
        line.partition(b",")[0] + b"," + text.encode() if number == row else line
        for number, line in enumerate(lines)
    ]


INVALID: dict[str, tuple[Change, str]] = {
    "has a price that is not a number": (
        cell(3, "nan"),
        "row 3 (line 4), column SalePrice: 'nan' is not a finite number",
    ),
    "has an infinite price": (cell(1, "inf"), "row 1 (line 2), column SalePrice: 'inf'"),
    "has a price that overflows": (cell(1, "1e999"), "'1e999' is not a finite number"),
    "has a price beyond the schema": (
        cell(2, "1e12"),
        "row 2 (line 3), column SalePrice: 1000000000000.0 must be smaller than or equal to",
    ),
    "has an empty price": (cell(1, ""), "column SalePrice: '' is not a finite number"),
    "has a price in words": (cell(1, "dear"), "'dear' is not a finite number"),
    "has a price in Arabic digits": (cell(1, "\u0661\u0662"), "is not a finite number"),
    "has a price with underscores": (cell(1, "180_000"), "is not a finite number"),
    "has a price in hexadecimal": (cell(1, "0x1p3"), "is not a finite number"),
    "has a formula for a price": (cell(1, "=SUM(A1:A9)"), "is not a finite number"),
    "has a price of a million digits": (cell(1, "9" * 10**6), "is not csv: field larger than"),
    "has a price of five hundred digits": (cell(1, "9" * 500), "is not a finite number"),
    "has an id that is no whole number": (
        lambda lines: [lines[0], b"1.5,1", *lines[2:]],
        "row 1 (line 2), column Id: '1.5' is not a whole number",
    ),
    "has an id of a billion digits or so": (
        lambda lines: [lines[0], b"9" * 5000 + b",1", *lines[2:]],
        "column Id",
    ),
    "gives an id twice": (
        lambda lines: [*lines, lines[1]],
        "was given before",
    ),
    "leaves an id out": (lambda lines: lines[:-1], "1 of 60 expected ids are missing"),
    "adds an unknown id": (lambda lines: [*lines, b"99999,1"], "99999 is not an id of the test"),
    "has no rows": (lambda lines: lines[:1], "60 of 60 expected ids are missing"),
    "is empty": (lambda _lines: [], "the table is empty; expected Id, SalePrice"),
    "has no header": (lambda lines: lines[1:], "expected Id, SalePrice"),
    "has a million columns": (
        lambda lines: [b",".join(b"c%d" % n for n in range(10**6)), *lines[1:]],
        "the table has 1000000 columns; expected Id, SalePrice",
    ),
    "has a million cells in one row": (
        lambda lines: [*lines, b"," * 10**6],
        "row 61 (line 62) has 1000001 cells; expected 2",
    ),
    "has the index as a column": (
        lambda lines: [b"," + lines[0], *(b"0," + line for line in lines[1:])],
        "the table has 3 columns",
    ),
    "has a column twice": (
        lambda lines: [b"Id,Id", *lines[1:]],
        "column SalePrice is missing; expected Id, SalePrice",
    ),
    "has a column of another name": (
        lambda lines: [b"Id,Price", *lines[1:]],
        "column 'Price' is not known; expected Id, SalePrice",
    ),
    "has too many rows": (lambda lines: lines + [b"1,1"] * 10_000, "more than 5000 rows"),
    "is UTF-16": (
        lambda lines: [b"\n".join(lines).decode().encode("utf-16")],
        "byte 0xff at position 0 is not UTF-8",
    ),
    "is UTF-16 without a mark": (
        lambda lines: [b"\n".join(lines).decode().encode("utf-16-le")],
        "expected Id, SalePrice",
    ),
    "is a picture": (lambda _lines: [b"\x89PNG\r\n\x1a\n\0\0\0"], "is not UTF-8"),
    "is made of zeros": (lambda _lines: [b"\0" * 10**6], "is not csv"),
    "never closes a quotation": (lambda lines: [*lines, b'"1,1'], "is not csv"),
    "has a line break in a quoted cell": (
        lambda lines: [lines[0], b'"1\n1",1', *lines[2:]],
        "column Id: '1\\n1' is not a whole number",
    ),
    "hides a script in its header": (
        lambda lines: [b"Id,<script>alert(1)</script>\x1b[2J", *lines[1:]],
        "is not known",
    ),
}

FINE: dict[str, Change] = {
    "starts with a byte-order mark": lambda lines: [b"\xef\xbb\xbf" + lines[0], *lines[1:]],
    "has Windows line ends": lambda lines: [line + b"\r" for line in lines],
    "is in another order": lambda lines: [lines[0], *reversed(lines[1:])],
    "has its columns in another order": lambda lines: [
        b",".join(reversed(line.split(b","))) for line in lines if line
    ],
    "has blank lines": lambda lines: [*lines, b"", b""],
    "writes ids as floats": lambda lines: [
        lines[0],
        *(line.replace(b",", b".0,") for line in lines[1:]),
    ],
    "is quoted": lambda lines: [
        b",".join(b'"' + part + b'"' for part in line.split(b",")) for line in lines
    ],
}


async def changed(scorer: Scorer, change: Change) -> bytes:
    lines = (await honest_table(scorer)).splitlines()
    return b"\n".join(change(lines))


@pytest.mark.parametrize("name", INVALID)
async def test_a_table_is_invalid_that(name: str, scorer: Scorer, predict: Predict) -> None:
    change, said = INVALID[name]
    grade = await predict(await changed(scorer, change))
    assert (grade.status, grade.integrity, grade.score) == ("graded", "invalid", None)
    assert any(said in line for line in grade.evidence), grade.evidence
    assert len(grade.evidence) <= 21
    assert all(line.isprintable() for line in grade.evidence)


@pytest.mark.parametrize("name", FINE)
async def test_a_table_is_fine_that(name: str, scorer: Scorer, predict: Predict) -> None:
    grade = await predict(await changed(scorer, FINE[name]))
    assert (grade.integrity, grade.evidence) == ("clean", ())
