"""The generated JSON Schemas, and the tables beside them."""

import json

import fastjsonschema
import pytest

from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.catalog.schemas import SHAPES, schema_text


@pytest.mark.parametrize("name", SHAPES)
def test_the_schema_file_is_current(name: str) -> None:
    path = shipped("schemas") / f"{name}.schema.json"
    assert path.read_text(encoding="utf-8") == schema_text(name), (
        "run `python -m mlgym_mcp.catalog.schemas`"
    )


def test_every_schema_is_a_json_schema() -> None:
    paths = list(shipped("schemas").rglob("*.schema.json"))
    assert len(paths) > len(SHAPES)
    for path in paths:
        schema = json.loads(path.read_text(encoding="utf-8"))
        assert "json-schema.org" in schema["$schema"]
        fastjsonschema.compile(schema | {"$schema": "http://json-schema.org/draft-07/schema#"})
