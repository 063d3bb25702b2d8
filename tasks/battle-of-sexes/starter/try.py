"""Play strategy.py against a partner of your own guess, and print the mean payoff per round."""

import random

from strategy import row_strategy

PAYOFF = {(0, 0): 2, (1, 1): 1, (0, 1): 0, (1, 0): 0}
GAMES, ROUNDS = 1000, 10


def partner(history: list[tuple[int, int]]) -> int:
    """A guess: the real partner is hidden."""
    return random.choice([0, 1])


total = 0
for _ in range(GAMES):
    history: list[tuple[int, int]] = []
    for _ in range(ROUNDS):
        moves = (row_strategy(history), partner(history))
        total += PAYOFF[moves]
        history.append(moves)
print(f"mean payoff per round: {total / GAMES / ROUNDS:.4f}")
