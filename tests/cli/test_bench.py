"""What `mlgym-mcp bench` says of a figure. The figures themselves are a machine's."""

import json
import subprocess
from collections.abc import Callable

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


@pytest.mark.bubblewrap
@pytest.mark.docker
def test_every_target_is_measured_beside_its_comparison_and_nothing_is_left(
    mlgym: list[str], variables: dict[str, str], processes_with: Callable[[str], list[str]]
) -> None:
    done = subprocess.run(
        [*mlgym, "bench", "--sessions", "5", "--json"],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    rows = json.loads(done.stdout)
    missed = [row for row in rows if row["target"] is not None and row["verdict"] != "met"]
    assert done.returncode == (1 if missed else 0), done.stderr
    timed = [row for row in rows if row["unit"] == "ms"]
    assert all(row["value"] > 0 and row["rival_value"] > 0 for row in timed)
    whats = {(row["what"].split(",")[0], row["engine"]) for row in rows}
    for engine in ("bubblewrap", "docker"):
        for what in ("run true", "open a file", "edit a file", "validate", "submit"):
            assert (what, engine) in whats
    counted = {row["unit"]: row["value"] for row in rows if row["unit"] != "ms"}
    assert (counted["errors"], counted["left over"]) == (0, 0)
    assert counted["MB"] <= 15
    assert not processes_with("mlgym-bench-")
