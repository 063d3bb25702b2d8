"""The loss of a language model on hidden text, asked so that there is nothing to peek at.

val_loss = mean over scored tokens x_t of -log softmax(logits(x_0 .. x_{t-1}))[x_t], in nats.

The model is asked for the next token after a row of tokens, and is sent nothing behind it. Windows
of hidden text do not overlap, and the positions of one window are asked from left to right, so every
scored token was answered for before it was ever sent: no memory of earlier calls helps either. The
judge normalises the scores itself. Positions are drawn with a seed, one from each of equal parts of
the window, so that the mean is an unbiased estimate of the mean over all positions.
"""

import json
import math
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from folder import check
from harness.arrays import Expected, ask
from harness.player import Player
from harness.setting import Setting
from harness.verdict import invalid
from numpy.typing import NDArray

HEADER_BYTES = 1024
HALF_SEED = 20_250_220
ROWS_OF_SCORES = 2**22
"""Scores in one answer, about: rows times the vocabulary."""

MAX_ROWS = 64
REPEATS = 64
MOST_APART = 0.05
"""Total variation between two answers to the same tokens; rounding on any processor is below."""

Tokens = NDArray[np.int64]


@dataclass
class Asked:
    """What was asked of one batch of windows, and what came back."""

    windows: Tokens
    """Their tokens, (rows, length + 1)."""

    lengths: list[int]
    losses: list[NDArray[np.float64]] = field(default_factory=list)
    """For each length, the loss of each row in nats, (rows,)."""

    kept: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    """For some lengths, the probabilities of the first rows, (at most 2, vocabulary)."""


def grade(
    submission: Path, private: Path, player: Player, seed: int, setting: Setting
) -> tuple[dict[str, float], dict[str, float]]:
    """The loss; `submit` adds that of the private half of the windows alone."""
    check(submission)
    sizes = json.loads((private / "sizes.json").read_text(encoding="utf-8"))
    try_out(player, read_shard(private / "trial.bin"), sizes)
    windows = cut(read_shard(private / "hidden.bin"), sizes["length"] + 1)
    chance = np.random.default_rng(seed)
    halves = drawn(len(windows), setting, chance)
    means: dict[str, NDArray[np.float64]] = {}
    for half, chosen in halves.items():
        asked = [score(player, rows, sizes, chance) for rows in batches(windows[chosen], sizes)]
        repeat(player, asked, sizes, chance)
        means[half] = np.concatenate([np.stack(one.losses).mean(0) for one in asked])
    every = np.concatenate(list(means.values()))
    metrics = {
        "val_loss": float(every.mean()),
        "standard_error": float(every.std(ddof=1) / math.sqrt(len(every))),
    }
    if setting.kind == "submit":
        metrics["private_val_loss"] = float(means["private"].mean())
    positions = sizes["positions"]
    return metrics, {"windows": len(every), "positions": len(every) * positions}


def read_shard(path: Path) -> Tokens:
    """The tokens of a shard that dataset.py wrote."""
    return np.fromfile(path, "<u2", offset=HEADER_BYTES).astype(np.int64)


def cut(tokens: Tokens, length: int) -> Tokens:
    """Windows that do not overlap, (windows, length)."""
    count = len(tokens) // length
    return tokens[: count * length].reshape(count, length)


def drawn(count: int, setting: Setting, chance: np.random.Generator) -> dict[str, Tokens]:
    """The windows to score, of the public half alone or of both; which half is fixed for ever."""
    order = np.random.default_rng(HALF_SEED).permutation(count)
    halves = {"public": order[: count // 2], "private": order[count // 2 :]}
    if setting.kind == "validate":
        del halves["private"]
    share = max(2, setting.simulations // len(halves))
    return {name: chance.permutation(half)[:share] for name, half in halves.items()}


def batches(windows: Tokens, sizes: dict[str, int]) -> list[Tokens]:
    """Batches whose answers are not too long to send."""
    rows = max(1, min(MAX_ROWS, ROWS_OF_SCORES // sizes["vocabulary"]))
    return [windows[start : start + rows] for start in range(0, len(windows), rows)]


def try_out(player: Player, tokens: Tokens, sizes: dict[str, int]) -> None:
    """Two calls on public tokens: what goes wrong here may be told in full."""
    with player.rehearsal():
        for rows, columns in ((2, sizes["length"]), (3, 1)):
            part = tokens[: rows * columns].reshape(rows, columns)
            probabilities(player, part, sizes["vocabulary"])


def probabilities(player: Player, tokens: Tokens, vocabulary: int) -> NDArray[np.float64]:
    """The logarithms of what the model gives each next token, (rows, vocabulary)."""
    expected = Expected("float32", (len(tokens), vocabulary))
    raised = ask(player, "logits", tokens, expected=expected).astype(np.float64)
    raised -= raised.max(1, keepdims=True)
    return raised - np.log(np.exp(raised).sum(1, keepdims=True))


def score(
    player: Player, windows: Tokens, sizes: dict[str, int], chance: np.random.Generator
) -> Asked:
    """Ask for one position in each part of the windows, from left to right."""
    parts, length = sizes["positions"], sizes["length"]
    edges = [length * part // parts for part in range(parts + 1)]
    drawn_at = [int(chance.integers(a, b)) + 1 for a, b in pairwise(edges)]
    asked = Asked(windows, drawn_at)
    keep = int(chance.integers(parts))
    for number, at in enumerate(drawn_at):
        logs = probabilities(player, windows[:, :at], sizes["vocabulary"])
        asked.losses.append(-logs[np.arange(len(windows)), windows[:, at]])
        if number == keep:
            asked.kept[at] = np.exp(logs[:2])
    return asked


def repeat(
    player: Player, asked: list[Asked], sizes: dict[str, int], chance: np.random.Generator
) -> None:
    """Ask some questions again, in another order and other company: the answers must be the same.

    Raises:
        Verdict: They are not, so the model keeps something from call to call.
    """
    for number in chance.permutation(len(asked))[:REPEATS]:
        one = asked[number]
        for at, before in one.kept.items():
            rows = len(before)
            again = np.exp(
                probabilities(player, one.windows[:rows][::-1, :at], sizes["vocabulary"])
            )
            apart = 0.5 * np.abs(again[::-1] - before).sum(1).max()
            if apart > MOST_APART:
                raise invalid(
                    f"asked twice for the same tokens, the model's answers are {apart:.3f} apart in "
                    f"total variation, over {MOST_APART}; it must not depend on other calls or rows"
                )
