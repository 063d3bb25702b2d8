"""Split the pairs into what an agent sees and what only the judge sees.

Run in a sandbox as `python dataset.py SOURCES OUT VARIANT`. The test pairs are the official matched
development set, in a seeded order and with new ids, so that neither tells anything. `generated` needs
no file: it draws its pairs from a small grammar, and labels them by what their sentences mean.
"""

import csv
import gzip
import json
import random
import shutil
import sys
import zipfile
from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

LABELS = ("entailment", "neutral", "contradiction")
ORDER_SEED = 20_180_101
HALF_SEED = 20_250_220
SPLIT_SEED = 7
MINI_VALIDATION = 1000
RESPLIT = False
"""Whether `full` draws its test pairs anew, by SPLIT_SEED; docs/tasks/mnli.md says what for."""

Pair = dict[str, object]

GENERATED_SEED = 20_260_118
GENERATED_PREMISES = {"train": 6000, "validation": 333, "test": 667}
"""Of the generated variant: each premise comes with three hypotheses, one for each label."""

NOISE = 0.1
"""The share of generated labels that are drawn again: a third of them stay what they were. Who knows
what every sentence means is right on 14 of 15 pairs, 93.3 %, and nobody is right on more."""

Phrases = dict[str, frozenset[str]]
"""What can be said in one place of a sentence, and for each the cases in which it is true."""


def tree(form: str, text: str) -> Phrases:
    """Words and the kinds they belong to; a kind is true of all its words."""
    kinds = [part.strip().split(": ") for part in text.split(";")]
    cases = {kind: frozenset(words.split()) for kind, words in kinds}
    cases |= {word: frozenset({word}) for _, words in kinds for word in words.split()}
    return {form.format(word): true for word, true in cases.items()}


def counts() -> Phrases:
    """Numbers from two to ten, exact and as bounds."""
    names = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    found: Phrases = {}
    for number, name in enumerate(names, 2):
        low, high = range(1, number + 1), range(number, 99)
        found[name] = frozenset({str(number)})
        found[f"at least {name}"] = frozenset(map(str, high))
        found[f"more than {name}"] = frozenset(map(str, high[1:]))
        found[f"at most {name}"] = frozenset(map(str, low))
        found[f"fewer than {name}"] = frozenset(map(str, low[:-1]))
    return found


PEOPLE = """musician: cellist drummer piper singer; healer: surgeon dentist nurse midwife;
official: judge mayor clerk consul; seafarer: captain pilot helmsman deckhand;
grower: beekeeper shepherd gardener miller"""
THINGS = """instrument: violin trumpet flute banjo; tool: hammer chisel spanner ladle;
garment: coat jacket scarf bonnet; vessel: jug bowl kettle bucket; fruit: plum melon lemon apricot"""
SLOTS: dict[str, Phrases] = {
    "who": tree("{}", PEOPLE),
    "whom": tree("{}", PEOPLE),
    "thing": tree("{}s", THINGS),
    "count": counts(),
    "colour": tree("{}", "red: red; green: green; blue: blue"),
    "place": tree("in {}", "the north: Aldmoor Brenwick Corsby; the south: Dunhollow Fennick"),
    "day": tree("on {}", "a weekday: Monday Tuesday Thursday; the weekend: Saturday Sunday"),
    "month": tree("in {}", "spring: March April May; autumn: September October November"),
    "mood": tree("{}", "gladly: gladly; reluctantly: reluctantly"),
}
DETAILS = {"place": 0.4, "day": 0.3, "month": 0.3, "mood": 0.05}
OF_THINGS = {"count": 0.4, "colour": 0.4} | DETAILS
"""What may be added to a deed, to the second what is done to things, and how often a premise does."""

VERBS = """
thing: buy/bought purchase/purchased; sell/sold
thing: find/found discover/discovered; lose/lost mislay/mislaid
thing: hide/hid conceal/concealed; show/showed display/displayed
thing: clean/cleaned wash/washed; soil/soiled
thing: repair/repaired mend/mended; break/broke damage/damaged
thing: lift/lifted raise/raised; lower/lowered
either: meet/met;
either: argue_with/argued_with quarrel_with/quarrelled_with;
ordered: arrive_before/arrived_before; arrive_after/arrived_after
ordered: win_against/won_against beat/beat; lose_to/lost_to
ordered: stand_in_front_of/stood_in_front_of; stand_behind/stood_behind
open: lend_money_to/lent_money_to; borrow_money_from/borrowed_money_from
open: teach/taught instruct/instructed; learn_from/learned_from
open: help/helped assist/assisted;
"""
"""A line for each deed: its kind and its verbs; behind the semicolon its opposite, or between persons
the same told of the other one. Told of B and A it is as true (either), false (ordered), or open."""


