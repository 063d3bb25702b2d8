"""What a judge may know of the grading it is part of."""

from pathlib import Path
from typing import Literal, NamedTuple


class Setting(NamedTuple):
    """One grading, as the judge sees it."""

    kind: Literal["validate", "submit"]
    """validate: the public half or other seeds; submit: everything."""

    variant: Literal["full", "mini", "generated"]
    simulations: int | None
    """How many games, runs or instances to play, where the spec says so."""

    table_schema: Path | None
    """The JSON Schema of a predictions table."""
