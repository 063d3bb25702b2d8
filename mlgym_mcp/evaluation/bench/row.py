"""One measured figure."""

from typing import Literal

from pydantic import Field, FiniteFloat

from mlgym_mcp.types.frozen import Frozen


class Row(Frozen):
    """A figure, its target, and what it is compared with."""

    what: str
    engine: str = ""
    """The engine it was measured with; empty where none takes part."""

    unit: Literal["ms", "MB", "errors", "left over"]
    value: FiniteFloat
    """The median, unless `what` says otherwise."""

    p95: FiniteFloat | None = None
    runs: int = Field(default=1, ge=1)
    target: FiniteFloat | None = None
    """At most this; None for a figure that is only reported."""

    rival: str = ""
    """What was measured beside it in the same run."""

    rival_value: FiniteFloat | None = None
    """In the same unit."""

    rival_at_target: FiniteFloat | None = None
    """What the rival took on the machine for which the target was set."""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        return None if self.target is None else self.value <= self.target

    @property
    def ratio(self) -> float | None:
        """How often the rival fits into this figure: what carries from one machine to another."""
        return self.value / self.rival_value if self.rival_value else None

    @property
    def target_ratio(self) -> float | None:
        """The target as such a ratio; None where the rival says nothing of it."""
        if self.target is None or not self.rival_at_target:
            return None
        return self.target / self.rival_at_target

    @property
    def met_as_ratio(self) -> bool | None:
        """Whether the ratio is within the target's; None where one of them is not known."""
        if self.ratio is None or self.target_ratio is None:
            return None
        return self.ratio <= self.target_ratio

    @property
    def verdict(self) -> Literal["", "met", "met as a ratio", "missed"]:
        """What came of the target; nothing where there is none."""
        if self.met is None:
            return ""
        return "met" if self.met else "met as a ratio" if self.met_as_ratio else "missed"
