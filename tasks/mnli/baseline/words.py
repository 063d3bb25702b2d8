"""Logistic regression on the words of both sentences, trained from scratch.

What counts is which words of the hypothesis are new, how many of them are, and who says no. Each
feature is hashed to a row of one table of weights (features x labels), and a pair's scores are the
sum of its rows.
"""

import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

ROWS = 2**18
EPOCHS = 4
BATCH = 64
RATE = 0.005
WORD = re.compile(r"[a-z]+n't|[a-z]+|[0-9]+")
NEGATION = re.compile(r"no|not|never|nothing|none|nobody|without|cannot|[a-z]+n't")

Bags = tuple[torch.Tensor, torch.Tensor]
"""Feature rows of all pairs, one after the other (int64), and where each pair starts (int64)."""


def read(name: str) -> list[dict[str, str]]:
    """The pairs of one file."""
    with Path("data", name).open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def features(pair: dict[str, str]) -> Iterator[str]:
    """What is seen of a pair."""
    premise = set(WORD.findall(pair["premise"].lower()))
    words = WORD.findall(pair["hypothesis"].lower())
    hypothesis = set(words)
    yield from (f"has {word}" for word in hypothesis)
    yield from (f"pair {a} {b}" for a, b in zip(["<", *words], [*words, ">"], strict=True))
    yield from (f"new {word}" for word in hypothesis - premise)
    yield from (f"same {word}" for word in hypothesis & premise)
    share = 8 * len(hypothesis & premise) // max(1, len(hypothesis))
    yield f"share {share}"
    yield f"news {min(len(hypothesis - premise), 8)}"
    yield f"length {min(len(words) // 2, 10)}"
    yield f"longer {min(len(premise) // 5, 8)}"
    yield f"no {any(map(NEGATION.fullmatch, premise))} {any(map(NEGATION.fullmatch, hypothesis))}"


def bags(pairs: list[dict[str, str]]) -> list[torch.Tensor]:
    """The feature rows of each pair."""
    return [
        torch.tensor([zlib.crc32(feature.encode()) % ROWS for feature in features(pair)])
        for pair in pairs
    ]


def joined(parts: list[torch.Tensor]) -> Bags:
    """Several pairs as one batch."""
    lengths = torch.tensor([0] + [len(part) for part in parts[:-1]])
    return torch.cat(parts), lengths.cumsum(0)


def train(model: nn.EmbeddingBag, parts: list[torch.Tensor], labels: torch.Tensor) -> None:
    """Fit the weights."""
    optimizer = torch.optim.SparseAdam(model.parameters(), lr=RATE)
    for epoch in range(EPOCHS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - epoch / EPOCHS)
        for batch in torch.randperm(len(parts)).split(BATCH):
            scores = model(*joined([parts[i] for i in batch]))
            loss = nn.functional.cross_entropy(scores, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def predict(model: nn.EmbeddingBag, parts: list[torch.Tensor]) -> torch.Tensor:
    """The label of each pair."""
    with torch.no_grad():
        return model(*joined(parts)).argmax(1)


def main() -> None:
    """Train, check, and write submission.csv."""
    torch.manual_seed(0)
    # so little work in each step that a second thread would only be waited for
    torch.set_num_threads(1)
    model = nn.EmbeddingBag(ROWS, 3, mode="sum", sparse=True)
    nn.init.zeros_(model.weight)
    pairs, validation, test = read("train.jsonl"), read("validation.jsonl"), read("test.jsonl")
    train(model, bags(pairs), torch.tensor([pair["label"] for pair in pairs]))

    right = predict(model, bags(validation)) == torch.tensor([p["label"] for p in validation])
    print(f"accuracy on the validation pairs: {100 * right.float().mean():.2f} %")
    labels = predict(model, bags(test)).tolist()
    lines = [f"{pair['pair_id']},{label}" for pair, label in zip(test, labels, strict=True)]
    Path("submission.csv").write_text("\n".join(["pair_id,label", *lines]) + "\n")


if __name__ == "__main__":
    main()
