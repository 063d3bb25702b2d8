"""Text that may hold an agent's words, made fit for a terminal.

Above: whatever writes for a person. A terminal obeys some characters: they move its cursor, and
could write over what stands there, a score too.
"""

import re

# control characters but tab and line feed, what turns the direction of text, and half characters
_OBEYED = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    r"""`text` with what a terminal would obey written as JSON does: \u001b."""
    return _OBEYED.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
