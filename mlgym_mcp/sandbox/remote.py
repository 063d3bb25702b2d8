"""A sandbox at the other end of a link: what bubblewrap and Docker have in common.

Above: a backend makes the stream and gives a function that ends the sandbox. Below: `link` carries
requests, `failure` reads answers. It does not know which engine isolates.
"""

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping

import anyio

from mlgym_mcp.base.errors import BadPath, NotFound, RequestError
from mlgym_mcp.sandbox.contract import Command, Job, Sandbox, SandboxSpec, Usage
from mlgym_mcp.sandbox.failure import checked, entries_of, number, result_of, whole
from mlgym_mcp.sandbox.link import Link, Reply
from mlgym_mcp.supervisor.wire import CHUNK
from mlgym_mcp.types.command import CommandResult, JobView
from mlgym_mcp.types.files import Listing

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_CANCEL_SECONDS = 5.0
_AT_ONCE = 0.1
"""Seconds that the answer to a start waits for the end: a quick command needs no second request."""

_MOST_WAIT = 24 * 3600.0
_MOST_OUTPUT = 2**19


class RemoteJob(Job):
    """A command in a sandbox behind a link."""

    def __init__(self, job_id: str, link: Link, result: CommandResult | None = None) -> None:
        self.job_id = job_id
        self._link = link
        self._result = result

    async def wait(self, seconds: float) -> CommandResult | None:
        """Wait up to `seconds`; None while it still runs."""
        if self._result is not None:
            return self._result
        limit = min(max(seconds, 0), _MOST_WAIT)
        reply = await self._ask({"op": "wait", "seconds": limit})
        if reply.header.get("result") is None:
            return None
        return result_of(self.job_id, reply.header.get("result"), reply.body)

    async def look(self, cursor: int = 0, max_bytes: int = 32_768) -> JobView:
        """State, and output from `cursor` on."""
        reply = await self._ask({"op": "look", "cursor": cursor, "most": max(max_bytes, 4)})
        shown, start, size = whole(reply, "output"), whole(reply, "start"), whole(reply, "size")
        finished = reply.header.get("result")
        output = reply.body[:shown]
        if finished is None or start + len(output) < size:
            output = _whole_characters(output)
        result = None
        if finished is not None:
            result = result_of(self.job_id, finished, reply.body[shown:])
        return JobView(
            job_id=self.job_id,
            state="running" if result is None else "finished",
            command=str(reply.header.get("command"))[:4096],
            seconds=number(reply, "seconds"),
            output=output.decode(errors="replace"),
            cursor=start + len(output),
            result=result,
        )

    async def cancel(self) -> CommandResult:
        """End its whole process tree."""
        reply = await self._ask({"op": "cancel"})
        return result_of(self.job_id, reply.header.get("result"), reply.body)

    async def _ask(self, header: Mapping[str, object]) -> Reply:
        return checked(await self._link.request({**header, "job": self.job_id}))


