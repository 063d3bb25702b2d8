"""Text files as numbered lines."""

from mlgym_mcp.base.errors import BadPath, RequestError
from mlgym_mcp.types.files import FileWindow

_LINE_CHARS = 2000
_WINDOW_LINES = 2000
_WINDOW_CHARS = 100_000
MOST_BYTES = 16 * 2**20
"""The longest file that is opened or edited as text."""


def decoded(path: str, data: bytes) -> str:
    """The text of a file that is to be changed.

    Raises:
        BadPath: It is not UTF-8, so a change could not be put back exactly.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadPath(
            f"{path} is not UTF-8 text (byte {error.start}).", fix="Change it with a command."
        ) from error


def split(text: str) -> list[str]:
    """Its lines, each with its end; only a line feed ends one."""
    lines = text.split("\n")
    last = lines.pop()
    return [line + "\n" for line in lines] + ([last] if last else [])


def window_of(path: str, data: bytes, line: int, window: int) -> FileWindow:
    """Up to `window` lines around `line`, capped; bytes that are no UTF-8 are shown as such.

    Raises:
        RequestError: There is no such line.
    """
    lines = split(data.decode(errors="replace"))
    if line > max(1, len(lines)):
        raise RequestError(
            f"{path} has {len(lines)} lines; there is no line {line}.", fix="Give a lower `line`."
        )
    window = max(1, min(window, _WINDOW_LINES))
    first = max(0, min(line - 1 - window // 2, len(lines) - window))
    shown: list[str] = []
    size = 0
    for number, content in enumerate(lines[first : first + window], first + 1):
        shown.append(f"{number}\t{_shortened(content)}")
        size += len(shown[-1])
        if size > _WINDOW_CHARS and number >= line:
            break
    return FileWindow(
        path=path,
        first_line=first + 1 if shown else 0,
        last_line=first + len(shown),
        total_lines=len(lines),
        total_bytes=len(data),
        text="\n".join(shown),
    )


def _shortened(line: str) -> str:
    line = line.removesuffix("\n").removesuffix("\r")
    if len(line) <= _LINE_CHARS:
        return line
    return f"{line[:_LINE_CHARS]}... ({len(line) - _LINE_CHARS} more characters)"
