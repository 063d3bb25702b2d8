"""Files in a workspace as an agent sees them."""

from typing import Literal

from pydantic import Field

from mlgym_mcp.types.frozen import Frozen


class FileEntry(Frozen):
    """One entry of a listing."""

    path: str
    """Relative to the folder that was listed."""

    kind: Literal["file", "directory", "link", "other"]
    size: int = Field(ge=0)
    """Bytes; 0 for anything but a file."""


class Listing(Frozen):
    """A folder's entries, capped, in path order."""

    path: str
    entries: tuple[FileEntry, ...]
    total: int = Field(ge=0)
    """Entries there are, counted up to a bound; more than listed when it was capped."""


class FileWindow(Frozen):
    """Numbered lines of a text file."""

    path: str
    first_line: int = Field(ge=0)
    """Number of the first line shown, from 1; 0 for an empty file."""

    last_line: int = Field(ge=0)
    total_lines: int = Field(ge=0)
    total_bytes: int = Field(ge=0)
    text: str
    """The lines, each after its number and a tab."""


class Match(Frozen):
    """One hit of a search."""

    path: str
    line: int = Field(ge=1)
    text: str


class Matches(Frozen):
    """Hits of a search, capped."""

    pattern: str
    matches: tuple[Match, ...]
    total: int = Field(ge=0)
    files: int = Field(ge=0)
    """Files with at least one hit."""


class Found(Frozen):
    """Paths that a glob matches, capped."""

    pattern: str
    paths: tuple[str, ...]
    total: int = Field(ge=0)
