"""JSON Schemas of a tool's arguments and results, made once when the server starts.

A result's schema has an object at its root, as every protocol version asks, and admits a failure:
some clients check the structured content of failed calls too.
"""

from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from mlgym_mcp.server.failure import Failure


def input_schema(arguments: type[BaseModel]) -> dict[str, Any]:
    """The schema of a tool's arguments."""
    schema = _untitled(arguments.model_json_schema())
    schema.pop("description", None)
    return schema


def output_schema(results: tuple[type[BaseModel], ...]) -> dict[str, Any]:
    """The schema of a tool's structured content: one of its results, or a failure."""
    models = (*results, Failure)
    references, definitions = models_json_schema(
        [(model, "serialization") for model in models], ref_template="#/$defs/{model}"
    )
    choices = [references[model, "serialization"] for model in models]
    return _untitled({"type": "object", "anyOf": choices, "$defs": definitions["$defs"]})


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without the titles pydantic makes of names, which tell a reader nothing."""
    return {key: _kept(key, value) for key, value in schema.items() if not _is_title(key, value)}


def _is_title(key: str, value: Any) -> bool:
    return key == "title" and isinstance(value, str)


def _kept(key: str, value: Any) -> Any:
    if key in ("properties", "$defs") and isinstance(value, dict):
        named = cast("dict[str, dict[str, Any]]", value)
        return {name: _untitled(schema) for name, schema in named.items()}
    if isinstance(value, dict):
        return _untitled(cast("dict[str, Any]", value))
    if isinstance(value, list):
        return [_kept("", item) for item in cast("list[Any]", value)]
    return value
