"""Reading `task.toml`: every fault at once, each with its key and what to write instead.

Above: the catalog reads one spec per task folder. Below: the shapes in `types.task`. It does not
know what a spec is used for, and looks at no other file of the folder.
"""

import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from mlgym_mcp.base.errors import SpecInvalid
from mlgym_mcp.types.task import TaskSpec

SPEC_NAME = "task.toml"
_MAX_SPEC_BYTES = 256 * 2**10


def read_spec(folder: Path) -> TaskSpec:
    """The checked spec of one task folder.

    Raises:
        SpecInvalid: The file cannot be read, is no TOML, or breaks the schema; the message names
            the file and, for every fault, the key and the reason.
    """
    path = folder / SPEC_NAME
    try:
        spec = TaskSpec.model_validate(_read_toml(path), strict=False)
    except ValidationError as error:
        raise invalid(path, [_fault(item["loc"], item) for item in error.errors()]) from error
    if spec.id != folder.name:
        reason = f"is '{spec.id}', but the folder is named '{folder.name}'; they must agree"
        raise invalid(path, [f"`id` {reason}"])
    return spec


def invalid(path: Path, faults: Iterable[str]) -> SpecInvalid:
    """The one shape of a message about a broken task folder."""
    lines = list(faults)
    return SpecInvalid(
        f"{path} is not a valid task spec: {'; '.join(lines)}.",
        fix="Correct it, then run `mlgym-mcp tasks check`.",
    )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_SPEC_BYTES:
            raise invalid(path, [f"it is longer than {_MAX_SPEC_BYTES} bytes"])
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise invalid(path, [f"it is not TOML in UTF-8: {error}"]) from error
    except OSError as error:
        raise invalid(path, [f"it cannot be read: {error.strerror}"]) from error


def _fault(loc: tuple[int | str, ...], item: Any) -> str:
    key = ".".join(str(part) for part in loc if part != "[key]") or "(the whole file)"
    if item["type"] == "extra_forbidden":
        return f"`{key}` is not a known key{_suggestion(loc)}"
    if item["type"] == "missing":
        return f"`{key}` is missing"
    found = "" if isinstance(item["input"], dict) else f", found {item['input']!r:.80}"
    return f"`{key}`: {item['msg'].removeprefix('Value error, ')}{found}"


def _suggestion(loc: tuple[int | str, ...]) -> str:
    known = _known_keys(loc[:-1])
    near = get_close_matches(str(loc[-1]), known, n=1)
    if near:
        return f"; did you mean `{near[0]}`?"
    return f"; known here: {', '.join(known)}" if known else ""


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] | None = TaskSpec
    for part in loc:
        if model is None or not isinstance(part, str):
            continue
        field = model.model_fields.get(part)
        # a key of a mapping (`variants.full`) is no field: the model stays the mapping's value
        model = _model_in(field.annotation) if field else model
    return list(model.model_fields) if model else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for m in map(_model_in, get_args(annotation)) if m), None)
