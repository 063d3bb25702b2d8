"""Files, listings and hits as text."""

from mlgym_mcp.server.text.units import size
from mlgym_mcp.types.files import FileEntry, FileWindow, Found, Listing, Matches


def window(result: FileWindow) -> str:
    """The numbered lines under a headline that says which and of how many."""
    return f"{_headline(result)}\n{result.text}".rstrip("\n")


def written(result: FileWindow) -> str:
    """That a file was written, without showing again what the caller just sent."""
    return f"{result.path} written: {result.total_lines} lines, {size(result.total_bytes)}."


def found(result: Found) -> str:
    """The paths, one a line."""
    if not result.paths:
        return f"Nothing matches {result.pattern}."
    return "\n".join([*result.paths, *_rest(len(result.paths), result.total)])


def matches(result: Matches) -> str:
    """Each hit as path:line: text."""
    if not result.matches:
        return f"No file has {result.pattern}."
    hits = [f"{hit.path}:{hit.line}: {hit.text}" for hit in result.matches]
    headline = f"{result.total} hits in {result.files} files:"
    return "\n".join([headline, *hits, *_rest(len(hits), result.total)])


def listing(result: Listing) -> str:
    """The entries, folders with a slash, files with their sizes."""
    if not result.entries:
        return f"{result.path} is empty."
    lines = [_entry(entry) for entry in result.entries]
    return "\n".join([f"{result.path}:", *lines, *_rest(len(lines), result.total)])


def _headline(result: FileWindow) -> str:
    if result.total_lines == 0:
        return f"{result.path} is empty."
    lines = f"lines {result.first_line}-{result.last_line} of {result.total_lines}"
    return f"{result.path}, {lines}, {size(result.total_bytes)}"


def _entry(entry: FileEntry) -> str:
    marks = {"directory": "/", "link": " (link)", "other": " (neither file nor folder)"}
    mark = marks.get(entry.kind, f"  {size(entry.size)}")
    return f"  {entry.path}{mark}"


def _rest(shown: int, total: int) -> list[str]:
    return [f"... {total - shown} more are not shown."] if total > shown else []
