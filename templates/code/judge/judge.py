"""Play the games: all rules, chances and state live here, out of the player's reach."""

import math
import random
from pathlib import Path

from harness.player import Player
from harness.setting import Setting

ARMS = 3
PULLS = 20


def grade(
    submission: Path, private: Path, player: Player, seed: int, setting: Setting
) -> dict[str, float]:
    """The mean payoff of a pull."""
    chance = random.Random(seed)
    with player.rehearsal():
        play(player, random.Random())
    games = [play(player, chance) for _ in range(setting.simulations)]
    mean = math.fsum(games) / len(games)
    spread = math.fsum((payoff - mean) ** 2 for payoff in games) / max(1, len(games) - 1)
    return {"score": mean, "standard_error": math.sqrt(spread / len(games))}


def play(player: Player, chance: random.Random) -> float:
    """The mean payoff of one game."""
    odds = [chance.random() for _ in range(ARMS)]
    history: list[tuple[int, int]] = []
    for _ in range(PULLS):
        arm = player.call("choose", history)
        if type(arm) is not int or not 0 <= arm < ARMS:
            raise player.unusable(arm, "expected 0, 1 or 2")
        history.append((arm, int(chance.random() < odds[arm])))
    return sum(won for _, won in history) / PULLS
