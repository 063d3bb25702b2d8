"""What a resource is: data that the server composes.

Above: `library` lists and reads them. Below: sessions. Who asks is an argument, so that nobody reads
what belongs to somebody else.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from mlgym_mcp.sessions import Sessions


@dataclass(frozen=True)
class Reader:
    """Who reads, and what a resource may reach."""

    sessions: Sessions
    principal: str


@dataclass(frozen=True)
class Resource:
    """A resource, or a family of them when its address has variables."""

    template: str
    """Its URI, with RFC 6570 variables."""

    name: str
    title: str
    description: str
    mime: str
    """Its media type; of files, what they have when their name tells nothing."""

    read: Callable[[Reader, Mapping[str, str]], Awaitable[str | bytes]]
    """Its content, from who asks and the variables of the address."""
