"""A row player that mostly repeats its partner's last move."""

import random


def row_strategy(history: list[tuple[int, int]]) -> int:
    """0 or 1, given the rounds played so far as (own move, partner's move)."""
    if not history:
        return 0
    own, partner = history[-1]
    return random.choices([0, 1, partner, own], weights=[1, 1, 7, 1])[0]
