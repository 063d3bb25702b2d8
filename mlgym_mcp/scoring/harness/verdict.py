"""How a judge says that a submission cannot be scored, and why.

Any other exception out of a judge is the judge's own failure and never the agent's zero.
"""

from collections.abc import Mapping
from typing import Literal

Label = Literal["invalid", "tampered", "leaked"]
MAX_EVIDENCE = 20
PLAYER_ENDED = "the player's process ended without an answer"
_MAX_CHARACTERS = 500


class Verdict(Exception):
    """The submission gets a label instead of a score."""

    def __init__(
        self,
        label: Label,
        *evidence: str,
        metrics: Mapping[str, float] | None = None,
        kept: str = "",
    ) -> None:
        shown = [printable(line) for line in evidence[:MAX_EVIDENCE]]
        if len(evidence) > MAX_EVIDENCE:
            shown.append(f"and {len(evidence) - MAX_EVIDENCE} more")
        super().__init__(label, *shown)
        self.label = label
        self.evidence = shown
        self.metrics = dict(metrics or {})
        self.kept = printable(kept)
        """What only the operator is told, such as submitted code's own words."""


def invalid(*evidence: str) -> Verdict:
    """The submission breaks the task's rules; each sentence says where and what was expected."""
    return Verdict("invalid", *evidence)


def tampered(*evidence: str) -> Verdict:
    """The submission tried to pass for something else than it is."""
    return Verdict("tampered", *evidence)


def leaked(*evidence: str, metrics: Mapping[str, float] | None = None) -> Verdict:
    """The submission holds what only the judge should know."""
    return Verdict("leaked", *evidence, metrics=metrics)


def printable(text: str) -> str:
    """One line without control characters, cut to a length that can be shown."""
    short = text if len(text) <= _MAX_CHARACTERS else text[:_MAX_CHARACTERS] + "..."
    return "".join(c if c.isprintable() else "?" for c in short)
