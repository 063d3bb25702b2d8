"""Choose any variable, and try True first."""

import random


def heuristic_fn(
    clauses: list[list[int]],
    assignments: dict[int, bool],
    conflict_count: int,
    assignment_history: list[tuple[int, bool]],
    level: int,
) -> tuple[int, bool]:
    """A variable without a value, and the value to try first."""
    variables = {abs(literal) for clause in clauses for literal in clause}
    return random.choice(sorted(variables - assignments.keys())), True
