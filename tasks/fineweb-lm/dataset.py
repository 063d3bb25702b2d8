"""Lay out token shards: some for the agent, the hidden ones for the judge.

Run in a sandbox as `python dataset.py SOURCES OUT VARIANT`. A shard is a header of 256 int32 (magic
20240520, version 1, number of tokens), then the tokens as uint16, all lowest byte first. `full` has
the published shards of GPT-2 tokens. `mini` has real text too, but little of it, and trains byte
pairs of its own, because GPT-2's cannot be fetched everywhere.
"""

import json
import os
import random
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

MAGIC = 20240520
HEADER = 256
END = "<|endoftext|>"

FULL = {"vocabulary": 50257, "end": 50256, "length": 1024, "positions": 4}
MINI = {"vocabulary": 2048, "end": 0, "length": 128, "positions": 4}
"""Sizes: of the vocabulary, the longest context; and how many positions of a window are scored."""

FULL_HIDDEN = 10_485_760
MINI_HIDDEN_DOCUMENTS = 100
MINI_VALIDATION_DOCUMENTS = 20
SEED = 11
TRIAL_TOKENS = 4096

Tokens = NDArray[np.uint16]
Shards = dict[str, Tokens]


def read_shard(path: Path) -> Tokens:
    """The tokens of a shard."""
    header = np.fromfile(path, "<i4", HEADER)
    if len(header) < HEADER or header[0] != MAGIC or header[1] != 1:
        raise SystemExit(f"{path.name} is no shard of version 1")
    tokens = np.memmap(path, "<u2", "r", offset=4 * HEADER)
    if len(tokens) != header[2]:
        raise SystemExit(f"{path.name} has {len(tokens)} tokens; its header says {header[2]}")
    return tokens


def write_shard(path: Path, tokens: Tokens) -> None:
    """Write tokens with a header."""
    header = np.zeros(HEADER, "<i4")
    header[:3] = MAGIC, 1, len(tokens)
    with path.open("wb") as stream:
        stream.write(header.tobytes())
        stream.write(np.ascontiguousarray(tokens, "<u2").tobytes())


def full(sources: Path) -> Shards:
    """The published shards; what follows the hidden tokens in theirs is for the agent's checks."""
    held = read_shard(sources / "fineweb_val_000000.bin")
    return {
        "train": read_shard(sources / "fineweb_train_000001.bin"),
        "validation": held[2 * FULL_HIDDEN : 3 * FULL_HIDDEN],
        "hidden": held[:FULL_HIDDEN],
    }


def mini(sources: Path, public: Path) -> Shards:
    """Whole documents for each part; the byte pairs are learnt from the training part alone."""
    with (sources / "fineweb_300docs.jsonl").open(encoding="utf-8") as stream:
        documents = [json.loads(line)["text"] for line in stream]
    random.Random(SEED).shuffle(documents)
    shown = documents[MINI_HIDDEN_DOCUMENTS:]
    parts = {
        "train": [
            *shown[MINI_VALIDATION_DOCUMENTS:],
            (sources / "fineweb_edu_1mb.txt").read_text(encoding="utf-8"),
        ],
        "validation": shown[:MINI_VALIDATION_DOCUMENTS],
        "hidden": documents[:MINI_HIDDEN_DOCUMENTS],
    }
    tokenizer = learnt(parts["train"])
    tokenizer.save(str(public / "tokenizer.json"))
    return {name: encoded(tokenizer, texts) for name, texts in parts.items()}


def learnt(texts: list[str]) -> Tokenizer:
    """Byte pairs, as GPT-2 has them, but fewer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=MINI["vocabulary"],
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encoded(tokenizer: Tokenizer, texts: Iterable[str]) -> Tokens:
    """All texts in one row, each behind an end of text, as in the published shards."""
    rows = [[MINI["end"], *tokenizer.encode(text).ids] for text in texts]
    return np.concatenate([np.array(row, np.uint16) for row in rows])


def card(variant: str, sizes: dict[str, int], shards: Shards) -> dict[str, object]:
    """What a reader asks first."""
    note = "Tokens are uint16 behind a header of 256 int32: magic 20240520, version 1, count."
    if variant == "mini":
        note += (
            " MINI: real FineWeb text, about two megabytes, with 2048 byte pairs of its own. Losses "
            "are per such token and do not compare with the published ones."
        )
    return {
        "title": "FineWeb",
        "licence": "ODC-By 1.0, and Common Crawl's terms of use",
        "rows": {f"{name}.bin": len(shards[name]) for name in ("train", "validation")},
        "hidden_tokens": len(shards["hidden"]),
        "vocabulary": sizes["vocabulary"],
        "end_of_text": sizes["end"],
        "length": sizes["length"],
        "note": note,
    }


def main() -> None:
    """Prepare one variant."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    sources, out, variant = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    public, private = out / "public", out / "private"
    public.mkdir()
    private.mkdir()
    sizes = MINI if variant == "mini" else FULL
    shards = mini(sources, public) if variant == "mini" else full(sources)
    for name in ("train", "validation"):
        write_shard(public / f"{name}.bin", shards[name])
    shown = {name: sizes[name] for name in ("vocabulary", "end", "length")}
    (public / "sizes.json").write_text(json.dumps(shown), encoding="utf-8")
    write_shard(private / "hidden.bin", shards["hidden"])
    write_shard(private / "trial.bin", shards["train"][:TRIAL_TOKENS])
    (private / "sizes.json").write_text(json.dumps(sizes), encoding="utf-8")
    text = json.dumps(card(variant, sizes, shards), indent=1)
    (out / "card.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
