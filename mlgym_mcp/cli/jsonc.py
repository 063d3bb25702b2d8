"""JSON as clients keep it, comments and trailing commas and all, edited without losing either.

Above: `clients` merges a server entry into a person's file. It knows no client.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

_GAP = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_SCALAR = json.JSONDecoder(strict=False)


class BrokenJson(ValueError):
    """The text is not JSON, even with comments allowed."""


@dataclass(frozen=True)
class Node:
    """A value and where it stands in the text."""

    value: Any
    """What it is; for objects and lists only their kind matters: `{}` or `[]`."""

    start: int
    end: int
    members: dict[str, "Node"] = field(default_factory=dict[str, "Node"])


def parse(text: str) -> Node:
    """The whole text as one value.

    Raises:
        BrokenJson: It is not one; the message says at which line.
    """
    node = _value(text, _skip(text, 0))
    rest = _skip(text, node.end)
    if rest != len(text):
        raise _broken(text, rest, "more text after the end")
    return node


def put(text: str, container: str, name: str, value: Any) -> str:
    """The text with `value` as member `name` of the root's member `container`; the rest as it was.

    Raises:
        BrokenJson: The text is not JSON, or the root or the container is no object.
    """
    if not text.strip():
        text = "{}\n"
    root = parse(text)
    if not isinstance(root.value, dict):
        raise BrokenJson("the whole is not an object")
    held = root.members.get(container)
    if held is None:
        return _insert(text, root, container, {name: value}, depth=1)
    if not isinstance(held.value, dict):
        raise BrokenJson(f'"{container}" is not an object')
    if (old := held.members.get(name)) is not None:
        return text[: old.start] + _dump(value, depth=2) + text[old.end :]
    return _insert(text, held, name, value, depth=2)


def _insert(text: str, node: Node, name: str, value: Any, depth: int) -> str:
    indent = "  " * depth
    member = f"\n{indent}{json.dumps(name)}: {_dump(value, depth)}"
    after = text[node.start + 1 :]
    if node.members:
        return f"{text[: node.start + 1]}{member},{after}"
    closing = "" if "\n" in text[node.start : node.end] else f"\n{'  ' * (depth - 1)}"
    return f"{text[: node.start + 1]}{member}{closing}{after}"


def _dump(value: Any, depth: int) -> str:
    lines = json.dumps(value, indent=2, ensure_ascii=False).split("\n")
    return f"\n{'  ' * depth}".join(lines)


def _value(text: str, at: int) -> Node:
    head = text[at : at + 1]
    if head == "{":
        return _object(text, at)
    if head == "[":
        return _list(text, at)
    try:
        value, end = _SCALAR.raw_decode(text, at)
    except (json.JSONDecodeError, RecursionError) as error:
        raise _broken(text, at, "a value was expected") from error
    return Node(value, at, end)


def _object(text: str, start: int) -> Node:
    members: dict[str, Node] = {}
    at = _skip(text, start + 1)
    while text[at : at + 1] != "}":
        if text[at : at + 1] != '"':
            raise _broken(text, at, "a name in double quotes was expected")
        name = _value(text, at)
        at = _skip(text, name.end)
        if text[at : at + 1] != ":":
            raise _broken(text, at, "a colon was expected")
        value = _value(text, _skip(text, at + 1))
        members[str(name.value)] = value
        at = _next(text, value.end, "}")
    return Node({}, start, at + 1, members)


def _list(text: str, start: int) -> Node:
    at = _skip(text, start + 1)
    while text[at : at + 1] != "]":
        at = _next(text, _value(text, at).end, "]")
    return Node([], start, at + 1)


def _next(text: str, at: int, closing: str) -> int:
    """Past the comma to the next member, or at the closing bracket."""
    at = _skip(text, at)
    if text[at : at + 1] == ",":
        return _skip(text, at + 1)
    if text[at : at + 1] == closing:
        return at
    raise _broken(text, at, f"a comma or '{closing}' was expected")


def _skip(text: str, at: int) -> int:
    found = _GAP.match(text, at)
    return found.end() if found else at


def _broken(text: str, at: int, why: str) -> BrokenJson:
    return BrokenJson(f"line {text.count(chr(10), 0, at) + 1}: {why}")
