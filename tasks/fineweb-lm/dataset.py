"""Lay out token shards: some for the agent, the hidden ones for the judge.

Run in a sandbox as `python dataset.py SOURCES OUT VARIANT`. A shard is a header of 256 int32 (magic
20240520, version 1, number of tokens), then the tokens as uint16, all lowest byte first. `full` has
the published shards of GPT-2 tokens. `mini` has real text too, but little of it, and trains byte
pairs of its own, because GPT-2's cannot be fetched everywhere. `generated` is as mini, but needs no
file: it draws its text from a small grammar with invented words.
"""

import json
import math
import os
import random
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
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

GENERATED_DOCUMENTS = 600
GENERATED_LICENCE = "CC0: drawn by a program of this project"
GENERATED_SEED = 20_260_126
TOPICS = 12
ONSETS = ["b", "d", "j", "k", "l", "m", "n", "r", "s", "t", "v", "w", "br", "dr", "kr", "st", "tr"]

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
    """Whole documents for each part; another megabyte is for training."""
    with (sources / "fineweb_300docs.jsonl").open(encoding="utf-8") as stream:
        documents = [json.loads(line)["text"] for line in stream]
    more = (sources / "fineweb_edu_1mb.txt").read_text(encoding="utf-8")
    return parted(documents, [more], public)


def parted(documents: list[str], more: list[str], public: Path) -> Shards:
    """Shards of whole documents; the byte pairs are learnt from the training part alone."""
    random.Random(SEED).shuffle(documents)
    shown = documents[MINI_HIDDEN_DOCUMENTS:]
    parts = {
        "train": [*shown[MINI_VALIDATION_DOCUMENTS:], *more],
        "validation": shown[:MINI_VALIDATION_DOCUMENTS],
        "hidden": documents[:MINI_HIDDEN_DOCUMENTS],
    }
    tokenizer = learnt(parts["train"])
    tokenizer.save(str(public / "tokenizer.json"))
    return {name: encoded(tokenizer, texts) for name, texts in parts.items()}


class Table:
    """Words, and how likely each is."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        self.words = list(shares)
        self.shares = shares
        self.sums = list(accumulate(shares.values()))

    def nats(self, word: str) -> float:
        """What it tells that this word was drawn."""
        return math.log(self.sums[-1] / self.shares[word])


def zipf(words: list[str]) -> Table:
    """The first word is the likeliest: the shares are 1/2, 1/3, 1/4, up to a factor."""
    return Table({word: 1 / rank for rank, word in enumerate(words, 2)})


def even(*words: str) -> Table:
    """All words are as likely."""
    return Table(dict.fromkeys(words, 1.0))


def mixed(share: float, one: Table, other: Table) -> Table:
    """A word of one table with that probability, else of the other."""
    shares = dict.fromkeys([*one.words, *other.words], 0.0)
    for weight, table in ((share, one), (1 - share, other)):
        for word in table.words:
            shares[word] += weight * table.shares[word] / table.sums[-1]
    return Table(shares)


class Language:
    """The words of the invented language, which all documents share."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._taken: set[str] = set()
        self.towns = zipf(self._names(60))
        self.given = {"she": zipf(self._names(50)), "he": zipf(self._names(50))}
        self.family = zipf(self._names(150))
        self.adverbs = zipf(self._words(40))
        self.topics = [str(topic) for topic in range(TOPICS)]
        common = {"noun": self._words(90), "verb": self._words(40), "adjective": self._words(40)}
        self.of_topic: dict[str, dict[str, Table]] = {}
        self.objects: dict[str, dict[str, Table]] = {}
        for topic in self.topics:
            own = {"noun": self._words(50), "verb": self._words(18), "adjective": self._words(14)}
            tables = {kind: mixed(0.65, zipf(own[kind]), zipf(common[kind])) for kind in own}
            self.of_topic[topic] = tables
            self.objects[topic] = {
                verb: mixed(0.6, zipf(chance.sample(own["noun"], 5)), tables["noun"])
                for verb in tables["verb"].words
            }

    def _names(self, count: int) -> list[str]:
        return [word.capitalize() for word in self._words(count)]

    def _words(self, count: int) -> list[str]:
        """New words; the commoner half has two syllables, the others have three."""
        found: list[str] = []
        while len(found) < count:
            syllables = 2 if 2 * len(found) < count else 3
            letters = [ONSETS, "aeiou"] * syllables + ["nrlm"]
            word = "".join(self._chance.choice(some) for some in letters)
            if word not in self._taken:
                self._taken.add(word)
                found.append(word)
        return found


