"""Fine-tune BERT on the pairs, as published, for as long as there is time.

Devlin et al., 2019, section 4.1 and appendix A.3: batches of 32, Adam with weight decay 0.01, a rate
of 2e-5 that rises over the first tenth and then falls to zero, dropout 0.1, three epochs; 128 tokens a
pair. Where three epochs would take too long, the rate falls with the time instead, and what is left of
the pairs is not seen.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from bert import Bert, load
from tokenizers import BertWordPieceTokenizer
from torch.nn.functional import cross_entropy

SECONDS = 2000.0  # of the 2400 that a command has
EPOCHS, BATCH, RATE, WARM, DECAY, TOKENS = 3, 32, 2e-5, 0.1, 0.01, 128
SORTED = 64  # batches whose pairs are sorted by length together, so that little is padded
CHECKED = 1000  # validation pairs
STEADY = 20  # batches until the speed is known: the first ones are slower
FORWARD = 0.35  # of a training step's time that answering takes: a quarter, and some to spare

STARTED = time.monotonic()
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

Pair = dict[str, Any]
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def read(name: str) -> list[Pair]:
    """The pairs of one file."""
    with Path("data", name).open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def batches(
    tokenizer: BertWordPieceTokenizer, pairs: list[Pair], rows: list[int], size: int
) -> Iterator[tuple[list[int], Batch]]:
    """Rows of `pairs` in batches of about the same length, each with its ids, types and mask."""
    encoded = tokenizer.encode_batch([(pairs[i]["premise"], pairs[i]["hypothesis"]) for i in rows])
    order = sorted(range(len(rows)), key=lambda k: len(encoded[k].ids))
    starts = torch.randperm((len(rows) + size - 1) // size) * size
    for start in starts.tolist():
        chosen = order[start : start + size]
        shape = len(chosen), max(len(encoded[k].ids) for k in chosen)
        ids, types = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
        seen = torch.zeros(shape, dtype=torch.bool)
        for row, k in enumerate(chosen):
            length = len(encoded[k].ids)
            ids[row, :length] = torch.tensor(encoded[k].ids)
            types[row, :length] = torch.tensor(encoded[k].type_ids)
            seen[row, :length] = True
        yield [rows[k] for k in chosen], (ids.to(DEVICE), types.to(DEVICE), seen.to(DEVICE))


def scores(model: Bert, batch: Batch) -> torch.Tensor:
    """Of the labels, with the matrices in half precision where there is a GPU."""
    with torch.autocast(DEVICE.type, torch.bfloat16, enabled=DEVICE.type == "cuda"):
        return model(*batch).float()


def optimizer_of(model: Bert) -> torch.optim.AdamW:
    """Adam with weight decay, which spares the biases and norms."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, eps=1e-6, weight_decay=DECAY)


class Progress:
    """How much of the training is over, from 0 to 1: of its pairs or of its time."""

    def __init__(self, pairs: int, answered: int) -> None:
        self._began, self._pairs, self._answered = time.monotonic(), pairs, answered
        self.done = 0

    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def share(self) -> float:
        """Of the time, what it takes to answer the test pairs is kept back."""
        spent = self.seconds()
        known = self.done >= STEADY * BATCH
        answering = FORWARD * self._answered * spent / self.done if known else 0.0
        left = STARTED + SECONDS - self._began - answering
        return max(self.done / self._pairs, spent / left) if spent < left else 1.0


def train(model: Bert, tokenizer: BertWordPieceTokenizer, pairs: list[Pair], answered: int) -> None:
    """Fit the weights, and leave the time to answer that many pairs."""
    optimizer, progress, told = optimizer_of(model), Progress(EPOCHS * len(pairs), answered), 0.0
    epochs = (torch.randperm(len(pairs)).split(SORTED * BATCH) for _ in range(EPOCHS))
    parts = (part.tolist() for epoch in epochs for part in epoch)
    model.train()
    for rows, batch in (made for part in parts for made in batches(tokenizer, pairs, part, BATCH)):
        share = progress.share()
        if share >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(share / WARM, (1 - share) / (1 - WARM))
        labels = torch.tensor([pairs[i]["label"] for i in rows], device=DEVICE)
        loss = cross_entropy(scores(model, batch), labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        progress.done += len(rows)
        if share >= told:
            print(f"{progress.done} pairs, {progress.seconds():.0f} s, loss {loss:.3f}", flush=True)
            told += 0.05
    print(f"trained on {progress.done} pairs in {progress.seconds():.0f} s", flush=True)


@torch.no_grad()
def predict(model: Bert, tokenizer: BertWordPieceTokenizer, pairs: list[Pair]) -> torch.Tensor:
    """The label of each pair."""
    model.eval()
    labels = torch.zeros(len(pairs), dtype=torch.long)
    for rows, batch in batches(tokenizer, pairs, list(range(len(pairs))), 4 * BATCH):
        labels[rows] = scores(model, batch).argmax(1).cpu()
    return labels


def main() -> None:
    """Train, check, and write submission.csv."""
    torch.manual_seed(0)
    folder = Path("data/bert")
    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    tokenizer.enable_truncation(TOKENS)
    model = load(folder / "model.safetensors", labels=3).to(DEVICE)
    pairs, validation, test = (read(f"{name}.jsonl") for name in ("train", "validation", "test"))
    validation = [validation[i] for i in torch.randperm(len(validation))[:CHECKED]]
    train(model, tokenizer, pairs, len(validation) + len(test))

    right = predict(model, tokenizer, validation) == torch.tensor([p["label"] for p in validation])
    print(f"accuracy on {len(validation)} validation pairs: {100 * right.float().mean():.2f} %")
    labels = predict(model, tokenizer, test).tolist()
    lines = [f"{pair['pair_id']},{label}" for pair, label in zip(test, labels, strict=True)]
    Path("submission.csv").write_text("\n".join(["pair_id,label", *lines]) + "\n")
    print(f"answered {len(test)} pairs, {time.monotonic() - STARTED:.0f} s in all")


if __name__ == "__main__":
    main()
