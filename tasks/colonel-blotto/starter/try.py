"""Play strategy.py against an opponent of your own guess, and print the mean result per round."""

import random

from strategy import row_strategy

FIELDS, SOLDIERS = 6, 120
GAMES, ROUNDS = 1000, 10


def opponent() -> list[int]:
    """A guess: each soldier goes to a random battlefield. The real opponent is hidden."""
    chosen = random.choices(range(FIELDS), k=SOLDIERS)
    return [chosen.count(field) for field in range(FIELDS)]


def result(own: list[int], other: list[int]) -> int:
    """1 for a win, -1 for a loss, 0 for a draw."""
    won = sum(a > b for a, b in zip(own, other, strict=True))
    lost = sum(a < b for a, b in zip(own, other, strict=True))
    return (won > lost) - (won < lost)


total = 0
for _ in range(GAMES):
    history: list[tuple[list[int], list[int]]] = []
    for _ in range(ROUNDS):
        placed = (row_strategy(list(history)), opponent())
        total += result(*placed)
        history.append(placed)
print(f"mean result per round: {total / GAMES / ROUNDS:.4f}")
