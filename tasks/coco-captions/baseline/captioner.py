"""A captioner trained from scratch: convolutions look, a transformer writes one word after another.

Each word is written by attending to a grid of places in the photograph (Xu et al., "Show,
Attend and Tell", 2015) and to the words before it (Vaswani et al., "Attention Is All You Need", 2017).
It learns for as long as there is time. n is the number of photographs in a batch, t of words.
"""

import csv
import json
import math
import os
import re
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import cross_entropy

LENGTH = 20  # words of a caption, its end included
SELDOM = 5  # words that occur less often are not learnt
START, END, UNKNOWN = range(3)
EPOCHS, RATE, WARM, SMOOTHING = 40, 5e-4, 0.05, 0.1
BEAMS = 4
READ_BY, TRAINED_BY = 500.0, 1500.0  # seconds of the 2400 that a command has; the rest: to write

STARTED = time.monotonic()
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# pixels each way that are looked at, the size of what looks and writes, photographs in a batch
SIDE, WIDTH, LAYERS, BATCH = (128, 512, 4, 256) if DEVICE.type == "cuda" else (64, 128, 2, 32)
STORED = SIDE + 8  # pixels that are kept: in training, each batch sees another part of them


def read(file: str) -> np.ndarray:
    """A photograph's colours, squeezed into a square: bytes with shape (STORED, STORED, 3)."""
    with Image.open(f"data/{file}") as image:
        image.draft("RGB", (STORED, STORED))
        return np.asarray(image.convert("RGB").resize((STORED, STORED), Image.Resampling.BILINEAR))


def photographs(pool: ProcessPoolExecutor, files: list[str], until: float) -> torch.Tensor:
    """As many of these photographs as can be read until then: (n, STORED, STORED, 3)."""
    found, count = np.empty((len(files), STORED, STORED, 3), np.uint8), 0
    for count, pixels in enumerate(pool.map(read, files, chunksize=64), 1):
        found[count - 1] = pixels
        if time.monotonic() - STARTED > until:
            break
    return torch.from_numpy(found[:count])


def words(text: str) -> list[str]:
    """As the judge sees them."""
    return re.findall(r"[a-z0-9]+|'[a-z]+", text.lower())


def convolution(before: int, after: int, stride: int = 1) -> nn.Module:
    """One convolution, with its outputs normalised."""
    layer = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU())


class Stage(nn.Module):
    """Half as many pixels each way and more channels, then two convolutions that add to them."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.narrow = convolution(before, after, stride=2)
        self.more = nn.Sequential(convolution(after, after), convolution(after, after))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(n, before, side, side) to (n, after, side / 2, side / 2)."""
        images = self.narrow(images)
        return images + self.more(images)


