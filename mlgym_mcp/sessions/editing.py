"""Text files in a workspace: opened as a window, created, edited, inserted into.

Above: the tools of those names. Below: a sandbox reads and writes; no host path is touched, since
the agent can put a link anywhere.
"""

from collections.abc import Awaitable, Callable

from mlgym_mcp.base.errors import BadPath, RequestError
from mlgym_mcp.sandbox.contract import Sandbox
from mlgym_mcp.sessions.python import syntax_fault
from mlgym_mcp.sessions.requests import EditRequest
from mlgym_mcp.sessions.session import Session
from mlgym_mcp.sessions.steps import Steps
from mlgym_mcp.sessions.windows import MOST_BYTES, decoded, split, window_of
from mlgym_mcp.types.files import FileWindow

_AROUND = 40
Change = Callable[[str], tuple[str, int]]
"""Makes the new text of the old one, and says the line that changed."""


class Editing:
    """Reads and changes text files."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    async def open(self, session: Session, path: str, line: int, window: int) -> FileWindow:
        """Numbered lines around `line`."""
        if line < 1 or window < 1:
            raise RequestError("`line` and `window` count from 1.")

        async def work(sandbox: Sandbox) -> FileWindow:
            data = await sandbox.read_file(path, MOST_BYTES)
            return window_of(path, data, line, window)

        arguments = {"path": path, "line": line, "window": window}
        return await self._steps.take(session, "open", arguments, work)

    async def read(self, session: Session, path: str) -> bytes:
        """A whole file."""

        async def work(sandbox: Sandbox) -> bytes:
            return await sandbox.read_file(path, MOST_BYTES)

        return await self._steps.take(session, "read", {"path": path}, work)

    async def create(self, session: Session, path: str, text: str) -> FileWindow:
        """Create or replace a file."""

        async def work(sandbox: Sandbox) -> FileWindow:
            data = encoded(text)
            async with session.editing:
                await sandbox.write_file(path, data)
            return window_of(path, data, 1, _AROUND)

        return await self._steps.take(session, "create", {"path": path, "text": text}, work)

    async def edit(self, session: Session, request: EditRequest) -> FileWindow:
        """Replace exact text or lines.

        Raises:
            RequestError: The text is not there once, the lines are not there, or the Python
                would no longer parse.
        """
        if (request.old is None) == (request.start is None):
            raise RequestError(
                "An edit needs either `old`, the exact text to replace, or `start` (and `end`), "
                "the lines to replace."
            )

        def change(text: str) -> tuple[str, int]:
            if request.old is None:
                return with_lines(request, text)
            return with_text(request.path, text, request.old, request.new)

        work = self._changing(session, request.path, change, force=request.force)
        return await self._steps.take(session, "edit", request.model_dump(mode="json"), work)

    async def insert(self, session: Session, path: str, line: int, text: str) -> FileWindow:
        """Insert lines before `line`; one beyond the last appends.

        Raises:
            RequestError: There is no such line, or the Python would no longer parse.
        """

        def change(old: str) -> tuple[str, int]:
            lines = split(old)
            if not 1 <= line <= len(lines) + 1:
                raise RequestError(
                    f"{path} has {len(lines)} lines; `line` is 1 to {len(lines) + 1}."
                )
            before, after = _ended("".join(lines[: line - 1])), "".join(lines[line - 1 :])
            return before + (_ended(text) if after else text) + after, line

        work = self._changing(session, path, change, force=False)
        arguments = {"path": path, "line": line, "text": text}
        return await self._steps.take(session, "insert", arguments, work)

    def _changing(
        self, session: Session, path: str, change: Change, *, force: bool
    ) -> Callable[[Sandbox], Awaitable[FileWindow]]:
        async def work(sandbox: Sandbox) -> FileWindow:
            async with session.editing:
                old = await sandbox.read_file(path, MOST_BYTES)
                text, line = change(decoded(path, old))
                new = encoded(text)
                if len(new) > MOST_BYTES:
                    raise BadPath(f"{path} would have more than {MOST_BYTES} bytes.")
                if not force and path.endswith((".py", ".pyi")):
                    await _require_python(sandbox, path, old, new)
                await sandbox.write_file(path, new)
            return window_of(path, new, min(line, max(1, len(split(text)))), _AROUND)

        return work


def with_text(path: str, text: str, old: str, new: str) -> tuple[str, int]:
    """`text` with its one `old` replaced by `new`, and the line where.

    Raises:
        RequestError: It is there not once.
    """
    if not old:
        raise RequestError("`old` is empty.", fix="`insert` or `create` add text.")
    if old not in text and "\r\n" in text:
        # a window shows lines without their ends, so the agent cannot know of these
        old, new = (part.replace("\r\n", "\n").replace("\n", "\r\n") for part in (old, new))
    count = text.count(old)
    if count == 0:
        raise RequestError(
            f"`old` does not occur in {path}.",
            fix="It must match exactly, with indentation; `open` shows the file.",
        )
    if count > 1:
        places = ", ".join(str(line) for line in _lines_of(text, old, 5))
        raise RequestError(
            f"`old` occurs {count} times in {path}, at lines {places}.",
            fix="Give more of the text around it, or `start` and `end`.",
        )
    return text.replace(old, new, 1), text.count("\n", 0, text.index(old)) + 1


def with_lines(request: EditRequest, text: str) -> tuple[str, int]:
    """`text` with the asked lines replaced, and the first of them.

    Raises:
        RequestError: They are not there.
    """
    lines, start = split(text), request.start or 1
    end = start if request.end is None else request.end
    if not start <= end <= len(lines):
        raise RequestError(
            f"{request.path} has {len(lines)} lines; `start` {start} to `end` {end} are not among "
            "them.",
            fix="`open` shows the file; `insert` adds lines.",
        )
    new, after = request.new, "".join(lines[end:])
    if new and (after or lines[end - 1].endswith("\n")):
        new = _ended(new)
    return "".join(lines[: start - 1]) + new + after, start


def encoded(text: str) -> bytes:
    """The bytes of a text.

    Raises:
        RequestError: It has half a surrogate pair, which no file can hold.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise RequestError(f"The text is not valid Unicode: {error.reason}.") from error


async def _require_python(sandbox: Sandbox, path: str, old: bytes, new: bytes) -> None:
    fault = await syntax_fault(sandbox, new)
    # what did not parse before may be mended in several edits
    if fault is None or await syntax_fault(sandbox, old) is not None:
        return
    line, reason = fault
    raise RequestError(
        f"The edit was refused: {path} would no longer parse (line {line}: {reason}). The file is "
        "as it was.",
        fix="Mend the edit, or repeat it with `force`.",
    )


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _lines_of(text: str, part: str, most: int) -> list[int]:
    found: list[int] = []
    at = text.find(part)
    while at >= 0 and len(found) < most:
        found.append(text.count("\n", 0, at) + 1)
        at = text.find(part, at + len(part))
    return found