PLURAL = Table({"the": 3, "these": 1, "many": 1, "some": 1, "no": 1, "two": 1, "three": 1})
SINGULAR = Table({"the": 3, "a": 3, "this": 1, "each": 1, "every": 1, "one": 1, "no": 1})
LINKS = even(", and", ", but", " because", " when", "; still,", " until")
TENSES = Table({"now": 3, "past": 3, "not": 1, "will": 1})
KINDS = Table({"plain": 3, "person": 3, "linked": 2, "when": 1, "count": 1, "asked": 1, "told": 1})
LENGTHS = Table({"1": 1, "2": 2, "3": 1, "4": 1})
DIGITS = even(*"0123456789")


class Writer:
    """Writes one document; its topic, people, towns and years come up again.

    What it draws can be read off the text, nearly all of it, so `nats` is the text's entropy too.
    """

    def __init__(self, language: Language, chance: random.Random) -> None:
        self._language = language
        self._chance = chance
        self._known: dict[str, list[str]] = {}
        self._spoken_of = ""
        self.nats = 0.0
        """The sum of -log p of all that was drawn so far."""

        self._topic = self._pick(even(*language.topics))

    def document(self) -> str:
        """A title, and paragraphs of which most keep the topic."""
        parts = [f"The {self._word('noun')} of {self._town()}"]
        while len(parts) < 3 or self._toss(0.91):
            if self._toss(0.1):
                self._topic = self._pick(even(*self._language.topics))
            sentences = [self._sentence()]
            while self._toss(0.83):
                sentences.append(self._sentence())
            parts.append(" ".join(sentences))
        return "\n".join(parts)

    def _pick(self, table: Table) -> str:
        word = self._chance.choices(table.words, cum_weights=table.sums)[0]
        self.nats += table.nats(word)
        return word

    def _toss(self, share: float) -> bool:
        hit = self._chance.random() < share
        self.nats -= math.log(share if hit else 1 - share)
        return hit

    def _word(self, kind: str) -> str:
        return self._pick(self._language.of_topic[self._topic][kind])

    def _again(self, kind: str, new: Callable[[], str]) -> str:
        """One that the document has named, the latest likeliest; the more there are, the less new."""
        known = self._known.setdefault(kind, [])
        if not known or self._toss(1 / (2 + len(known))):
            known.append(new())
        else:
            back = int(self._pick(zipf([str(i) for i in range(len(known))])))
            known.append(known.pop(-1 - back))
        return known[-1]

    def _town(self) -> str:
        return self._again("town", lambda: self._pick(self._language.towns))

    def _year(self) -> str:
        return self._again("year", lambda: "1" + self._number(3))

    def _number(self, digits: int) -> str:
        return "".join(self._pick(DIGITS) for _ in range(digits))

    def _sentence(self) -> str:
        kind = self._pick(KINDS)
        if kind == "asked":
            return f"Why {self._question()}?"
        text = {
            "plain": self._clause,
            "person": lambda: f"{self._person()} {self._predicate(plural=False)}",
            "linked": lambda: f"{self._clause()}{self._pick(LINKS)} {self._clause()}",
            "when": lambda: f"in {self._year()}, {self._clause()}",
            "count": self._count,
            "told": lambda: f"{self._person()} says that {self._clause()}",
        }[kind]()
        return f"{text[0].upper()}{text[1:]}."

    def _clause(self) -> str:
        plural = self._toss(0.4)
        return f"{self._thing(self._word('noun'), plural)} {self._predicate(plural)}"

    def _question(self) -> str:
        plural = self._toss(0.4)
        subject = self._thing(self._word("noun"), plural)
        return f"{'do' if plural else 'does'} {subject} {self._rest(self._word('verb'))}"

    def _count(self) -> str:
        count = f"{self._number(int(self._pick(LENGTHS)))} {self._word('noun')}s"
        return f"in {self._town()} there were {count} in {self._year()}"

    def _person(self) -> str:
        """A pronoun for whom the text spoke of last, a full name at first, then a part of it."""
        if self._spoken_of and self._toss(0.5):
            return self._spoken_of
        before = len(self._known.get("person", []))
        pronoun, given, family = self._again("person", self._somebody).split()
        self._spoken_of = pronoun
        if len(self._known["person"]) > before:
            return f"{given} {family}"
        return family if self._toss(0.7) else given

    def _somebody(self) -> str:
        pronoun = "she" if self._toss(0.5) else "he"
        given = self._pick(self._language.given[pronoun])
        return f"{pronoun} {given} {self._pick(self._language.family)}"

    def _thing(self, noun: str, plural: bool) -> str:
        words = [self._pick(PLURAL if plural else SINGULAR)]
        if self._toss(0.35):
            words.append(self._word("adjective"))
        words.append(f"{noun}s" if plural else noun)
        if self._toss(0.12):
            words.append(f"of {self._thing(self._word('noun'), self._toss(0.4))}")
        if self._toss(0.06):
            words.append(f"that {self._predicate(plural)}")
        return " ".join(words)

    def _predicate(self, plural: bool) -> str:
        """A verb that agrees with its subject, and what belongs to it."""
        verb, tense = self._word("verb"), self._pick(TENSES)
        rest = self._rest(verb)
        if tense == "now" and not plural:
            return rest.replace(verb, f"{verb}s", 1)
        if tense == "past":
            return rest.replace(verb, f"{verb}ed", 1)
        if tense == "not":
            return f"{'do' if plural else 'does'} not {rest}"
        return f"will {rest}" if tense == "will" else rest

    def _rest(self, verb: str) -> str:
        """The bare verb, often with an object that suits it, an adverb or a place."""
        words = [verb]
        if self._toss(0.75):
            noun = self._pick(self._language.objects[self._topic][verb])
            words.append(self._thing(noun, self._toss(0.4)))
        if self._toss(0.15):
            words.append(self._pick(self._language.adverbs))
        if self._toss(0.12):
            words.append(f"in {self._town()}")
        return " ".join(words)


