"""Score captions: corpus BLEU-4 and CIDEr-D on the public half, or on all test photographs.

BLEU: Papineni, Roukos, Ward and Zhu, 2002, as sacrebleu computes it, without smoothing and divided
by 100: the geometric mean of the clipped precisions of 1- to 4-grams over all captions, times
exp(1 - r/c) where the captions' length c is below the nearest references' length r.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import sacrebleu
from cider import Cider
from harness.setting import Setting
from harness.table import match_ids, read_table
from harness.verdict import invalid, leaked

COPIED_SHARE = 0.5
"""Two people hardly ever write the same sentence about a photograph, and neither do models."""

Words = list[str]


@dataclass(frozen=True)
class Described:
    """One photograph's caption, and what people wrote."""

    caption: Words
    references: list[Words]
    half: str


def grade(
    submission: Path, private: Path, player: None, seed: int, setting: Setting
) -> tuple[dict[str, float], dict[str, int]]:
    """The metrics of one submission; `submit` adds those of the private half alone."""
    hidden = read_references(private / "references.jsonl")
    rows = match_ids(read_table(submission, setting.table_schema), "id", hidden)
    every = [
        Described(words(rows[i]["caption"]), references, half)
        for i, (references, half) in hidden.items()
    ]
    wordless = [i for i, one in zip(hidden, every, strict=True) if not one.caption]
    if wordless:
        raise invalid(*(f"the caption of id {i} has no English word in it" for i in wordless))
    cider = Cider([one.references for one in every])
    parts = {half: [one for one in every if one.half == half] for half in ("public", "private")}
    if setting.kind == "validate":
        scored = parts["public"]
        metrics = scores(cider, scored)
    else:
        scored = every
        private_scores = scores(cider, parts["private"])
        metrics = scores(cider, every) | {f"private_{k}": v for k, v in private_scores.items()}
    copied = sum(one.caption in one.references for one in every)
    if copied >= COPIED_SHARE * len(every):
        said = f"{copied} of {len(every)} captions are hidden ones word for word"
        raise leaked(said, metrics=metrics)
    return metrics, {"rows": len(scored)}


def words(text: str) -> Words:
    """Words in lower case without punctuation; what follows an apostrophe is a word of its own."""
    return re.findall(r"[a-z0-9]+|'[a-z]+", text.lower())


def read_references(path: Path) -> dict[int, tuple[list[Words], str]]:
    """The references and the half of each test photograph, by id."""
    with path.open(encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    return {row["id"]: ([words(text) for text in row["references"]], row["half"]) for row in rows}


def scores(cider: Cider, described: list[Described]) -> dict[str, float]:
    """BLEU-4 from 0 to 1, and the mean of CIDEr-D."""
    captions = [" ".join(one.caption) for one in described]
    count = min(len(one.references) for one in described)
    references = [[" ".join(one.references[n]) for one in described] for n in range(count)]
    found = sacrebleu.corpus_bleu(
        captions, references, tokenize="none", smooth_method="none", force=True
    )
    total = sum(cider.score(one.caption, one.references) for one in described)
    return {"bleu": found.score / 100, "cider": total / len(described)}
