"""The one place that tells a failed command from a dead sandbox from a bad request.

A supervisor's answer is either a result, a fault with a code of this closed table, or nonsense; and
nonsense means that the sandbox cannot be believed any more, which is the same as dead.
"""

import json

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from mlgym_mcp.base.errors import (
    BadPath,
    MlgymError,
    NotFound,
    RequestError,
    SandboxDead,
    SandboxError,
)
from mlgym_mcp.sandbox.contract import OUTPUTS
from mlgym_mcp.sandbox.link import Reply
from mlgym_mcp.types.command import CommandResult, LimitName
from mlgym_mcp.types.files import FileEntry

_FAULTS: dict[object, type[MlgymError]] = {
    "not_found": NotFound,
    "bad_path": BadPath,
    "bad_request": RequestError,
    "failed": SandboxError,
}

_MOST_SHOWN = 500


class _Result(BaseModel):
    """What a supervisor may say of a finished command, and nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True)

    exit_code: int | None = Field(ge=0, le=255)
    signal: int | None = Field(ge=1, le=64)
    size: int = Field(ge=0)
    seconds: float = Field(ge=0)
    cwd: str = Field(max_length=8192)
    limits: list[LimitName] = Field(max_length=6)
    head: int = Field(ge=0)


_ENTRIES = TypeAdapter(list[tuple[str, str, int]])


def checked(reply: Reply) -> Reply:
    """The reply, when it is no fault.

    Raises:
        MlgymError: The fault it is, by the closed table.
    """
    code = reply.header.get("fault")
    if code is None:
        return reply
    kind = _FAULTS.get(code if isinstance(code, str) else None)
    if kind is None:
        raise nonsense("an unknown fault")
    raise kind(str(reply.header.get("message"))[:_MOST_SHOWN])


def result_of(job_id: str, header: object, output: bytes) -> CommandResult:
    """A finished command, however it ended.

    Raises:
        SandboxDead: What was said of it makes no sense.
    """
    try:
        said = _Result.model_validate(header)
    except ValidationError as error:
        raise nonsense("a result that is none") from error
    if (
        said.head > len(output)
        or len(output) > said.size
        or (said.exit_code is None) == (said.signal is None)
    ):
        raise nonsense("a result that contradicts itself")
    path = f"{OUTPUTS}/{job_id}.log"
    dropped = said.size - len(output)
    text = _decode(output)
    if dropped:
        mark = f"\n[... {dropped} bytes left out; the whole output is in {path} ...]\n"
        text = _decode(output[: said.head]) + mark + _decode(output[said.head :])
    return CommandResult(
        job_id=job_id,
        exit_code=said.exit_code,
        signal=said.signal,
        output=text,
        output_bytes=said.size,
        dropped_bytes=dropped,
        output_path=path,
        seconds=said.seconds,
        cwd=_decode(said.cwd.encode(errors="surrogateescape")),
        limits_hit=tuple(said.limits),
    )


def entries_of(reply: Reply, limit: int) -> tuple[tuple[FileEntry, ...], int]:
    """A listing's entries and their number.

    Raises:
        SandboxDead: It is no listing.
    """
    total = whole(reply, "total")
    try:
        rows = _ENTRIES.validate_python(json.loads(reply.body), strict=False)
        entries = tuple(
            FileEntry.model_validate({"path": path, "kind": kind, "size": size})
            for path, kind, size in rows[:limit]
        )
    except (ValueError, RecursionError) as error:
        raise nonsense("a listing that is none") from error
    return entries, max(total, len(entries))


def whole(reply: Reply, name: str) -> int:
    """A whole number of the reply's header, not negative.

    Raises:
        SandboxDead: It is not there.
    """
    value = reply.header.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise nonsense(f"no {name}")
    return value


def number(reply: Reply, name: str) -> float:
    """A number of the reply's header, not negative.

    Raises:
        SandboxDead: It is not there.
    """
    value = reply.header.get(name)
    if not isinstance(value, int | float) or not 0 <= value < 1e15:
        raise nonsense(f"no {name}")
    return float(value)


def nonsense(what: str) -> SandboxDead:
    """The error for an answer that no supervisor of ours gives."""
    return SandboxDead(
        f"The sandbox's supervisor answered with {what}.",
        fix="The workspace is kept; the next call opens a new sandbox on it.",
    )


def _decode(data: bytes) -> str:
    return data.decode(errors="replace")