class RemoteSandbox(Sandbox):
    """A sandbox whose supervisor answers on `link`; `end` ends it and never raises."""

    def __init__(self, spec: SandboxSpec, link: Link, end: Callable[[], Awaitable[None]]) -> None:
        self.spec = spec
        self._link = link
        self._end = end
        self._closing = anyio.Lock()
        self._closed = False

    @property
    def alive(self) -> bool:
        """False once its link is dead."""
        return not self._link.dead.is_set()

    async def run(self, command: Command) -> CommandResult:
        """Run to the end."""
        job_id, header, body = self._order(command)
        try:
            reply = checked(await self._link.request({**header, "wait": None}, body))
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(_CANCEL_SECONDS, shield=True):
                await self._link.request({"op": "cancel", "job": job_id})
            raise
        return result_of(job_id, reply.header.get("result"), reply.body)

    async def start(self, command: Command) -> Job:
        """Start without waiting."""
        job_id, header, body = self._order(command)
        reply = checked(await self._link.request({**header, "wait": _AT_ONCE}, body))
        said = reply.header.get("result")
        result = None if said is None else result_of(job_id, said, reply.body)
        return RemoteJob(job_id, self._link, result)

    async def job(self, job_id: str) -> Job | None:
        """A job started earlier."""
        job = RemoteJob(job_id, self._link)
        try:
            await job.look(max_bytes=4)
        except NotFound:
            return None
        return job

    async def read_file(self, path: str, max_bytes: int = 64 * 2**20) -> bytes:
        """The whole file."""
        request = {"op": "read", "path": path, "most": max_bytes}
        reply = checked(await self._link.request(request))
        size = whole(reply, "size")
        data = bytearray(reply.body)
        while len(data) < size:
            last = len(data) + CHUNK >= size
            request = {"op": "read_on", "handle": reply.header.get("handle"), "last": last}
            part = checked(await self._link.request(request)).body
            if not part:
                break
            data += part
        if len(data) > max_bytes:
            raise BadPath(f"{path!r} grew beyond {max_bytes} bytes while it was read.")
        return bytes(data)

    async def write_file(self, path: str, data: bytes) -> None:
        """Create or replace a file, at once or not at all."""
        request = {"op": "write", "path": path, "last": len(data) <= CHUNK}
        reply = checked(await self._link.request(request, data[:CHUNK]))
        handle = reply.header.get("handle")
        try:
            for start in range(CHUNK, len(data), CHUNK):
                part = data[start : start + CHUNK]
                request = {"op": "write_on", "handle": handle, "last": start + CHUNK >= len(data)}
                checked(await self._link.request(request, part))
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(_CANCEL_SECONDS, shield=True):
                await self._link.request({"op": "write_on", "handle": handle, "drop": True})
            raise

    async def list_files(self, path: str = ".", depth: int = 1, limit: int = 1000) -> Listing:
        """Entries below a folder."""
        request = {"op": "list", "path": path, "depth": depth, "limit": limit}
        reply = checked(await self._link.request(request))
        entries, total = entries_of(reply, limit)
        return Listing(path=path, entries=entries, total=total)

    async def usage(self) -> Usage:
        """What it uses now."""
        reply = checked(await self._link.request({"op": "usage"}))
        return Usage(
            memory_bytes=whole(reply, "memory"),
            processes=whole(reply, "processes"),
            disk_bytes=whole(reply, "disk"),
            cpu_seconds=number(reply, "cpu"),
        )

    async def close(self) -> None:
        """End every process and free what it holds."""
        with anyio.CancelScope(shield=True):
            async with self._closing:
                if not self._closed:
                    self._closed = True
                    self._link.fail("it was closed")
                    await self._end()

    def _order(self, command: Command) -> tuple[str, dict[str, object], bytes]:
        job_id = command.job_id or f"j{secrets.token_hex(5)}"
        if not _JOB.fullmatch(job_id):
            raise RequestError(f"{job_id!r} is no name for a job: letters, digits, _ and -.")
        for name, value in command.variables.items():
            if not _NAME.fullmatch(name) or "\0" in value:
                raise RequestError(f"{name!r} cannot be set as a variable.")
        if "\0" in command.script or "\0" in (command.cwd or ""):
            raise RequestError("A command holds no NUL character.")
        if not 0 < command.timeout_seconds <= _MOST_WAIT:
            raise RequestError(f"A time-out is more than 0 and at most {_MOST_WAIT:g} seconds.")
        header: dict[str, object] = {
            "op": "start",
            "job": job_id,
            "timeout": command.timeout_seconds,
            "cwd": command.cwd,
            "variables": dict(command.variables),
            "keep_state": command.keep_state,
            "output_bytes": min(
                command.output_bytes or self.spec.limits.output_bytes, _MOST_OUTPUT
            ),
            "stdin": len(command.stdin),
        }
        return job_id, header, command.script.encode(errors="replace") + command.stdin


def _whole_characters(data: bytes) -> bytes:
    """Without the first bytes of a UTF-8 character whose rest is not there yet."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            length = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-back] if length > back and len(data) > back else data
    return data
