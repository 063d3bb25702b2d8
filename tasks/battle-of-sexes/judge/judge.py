"""Play the game: the partner, its chance and the history live here, out of the player's reach."""

import math
import random
from collections.abc import Callable
from pathlib import Path

from harness.player import Player
from harness.setting import Setting

ROUNDS = 10
PAYOFF = {(0, 0): 2, (1, 1): 1, (0, 1): 0, (1, 0): 0}
COPY_CHANCE = 0.8


def grade(
    submission: Path, private: Path, player: Player, seed: int, setting: Setting
) -> tuple[dict[str, float], dict[str, int]]:
    """The row player's mean payoff per round over many games."""
    chance = random.Random(seed)
    with player.rehearsal():
        play(player, lambda _: chance.getrandbits(1))
    games = [
        play(player, lambda history: column_move(history, chance))
        for _ in range(setting.simulations)
    ]
    mean = math.fsum(games) / len(games)
    spread = math.fsum((payoff - mean) ** 2 for payoff in games) / max(1, len(games) - 1)
    metrics = {"score": mean, "standard_error": math.sqrt(spread / len(games))}
    return metrics, {"simulations": len(games), "rounds": ROUNDS, "calls": player.calls}


def play(player: Player, partner: Callable[[list[tuple[int, int]]], int]) -> float:
    """The row player's mean payoff in one game with this partner."""
    history: list[tuple[int, int]] = []
    total = 0
    for _ in range(ROUNDS):
        # both choose before either is told
        moves = (row_move(player, history), partner(history))
        total += PAYOFF[moves]
        history.append(moves)
    return total / ROUNDS


def row_move(player: Player, history: list[tuple[int, int]]) -> int:
    """What the submission answers, if it is a move at all."""
    move = player.call("row_strategy", history)
    if type(move) is not int or move not in (0, 1):
        raise player.unusable(move, "expected 0 or 1")
    return move


def column_move(history: list[tuple[int, int]], chance: random.Random) -> int:
    """The hidden partner: it judges the row player by the first move of the game."""
    if not history:
        return 1
    first = history[0][0]
    return first if chance.random() < COPY_CHANCE else 1 - first
