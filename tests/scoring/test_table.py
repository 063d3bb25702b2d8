"""The table reader on its own; tests/attacks/test_tables.py has it in the judge."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.scoring.harness.table import match_ids, read_table
from mlgym_mcp.scoring.harness.verdict import Verdict

SCHEMA = shipped("schemas") / "submissions" / "house-prices.schema.json"


def read(folder: Path, content: bytes) -> list[dict[str, object]]:
    path = folder / "submission.csv"
    path.write_bytes(content)
    return read_table(path, SCHEMA)


def test_rows_have_typed_values_in_their_order(tmp_path: Path) -> None:
    rows = read(tmp_path, b"SalePrice,Id\n1e3,2\n -.5 ,+1\n")
    assert rows == [{"SalePrice": 1000.0, "Id": 2}, {"SalePrice": -0.5, "Id": 1}]


def test_every_fault_is_named_up_to_a_bound(tmp_path: Path) -> None:
    lines = ["Id,SalePrice", *(f"x{number},nan" for number in range(100))]
    with pytest.raises(Verdict) as caught:
        read(tmp_path, "\n".join(lines).encode())
    assert caught.value.evidence[:2] == [
        "row 1 (line 2), column Id: 'x0' is not a whole number",
        "row 1 (line 2), column SalePrice: 'nan' is not a finite number",
    ]
    assert len(caught.value.evidence) == 21


def test_ids_are_matched_exactly_once() -> None:
    rows = [{"Id": 1}, {"Id": 1}, {"Id": 9}]
    with pytest.raises(Verdict) as caught:
        match_ids(rows, "Id", [1, 2, 3])
    assert caught.value.evidence == [
        "row 2, column Id: 1 was given before",
        "row 3, column Id: 9 is not an id of the test rows",
        "column Id: 2 of 3 expected ids are missing, for example 2, 3",
    ]
    assert match_ids([{"Id": 2}, {"Id": 1}], "Id", [1, 2]) == {1: {"Id": 1}, 2: {"Id": 2}}


def outcome(folder: Path, content: bytes) -> list[dict[str, object]] | Verdict:
    try:
        return read(folder, content)
    except Verdict as verdict:
        return verdict


@settings(deadline=None)
@given(content=st.binary(max_size=300))
def test_any_bytes_are_rows_or_a_verdict(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    for start in (b"", b"Id,SalePrice\n"):
        found = outcome(tmp_path_factory.getbasetemp(), start + content)
        if isinstance(found, Verdict):
            assert found.label == "invalid"
            assert all(line.isprintable() for line in found.evidence)
        else:
            assert all(set(row) == {"Id", "SalePrice"} for row in found)


@settings(deadline=None)
@given(text=st.text(max_size=60))
def test_any_cell_is_a_number_or_a_verdict(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    cell = text.replace('"', '""').encode("utf-8", "replace")
    found = outcome(tmp_path_factory.getbasetemp(), b'Id,SalePrice\n1,"' + cell + b'"\n')
    if isinstance(found, Verdict):
        assert "SalePrice" in found.evidence[0]
    else:
        assert isinstance(found[0]["SalePrice"], float)