class Captioner(nn.Module):
    """What looks and what writes."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        channels = (3, WIDTH // 8, WIDTH // 4, WIDTH // 2, WIDTH)
        self.stages = nn.Sequential(*(Stage(a, b) for a, b in pairwise(channels)))
        grid = (SIDE // 2 ** len(self.stages)) ** 2
        self.places = nn.Parameter(0.02 * torch.randn(grid, WIDTH))
        self.words = nn.Embedding(vocabulary, WIDTH)
        self.order = nn.Parameter(0.02 * torch.randn(LENGTH, WIDTH))
        nn.init.normal_(self.words.weight, std=0.02)
        layer = nn.TransformerDecoderLayer(
            WIDTH, WIDTH // 32, 4 * WIDTH, dropout=0.1, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerDecoder(layer, LAYERS, nn.LayerNorm(WIDTH))

    def look(self, images: torch.Tensor) -> torch.Tensor:
        """What is at each place (n, places, WIDTH) of photographs (n, SIDE, SIDE, 3) of bytes."""
        pixels = images.to(DEVICE).permute(0, 3, 1, 2).float() / 127.5 - 1
        return self.stages(pixels).flatten(2).transpose(1, 2) + self.places

    def forward(self, seen: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """Scores of every next word (n, t, vocabulary), of what was seen and the words so far."""
        length = texts.shape[1]
        after = torch.ones(length, length, dtype=torch.bool, device=DEVICE).triu(1)
        states = self.words(texts) + self.order[:length]
        states = self.layers(states, seen, tgt_mask=after, tgt_is_causal=True)
        return states @ self.words.weight.T


def faster() -> torch.autocast:
    """Half precision where there is a GPU."""
    return torch.autocast(DEVICE.type, torch.bfloat16, enabled=DEVICE.type == "cuda")


def train(model: Captioner, images: torch.Tensor, captions: list[torch.Tensor]) -> None:
    """Learn from one caption of each photograph at a time, captions having shape (k, LENGTH)."""
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0.05)
    began, done, total, told = time.monotonic(), 0, EPOCHS * len(images), 0.0
    epochs = (torch.randperm(len(images)).split(BATCH) for _ in range(EPOCHS))
    for rows in (part for epoch in epochs for part in epoch):
        share = max(done / total, (time.monotonic() - began) / (STARTED + TRAINED_BY - began))
        if share >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(share / WARM, (1 - share) / (1 - WARM), 1)
        x, y = torch.randint(STORED - SIDE + 1, (2,)).tolist()
        shown = images[rows, y : y + SIDE, x : x + SIDE]
        shown = shown.flip(2) if torch.rand(()) < 0.5 else shown
        texts = torch.stack([captions[i][torch.randint(len(captions[i]), ())] for i in rows])
        texts = texts.to(DEVICE)
        before = nn.functional.pad(texts[:, :-1], (1, 0), value=START).clamp(min=0)
        with faster():
            scores = model(model.look(shown), before).float()
        loss = cross_entropy(scores.flatten(0, 1), texts.flatten(), label_smoothing=SMOOTHING)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        done += len(rows)
        if share >= told:
            seconds = time.monotonic() - STARTED
            print(f"{done} captions, {seconds:.0f} s, loss {loss:.3f}", flush=True)
            told += 0.05


@torch.no_grad()
def write(model: Captioner, images: torch.Tensor) -> torch.Tensor:
    """The likeliest captions (n, t) that are found by following BEAMS beginnings of each."""
    n, edge = len(images), (STORED - SIDE) // 2
    with faster():
        seen = model.look(images[:, edge : edge + SIDE, edge : edge + SIDE])
    seen = seen.repeat_interleave(BEAMS, 0)
    texts = torch.full((n * BEAMS, 1), START, device=DEVICE)
    # all beginnings are the same at first, so only one of them counts
    totals = torch.tensor([0.0] + [-torch.inf] * (BEAMS - 1), device=DEVICE).repeat(n)
    firsts = BEAMS * torch.arange(n, device=DEVICE)[:, None]
    for _ in range(LENGTH):
        with faster():
            scores = model(seen, texts)[:, -1].float()
        scores[:, [START, UNKNOWN]] = -torch.inf
        scores = scores.log_softmax(1)
        ended = texts[:, -1] == END
        scores[ended] = -torch.inf
        scores[ended, END] = 0.0
        totals, chosen = (totals[:, None] + scores).view(n, -1).topk(BEAMS)
        rows = (firsts + chosen // scores.shape[1]).flatten()
        texts = torch.cat([texts[rows], (chosen % scores.shape[1]).view(-1, 1)], 1)
        totals = totals.flatten()
    lengths = (texts != END).sum(1)
    best = (totals / lengths).view(n, BEAMS).argmax(1, keepdim=True)
    return texts[(firsts + best).flatten(), 1:]


def vocabulary_of(captions: Iterable[list[str]]) -> list[str]:
    """Every word that occurs often enough, after three that are none."""
    counts = Counter(word for caption in captions for word in caption)
    return ["<start>", "<end>", "<unknown>", *(w for w, n in counts.items() if n >= SELDOM)]


def encoded(texts: list[str], numbers: dict[str, int]) -> torch.Tensor:
    """Captions as numbers of words with shape (len(texts), LENGTH); -100 comes after the end."""
    table = torch.full((len(texts), LENGTH), -100)
    for row, text in zip(table, texts, strict=True):
        found = [*(numbers.get(word, UNKNOWN) for word in words(text)[: LENGTH - 1]), END]
        row[: len(found)] = torch.tensor(found)
    return table


def main() -> None:
    """Describe every test photograph."""
    torch.manual_seed(0)
    with Path("data/train.jsonl").open(encoding="utf-8") as stream:
        train_rows = [json.loads(line) for line in stream]
    with Path("data/test.csv").open(newline="", encoding="utf-8") as stream:
        test = list(csv.DictReader(stream))
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        asked = photographs(pool, [row["file"] for row in test], math.inf)
        known = photographs(pool, [row["file"] for row in train_rows], READ_BY)
    train_rows = train_rows[: len(known)]
    vocabulary = vocabulary_of(words(text) for row in train_rows for text in row["captions"])
    numbers = {word: number for number, word in enumerate(vocabulary)}
    captions = [encoded(row["captions"], numbers) for row in train_rows]
    print(f"{len(known)} photographs, {len(vocabulary)} words, {DEVICE}", flush=True)

    model = Captioner(len(vocabulary)).to(DEVICE)
    train(model, known, captions)
    model.eval()
    written = torch.cat([write(model, images) for images in asked.split(BATCH)]).tolist()
    with Path("submission.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("id", "caption"))
        for row, text in zip(test, written, strict=True):
            said = [vocabulary[number] for number in text if number != END]
            writer.writerow((row["id"], " ".join(said) or vocabulary[-1]))
    print(f"wrote {len(test)} captions, {time.monotonic() - STARTED:.0f} s in all")


if __name__ == "__main__":
    main()