class Verb(NamedTuple):
    """A verb: the number of its deed, the side of the semicolon, and its forms."""

    deed: int
    side: int
    kind: str
    base: str
    past: str


KNOWN = [
    Verb(deed, side, line.partition(": ")[0], *forms.replace("_", " ").split("/"))
    for deed, line in enumerate(VERBS.strip().splitlines())
    for side, text in enumerate(line.partition(": ")[2].split(";"))
    for forms in text.split()
]
STANCES = {
    "does": ("{past}", "{past}", "managed to {base}"),
    "not": ("did not {base}", "never {past}", "failed to {base}"),
    "maybe": ("hoped to {base}", "planned to {base}"),
}
"""How a verb is said of what is so, is not so, and may be so."""


class Event(NamedTuple):
    """What a clause says: a verb, a phrase for each slot spoken of, and one of `STANCES`."""

    verb: Verb
    said: dict[str, str]
    stance: str


def label_of(premise: Event, hypothesis: Event) -> str:
    """What the first says of the second, which is about persons of the first.

    Both are taken to be about one occasion if the deed is the same or its opposite: whoever sold
    violins did not sell flutes. Of another deed, or of a mere hope, nothing follows.
    """
    one, two, said = premise.verb, hypothesis.verb, dict(hypothesis.said)
    turned = one.side != two.side
    if one.deed != two.deed or premise.stance == "maybe":
        return "neutral"
    if "whom" in said:
        swapped = SLOTS["who"][premise.said["who"]].isdisjoint(SLOTS["who"][said["who"]])
        if swapped:
            said["who"], said["whom"] = said["whom"], said["who"]
        turned = swapped != turned and one.kind != "either"
    if turned and one.kind == "open":
        return "neutral"
    known = relation(premise, said, turned)
    if hypothesis.stance == "does" or known == "neutral":
        return known
    return "entailment" if known == "contradiction" else "contradiction"


def relation(premise: Event, said: dict[str, str], turned: bool) -> str:
    """The label of what is said without negation; `turned` when it is the opposite deed.

    Who speaks of fewer cases says more, and who denies them says less.
    """
    here = {slot: SLOTS[slot][phrase] for slot, phrase in premise.said.items()}
    there = {slot: SLOTS[slot][phrase] for slot, phrase in said.items()}
    both = here.keys() & there.keys()
    apart = turned or any(here[slot].isdisjoint(there[slot]) for slot in both)
    if premise.stance == "not":
        around = both == here.keys() and all(there[slot] <= here[slot] for slot in both)
        return "contradiction" if around and not apart else "neutral"
    within = both == there.keys() and all(here[slot] <= there[slot] for slot in both)
    return "contradiction" if apart else "entailment" if within else "neutral"


def event_of(chance: random.Random, persons: list[str], stance: str) -> Event:
    """A deed with some of what can be said of it; the persons it needs are taken off the list."""
    verb = chance.choice(KNOWN)
    said = {"who": persons.pop()}
    if verb.kind == "thing":
        said["thing"] = chance.choice(list(SLOTS["thing"]))
    else:
        said["whom"] = persons.pop()
    for slot, often in (OF_THINGS if "thing" in said else DETAILS).items():
        if chance.random() < often and not (slot == "count" and stance == "not"):
            said[slot] = chance.choice(list(SLOTS[slot]))
    return Event(verb, said, stance)


def premise_of(chance: random.Random) -> list[Event]:
    """One event or two, whose persons are all of different kinds."""
    people = SLOTS["who"]
    kinds = chance.sample([cases for cases in people.values() if len(cases) > 1], 4)
    persons = [chance.choice([name for name in people if people[name] <= kind]) for kind in kinds]
    stances = [chance.choice(("does", "does", "does", "not"))]
    if chance.random() < 0.5:
        stances.append(chance.choice(("does", "does", "not", "maybe")))
    return [event_of(chance, persons, stance) for stance in stances]


