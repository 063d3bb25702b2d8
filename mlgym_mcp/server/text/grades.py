"""Grades as text."""

from mlgym_mcp.server.text.units import duration, number
from mlgym_mcp.types.grade import Grade


def grade(result: Grade) -> str:
    """The headline number, the other metrics, and what speaks against it."""
    done = "Submitted" if result.kind == "submit" else "Validated"
    if result.status == "judge_failed":
        return (
            f"{done}, but the judge itself failed. That is not your score: the submission is kept "
            "and the operator can grade it again."
        )
    lines = [f"{done}: {_score(result)}", *_others(result)]
    lines.append(f"Integrity: {result.integrity}. Scored in {duration(result.seconds)}.")
    lines.extend(f"- {sentence}" for sentence in result.evidence)
    return "\n".join(lines)


def _score(result: Grade) -> str:
    if result.score is None:
        return f"no {result.metric}; see the evidence."
    where = " on generated data" if result.variant == "generated" else ""
    return f"{result.metric} = {number(result.score)}{where}"


def _others(result: Grade) -> list[str]:
    others = {name: value for name, value in result.metrics.items() if name != result.metric}
    if not others:
        return []
    return ["Also: " + ", ".join(f"{name} = {number(value)}" for name, value in others.items())]