def generated(public: Path) -> tuple[Shards, float]:
    """Shards of drawn documents, and how many nats were drawn for each token."""
    chance = random.Random(GENERATED_SEED)
    language = Language(chance)
    writers = [Writer(language, chance) for _ in range(GENERATED_DOCUMENTS)]
    shards = parted([writer.document() for writer in writers], [], public)
    tokens = sum(len(shard) for shard in shards.values())
    return shards, round(sum(writer.nats for writer in writers) / tokens, 2)


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


NOTE = "Tokens are uint16 behind a header of 256 int32: magic 20240520, version 1, count."
NOTES = {
    "full": "",
    "mini": " MINI: real FineWeb text, about two megabytes, with 2048 byte pairs of its own. Losses "
    "are per such token and do not compare with the published ones.",
    "generated": " GENERATED: a seeded program draws the text, about two megabytes with 2048 byte "
    "pairs of its own; nothing is of FineWeb. Losses compare with neither mini nor full.",
}


def card(variant: str, sizes: dict[str, int], shards: Shards) -> dict[str, object]:
    """What a reader asks first."""
    drawn = variant == "generated"
    return {
        "title": "GENERATED text in an invented language" if drawn else "FineWeb",
        "licence": GENERATED_LICENCE if drawn else "ODC-By 1.0, and Common Crawl's terms of use",
        "rows": {f"{name}.bin": len(shards[name]) for name in ("train", "validation")},
        "hidden_tokens": len(shards["hidden"]),
        "vocabulary": sizes["vocabulary"],
        "end_of_text": sizes["end"],
        "length": sizes["length"],
        "note": f"{NOTE}{NOTES[variant]}",
    }


def main() -> None:
    """Prepare one variant."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    sources, out, variant = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    public, private = out / "public", out / "private"
    public.mkdir()
    private.mkdir()
    sizes = FULL if variant == "full" else MINI
    own: dict[str, object] = {}
    if variant == "generated":
        shards, own["nats_drawn_for_a_token"] = generated(public)
    else:
        shards = mini(sources, public) if variant == "mini" else full(sources)
    for name in ("train", "validation"):
        write_shard(public / f"{name}.bin", shards[name])
    shown = {name: sizes[name] for name in ("vocabulary", "end", "length")}
    (public / "sizes.json").write_text(json.dumps(shown), encoding="utf-8")
    write_shard(private / "hidden.bin", shards["hidden"])
    write_shard(private / "trial.bin", shards["train"][:TRIAL_TOKENS])
    (private / "sizes.json").write_text(json.dumps(sizes), encoding="utf-8")
    text = json.dumps(card(variant, sizes, shards) | own, indent=1)
    (out / "card.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
