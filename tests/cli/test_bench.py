"""What `mlgym-mcp bench` says of a figure. The figures themselves are a machine's."""

import pytest

from mlgym_mcp.evaluation.bench import Row


@pytest.mark.parametrize(
    ("value", "rival", "said"),
    [
        (2.4, 40.0, "met"),
        (4.0, 100.0, "met as a ratio"),
        (4.0, 80.0, "missed"),
        (4.0, None, "missed"),
    ],
)
def test_a_target_is_met_in_milliseconds_or_as_a_ratio_or_missed(
    value: float, rival: float | None, said: str
) -> None:
    row = Row(
        what="a command",
        unit="ms",
        value=value,
        target=2.5,
        rival_value=rival,
        rival_at_target=59.0,
    )
    assert row.verdict == said