@cache
def near(slot: str, phrase: str) -> list[list[str]]:
    """Phrases that are wider, that are narrower, and others; no other persons."""
    phrases = SLOTS[slot]
    own = phrases[phrase]
    wider = [name for name, cases in phrases.items() if own < cases]
    narrower = [name for name, cases in phrases.items() if cases < own]
    others = [] if slot.startswith("who") else [name for name in phrases if name != phrase]
    return [found for found in (wider, narrower, others) if found]


def varied(chance: random.Random, event: Event, others: list[Event]) -> Event:
    """A hypothesis about the persons of an event, which may borrow from the other clause."""
    said: dict[str, str] = {}
    for slot, phrase in event.said.items():
        if chance.random() < 0.7:
            said[slot] = phrase
        elif slot in ("who", "whom", "thing") or chance.random() < 0.4:
            said[slot] = chance.choice(chance.choice(near(slot, phrase)))
    for slot in ("thing", *OF_THINGS) if "thing" in said else DETAILS:
        borrowed = [one.said[slot] for one in others if slot in one.said]
        if borrowed and chance.random() < 0.2:
            said[slot] = borrowed[0]
        elif slot not in event.said and chance.random() < 0.2:
            said[slot] = chance.choice(list(SLOTS[slot]))
    if "whom" in said and chance.random() < 0.4:
        said["who"], said["whom"] = said["whom"], said["who"]
    same = [verb for verb in KNOWN if verb.deed == event.verb.deed]
    verb = chance.choice((event.verb, chance.choice(same)))
    denied = chance.random() < (0.5 if event.stance == "not" else 0.25)
    return Event(verb, said, "not" if denied else "does")


def clause(chance: random.Random, event: Event) -> str:
    """The event in words, without a capital at its start."""
    said = event.said
    number = said.get("count", "any" if event.stance == "not" else "some")
    words = (number, said.get("colour"), said.get("thing"))
    what = " ".join(filter(None, words)) if "thing" in said else f"the {said['whom']}"
    verb = chance.choice(STANCES[event.stance]).format(base=event.verb.base, past=event.verb.past)
    core = f"the {said['who']} {verb} {what}"
    extra = [said[slot] for slot in DETAILS if slot in said]
    chance.shuffle(extra)
    if extra and chance.random() < 0.3:
        core = f"{extra.pop()}, {core}"
    return " ".join([core, *extra])


def sentence(chance: random.Random, events: list[Event]) -> str:
    """The events as one sentence."""
    text = chance.choice((", while ", ", and ", "; ")).join(clause(chance, one) for one in events)
    return f"{text[0].upper()}{text[1:]}."


def hypotheses_of(chance: random.Random, events: list[Event]) -> dict[str, str]:
    """A hypothesis for each label; fewer where one is hard to find."""
    found: dict[str, str] = {}
    for _ in range(300):
        at = chance.randrange(len(events))
        drawn = varied(chance, events[at], events[:at] + events[at + 1 :])
        label = label_of(events[at], drawn)
        if label not in found and drawn != events[at]:
            found[label] = sentence(chance, [drawn])
        if len(found) == len(LABELS):
            break
    return found


def generated() -> dict[str, list[Pair]]:
    """Pairs of a seeded grammar: as many for each label, before the noise; no premise twice."""
    chance, noise = random.Random(GENERATED_SEED), random.Random(GENERATED_SEED + 1)
    seen: set[str] = set()
    parts: dict[str, list[Pair]] = {}
    for part, premises in GENERATED_PREMISES.items():
        rows: list[Pair] = []
        while len(rows) < len(LABELS) * premises:
            events = premise_of(chance)
            premise, found = sentence(chance, events), hypotheses_of(chance, events)
            if len(found) == len(LABELS) and premise not in seen:
                seen.add(premise)
                for label in LABELS:
                    noisy = noise.choice(LABELS) if noise.random() < NOISE else label
                    rows.append(pair(premise, found[label], noisy))
        chance.shuffle(rows)
        parts[part] = rows
    return parts


def published(archive: zipfile.ZipFile, part: str) -> list[Pair]:
    """One part of the published corpus; pairs without a gold label (`-`) are left out."""
    with archive.open(f"multinli_1.0/multinli_1.0_{part}.jsonl") as stream:
        rows = (row for row in map(json.loads, stream) if row["gold_label"] in LABELS)
        return [pair(row["sentence1"], row["sentence2"], row["gold_label"]) for row in rows]


