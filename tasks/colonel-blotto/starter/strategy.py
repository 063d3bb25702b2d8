"""A random placement: 120 soldiers in a row, cut in front of five random ones."""

import random
from itertools import pairwise

FIELDS, SOLDIERS = 6, 120


def row_strategy(history: list[tuple[list[int], list[int]]]) -> list[int]:
    """Six numbers with the sum 120, given the rounds so far as (own, opponent's) placements."""
    cuts = sorted(random.randrange(SOLDIERS) for _ in range(FIELDS - 1))
    return [after - before for before, after in pairwise([0, *cuts, SOLDIERS])]
