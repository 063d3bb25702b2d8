"""How grades are shown: by `score`, `rescore` and `eval`.

Above: those three. Below: the screen.
"""

from collections.abc import Sequence

from mlgym_mcp.cli.screen import note, show_table
from mlgym_mcp.types.grade import Grade


def show_grades(grades: Sequence[Grade]) -> None:
    """A table of grades on stdout, and their evidence on stderr."""
    heads = (
        "grade",
        "task",
        "variant",
        "kind",
        "metric",
        "score",
        "others",
        "integrity",
        "seconds",
    )
    show_table(heads, [_row(grade) for grade in grades])
    for grade in grades:
        for sentence in grade.evidence:
            note(f"{grade.id}: {sentence}")
        if log := grade.details.get("log"):
            note(f"{grade.id}: more is in {log} of MLGYM_MCP_HOME")


def number(value: float | None) -> str:
    """A metric as people write it; a dash when there is none."""
    return "-" if value is None else f"{value:.5g}"


def _row(grade: Grade) -> tuple[str, ...]:
    others = {name: value for name, value in grade.metrics.items() if name != grade.metric}
    return (
        grade.id,
        grade.task,
        grade.variant,
        grade.kind,
        grade.metric,
        number(grade.score),
        " ".join(f"{name}={number(value)}" for name, value in others.items()),
        grade.integrity if grade.status == "graded" else grade.status,
        f"{grade.seconds:.1f}",
    )