def mirrored(path: Path) -> list[Pair]:
    """The pairs of one of the mirror's files, whose labels are numbers already."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    return [pair(row["premise"], row["hypothesis"], LABELS[int(row["label"])]) for row in rows]


def pair(premise: str, hypothesis: str, label: str) -> Pair:
    """A pair as it is written."""
    return {"premise": premise, "hypothesis": hypothesis, "label": LABELS.index(label)}


def full(sources: Path, public: Path) -> dict[str, list[Pair]]:
    """The published parts, and the weights that the published baseline starts from."""
    with zipfile.ZipFile(sources / "multinli_1.0.zip") as archive:
        names = "train", "dev_mismatched", "dev_matched"
        train, validation, test = (published(archive, name) for name in names)
    if RESPLIT:  # about as many, and the pairs of one premise stay together
        every = [*train, *test]
        random.Random(SPLIT_SEED).shuffle(every)
        held = {row["premise"] for row in every[: len(test) // 3]}
        train, test = ([r for r in every if (r["premise"] in held) == out] for out in (False, True))
    (public / "bert").mkdir()
    shutil.copyfile(sources / "bert.safetensors", public / "bert" / "model.safetensors")
    shutil.copyfile(sources / "vocab.txt", public / "bert" / "vocab.txt")
    return {"train": train, "validation": validation, "test": test}


def mini(sources: Path) -> dict[str, list[Pair]]:
    """A part of the published training pairs; some of the verbatim ones are set aside."""
    verbatim = mirrored(sources / "train_verbatim.jsonl.gz")
    random.Random(SPLIT_SEED).shuffle(verbatim)
    extra = mirrored(sources / "train_extra_final_period_stripped.jsonl.gz")
    return {
        "train": verbatim[MINI_VALIDATION:] + extra,
        "validation": verbatim[:MINI_VALIDATION],
        "test": mirrored(sources / "validation_matched.jsonl.gz"),
    }


def write(path: Path, rows: Iterable[Pair]) -> None:
    """Write JSON lines."""
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_test(test: list[Pair], public: Path, private: Path) -> None:
    """Shuffle and number the test pairs, then keep their labels apart."""
    random.Random(ORDER_SEED).shuffle(test)
    half = set(random.Random(HALF_SEED).sample(range(len(test)), len(test) // 2))
    shown = [{"pair_id": i} | row for i, row in enumerate(test)]
    write(public / "test.jsonl", [{k: v for k, v in r.items() if k != "label"} for r in shown])
    with (private / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["pair_id", "label", "half"])
        halves = ["public" if i in half else "private" for i in range(len(test))]
        writer.writerows((i, row["label"], halves[i]) for i, row in enumerate(test))


GENERATED_CARD = {
    "title": "GENERATED pairs of the form of MultiNLI's",
    "licence": "CC0: drawn by a program of this project",
    "note": "GENERATED: a seeded program draws the sentences, and one label in ten is drawn again "
    "at random. Nothing is of MultiNLI; scores compare with neither mini nor full.",
}


def card(variant: str, parts: dict[str, list[Pair]]) -> dict[str, object]:
    """What a reader asks first."""
    anew = RESPLIT and variant == "full"
    what = "drawn anew from all pairs" if anew else "the matched development set"
    note = f"test.jsonl is {what} without labels, in a seeded order."
    if variant == "mini":
        note += (
            " MINI: real pairs, but 19,841 of the 392,702 training pairs only, and 9,370 of them "
            "without their final full stops. Scores do not compare with the published ones."
        )
    told: dict[str, object] = {
        "title": "MultiNLI",
        "licence": "MultiNLI corpus terms: OANC; fiction partly CC BY, CC BY-SA, public domain",
        "rows": {f"{name}.jsonl": len(rows) for name, rows in parts.items()},
        "columns": ["premise", "hypothesis", "label"],
        "labels": dict(enumerate(LABELS)),
        "sample": {"train.jsonl": parts["train"][:3]},
        "note": note,
    }
    return told | GENERATED_CARD if variant == "generated" else told


def main() -> None:
    """Prepare one variant."""
    sources, out, variant = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    public, private = out / "public", out / "private"
    public.mkdir()
    private.mkdir()
    readers = {"generated": generated, "mini": partial(mini, sources)}
    parts = readers.get(variant, partial(full, sources, public))()
    write(public / "train.jsonl", parts["train"])
    write(public / "validation.jsonl", parts["validation"])
    write_test(parts["test"], public, private)
    text = json.dumps(card(variant, parts), indent=1, ensure_ascii=False)
    (out / "card.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
