"""How a failure looks at the MCP edge: a code from the closed list, what happened, what to do.

Above: calls, resources and prompts. Below: the tree of errors. An error that is none of ours is a
bug: it is logged here with its traceback and shown without any.
"""

from difflib import get_close_matches
from typing import Any

import structlog
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS
from pydantic import BaseModel, ValidationError

from mlgym_mcp.base.errors import ErrorCode, MlgymError, RequestError, ServerError
from mlgym_mcp.types.frozen import Frozen

_SHOWN_CHARACTERS = 80
_log = structlog.get_logger(__name__)


class Failure(Frozen):
    """The structured content of a failed call."""

    code: ErrorCode
    message: str
    """What happened, and where."""

    fix: str
    """What to do next."""


def failure_of(error: MlgymError) -> Failure:
    """The shape of an error of ours."""
    return Failure(code=error.code, message=error.message, fix=error.fix)


def failure_text(failure: Failure) -> str:
    """What a model reads of a failure."""
    fix = f"\nWhat to do: {failure.fix}" if failure.fix else ""
    return f"Error ({failure.code}): {failure.message}{fix}"


def bug(where: str, error: Exception) -> ServerError:
    """What a caller is told of a bug of ours, which is logged."""
    _log.error("unexpected error", where=where, exc_info=error)
    return ServerError(
        f"The server failed in {where}.",
        fix="Try once more; if it fails again, the operator finds the reason in the server's log.",
    )


def protocol_error(error: MlgymError) -> MCPError:
    """The error of a resource, prompt or completion, which has no result to carry a failure."""
    wrong_request = isinstance(error, RequestError)
    return MCPError(
        INVALID_PARAMS if wrong_request else INTERNAL_ERROR,
        str(error),
        failure_of(error).model_dump(mode="json"),
    )


def wrong_arguments(tool: str, model: type[BaseModel], error: ValidationError) -> RequestError:
    """Which argument is wrong, why, and which ones the tool takes."""
    known = list(model.model_fields)
    said = [_said(fault, known) for fault in error.errors(include_url=False)[:5]]
    fix = f"`{tool}` takes {', '.join(known)}." if known else f"`{tool}` takes no arguments."
    return RequestError(f"`{tool}`: {'; '.join(said)}.", fix=fix)


def _said(fault: Any, known: list[str]) -> str:
    name = ".".join(str(part) for part in fault["loc"])[:_SHOWN_CHARACTERS]
    if fault["type"] == "extra_forbidden":
        near = get_close_matches(name, known, n=1)
        return f"there is no argument '{name}'" + (f", perhaps '{near[0]}'" if near else "")
    if fault["type"] == "missing":
        return f"the argument '{name}' is missing"
    shown = repr(fault["input"])[:_SHOWN_CHARACTERS]
    return f"the argument '{name}' is {shown}: {fault['msg']}" if name else str(fault["msg"])
