"""Play the game: the partner, its chance and the history live here, out of the player's reach.

The score is the row player's mean payoff per round: the sum of all payoffs over (games x rounds).
"""

import math
import random
from collections.abc import Callable
from pathlib import Path

from harness.player import Player
from harness.setting import Setting

ROUNDS = 10
PAYOFF = {(0, 0): 3, (0, 1): 0, (1, 0): 5, (1, 1): 1}
FORGIVENESS = 0.3
History = list[tuple[int, int]]
"""The rounds so far, oldest first, as (row player's move, partner's move)."""


def grade(
    submission: Path, private: Path, player: Player, seed: int, setting: Setting
) -> tuple[dict[str, float], dict[str, int]]:
    """The row player's mean payoff per round over many games, and its standard error."""
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


def play(player: Player, partner: Callable[[History], int]) -> float:
    """The row player's mean payoff in one game with this partner."""
    history: History = []
    total = 0
    for _ in range(ROUNDS):
        # both choose before either is told
        moves = (row_move(player, history), partner(history))
        total += PAYOFF[moves]
        history.append(moves)
    return total / ROUNDS


def row_move(player: Player, history: History) -> int:
    """What the submission answers, if it is a move at all."""
    move = player.call("row_strategy", history)
    if type(move) is not int or move not in (0, 1):
        raise player.unusable(move, "expected 0 or 1")
    return move


def column_move(history: History, chance: random.Random) -> int:
    """The hidden partner: each round it follows one of eleven rules, drawn evenly."""
    return chance.choice(RULES)(history, chance)


def noisy_mix(history: History, chance: random.Random) -> int:
    """Defect first; then a weighted draw of fixed moves, the own last and the row's opposite."""
    if not history:
        return 1
    row, own = history[-1]
    return chance.choices([0, 1, own, 1 - row], weights=[1 / 3, 1 / 6, 0.4, 0.1])[0]


def tit_for_tat(history: History, chance: random.Random) -> int:
    """Cooperate first, then do what the row player did."""
    return history[-1][0] if history else 0


def always_cooperate(history: History, chance: random.Random) -> int:
    """Cooperate."""
    return 0


def always_defect(history: History, chance: random.Random) -> int:
    """Defect."""
    return 1


def coin(history: History, chance: random.Random) -> int:
    """Toss a fair coin."""
    return chance.getrandbits(1)


def grim_trigger(history: History, chance: random.Random) -> int:
    """Defect once the row player ever has."""
    return int(any(row == 1 for row, _ in history))


def pavlov(history: History, chance: random.Random) -> int:
    """Cooperate first, and after rounds in which both did the same."""
    return int(bool(history) and history[-1][0] != history[-1][1])


def tit_for_two_tats(history: History, chance: random.Random) -> int:
    """Defect after two defections in a row, its own: only so do the published scores come out."""
    return int(len(history) > 1 and history[-1][1] == 1 == history[-2][1])


def suspicious_tit_for_tat(history: History, chance: random.Random) -> int:
    """Defect first, then do what the row player did."""
    return history[-1][0] if history else 1


def random_cooperate(history: History, chance: random.Random) -> int:
    """Cooperate first, then toss a fair coin."""
    return chance.getrandbits(1) if history else 0


def forgiving_tit_for_tat(history: History, chance: random.Random) -> int:
    """Tit for tat that lets a defection pass now and then."""
    return tit_for_tat(history, chance) and int(chance.random() >= FORGIVENESS)


RULES: tuple[Callable[[History, random.Random], int], ...] = (
    noisy_mix,
    tit_for_tat,
    always_cooperate,
    always_defect,
    coin,
    grim_trigger,
    pavlov,
    tit_for_two_tats,
    suspicious_tit_for_tat,
    random_cooperate,
    forgiving_tit_for_tat,
)
