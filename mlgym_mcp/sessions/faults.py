"""Errors as plain values, so that a call that is repeated fails as it did the first time."""

from collections.abc import Iterator, Mapping
from typing import Any

from mlgym_mcp.base.errors import MlgymError


def fault_of(error: MlgymError) -> dict[str, Any]:
    """What is recorded of an error."""
    return {"code": error.code, "message": error.message, "fix": error.fix}


def revived(fault: Mapping[str, Any]) -> MlgymError:
    """The error that was recorded."""
    code = fault.get("code")
    kind = next((kind for kind in _kinds(MlgymError) if kind.code == code), MlgymError)
    return kind(str(fault.get("message", "")), fix=str(fault.get("fix", "")))


def _kinds(kind: type[MlgymError]) -> Iterator[type[MlgymError]]:
    for below in kind.__subclasses__():
        yield below
        yield from _kinds(below)
