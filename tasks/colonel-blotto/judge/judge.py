"""Play the game: the opponent, its chance and the history live here, out of the player's reach.

The score is the mean over games and rounds of +1 (more battlefields won than lost), -1 or 0.
"""

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeGuard

from harness.player import Player
from harness.setting import Setting

ROUNDS = 10
FIELDS = 6
SOLDIERS = 120
REHEARSED = [0, 10, 20, 20, 30, 40]
"""What stands against the row player in the rehearsal, in any order."""

History = list[tuple[list[int], list[int]]]
"""The rounds so far, oldest first, as (row player's soldiers, opponent's soldiers)."""


def grade(
    submission: Path, private: Path, player: Player, seed: int, setting: Setting
) -> tuple[dict[str, float], dict[str, int]]:
    """The row player's mean result per round over many games, and its standard error."""
    chance = random.Random(seed)
    with player.rehearsal():
        play(player, lambda: chance.sample(REHEARSED, FIELDS))
    games = [play(player, lambda: column_soldiers(chance)) for _ in range(setting.simulations)]
    mean = math.fsum(games) / len(games)
    spread = math.fsum((result - mean) ** 2 for result in games) / max(1, len(games) - 1)
    metrics = {"score": mean, "standard_error": math.sqrt(spread / len(games))}
    return metrics, {"simulations": len(games), "rounds": ROUNDS, "calls": player.calls}


def play(player: Player, opponent: Callable[[], list[int]]) -> float:
    """The row player's mean result in one game with this opponent."""
    history: History = []
    total = 0
    for _ in range(ROUNDS):
        # both place before either is told
        own, other = row_soldiers(player, history), opponent()
        total += result(own, other)
        history.append((own, other))
    return total / ROUNDS


def result(own: list[int], other: list[int]) -> int:
    """1 when more battlefields are won than lost, -1 when fewer, else 0."""
    won = sum(a > b for a, b in zip(own, other, strict=True))
    lost = sum(a < b for a, b in zip(own, other, strict=True))
    return (won > lost) - (won < lost)


def row_soldiers(player: Player, history: History) -> list[int]:
    """What the submission answers, if it is a placement at all."""
    placed = player.call("row_strategy", history)
    if not is_placement(placed):
        expected = f"expected {FIELDS} whole numbers from 0 with the sum {SOLDIERS}"
        raise player.unusable(placed, expected)
    return placed


def is_placement(placed: Any) -> TypeGuard[list[int]]:
    """Whether it is six whole numbers, none negative, that use every soldier."""
    return (
        type(placed) is list
        and len(placed) == FIELDS
        and all(type(soldiers) is int and 0 <= soldiers <= SOLDIERS for soldiers in placed)
        and sum(placed) == SOLDIERS
    )


def column_soldiers(chance: random.Random) -> list[int]:
    """The hidden opponent: even draws scaled to the sum, what rounding leaves on a random field.

    In one placement of some thousands that leftover takes a nearly empty field below zero; such a
    field is simply lost.
    """
    drawn = [chance.randint(0, SOLDIERS) for _ in range(FIELDS)]
    total = sum(drawn) or 1
    placed = [round(SOLDIERS * number / total) for number in drawn]
    placed[chance.randrange(FIELDS)] += SOLDIERS - sum(placed)
    return placed
