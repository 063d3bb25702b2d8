"""Send hidden rows to the model in its player, and score what it answers."""

import csv
import math
from pathlib import Path

from harness.player import Player
from harness.setting import Setting

BATCH = 100


def grade(
    submission: Path, private: Path, player: Player, seed: int, setting: Setting
) -> dict[str, float]:
    """The root mean squared error; `submit` adds that of the private half alone."""
    with (private / "test.csv").open(newline="", encoding="utf-8") as stream:
        rows = [(float(r["a"]), float(r["b"]), float(r["y"])) for r in csv.DictReader(stream)]
    with player.rehearsal():
        errors(player, [(0.0, 0.0, 0.0), (1.0, 1.0, 0.0)])
    public, hidden = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    if setting.kind == "validate":
        return {"rmse": root_mean(errors(player, public))}
    of_hidden = errors(player, hidden)
    every = errors(player, public) + of_hidden
    return {"rmse": root_mean(every), "private_rmse": root_mean(of_hidden)}


def errors(player: Player, rows: list[tuple[float, float, float]]) -> list[float]:
    """The error of each row, asked for in batches."""
    found: list[float] = []
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        answers = player.call("predict", [row[:2] for row in batch])
        if not isinstance(answers, list) or len(answers) != len(batch):
            raise player.unusable(answers, f"expected a list of {len(batch)} numbers")
        for row, answer in zip(batch, answers, strict=True):
            if type(answer) not in (int, float) or not abs(answer) < 1e6:
                raise player.unusable(answer, "expected numbers below a million")
            found.append(answer - row[2])
    return found


def root_mean(values: list[float]) -> float:
    """The root of the mean square."""
    return math.sqrt(math.fsum(value**2 for value in values) / len(values))
