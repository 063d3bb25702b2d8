"""Lay out 3-SAT formulas with known verdicts: a sample to look at, and two hidden sets.

Run in a sandbox as `python dataset.py SOURCES OUT VARIANT`. `full` and `mini` have formulas of
SATLIB (H. Hoos and T. Stuetzle; the family's name says the verdict) and drawn ones; `generated` has
drawn ones alone. A drawn formula's verdict is read from its whole truth table, so no solver is
trusted.
"""

import json
import random
import sys
import tarfile
from functools import cache
from pathlib import Path

RATIO = 4.26
"""Clauses per variable where about half of large random formulas can be satisfied."""

SIZES = {"full": range(5, 16), "mini": range(5, 16), "generated": range(5, 19)}
SEED = 20_250_306
ARCHIVE = "satlib.tar.xz"
FAMILIES = {"uf20-91": True, "uf50-218": True, "uuf50-218": False}
SATLIB = {
    "full": {"instances": (0, 10), "validate": (10, 20), "submit": (20, 100)},
    "mini": {"instances": (0, 5), "validate": (10, 15), "submit": (20, 30)},
}
"""Which numbers of each family go where; what one variant shows, the other does not hide."""

DRAWN = {
    "full": {"instances": 970, "validate": 2370, "submit": 23_760},
    "mini": {"instances": 185, "validate": 285, "submit": 1170},
    "generated": {"instances": 200, "validate": 300, "submit": 1200},
}

Clauses = list[list[int]]
Instance = dict[str, object]


def draw(chance: random.Random, size: int) -> Clauses:
    """A uniform random formula: each clause three different variables, each sign a coin toss."""
    picked = (chance.sample(range(1, size + 1), 3) for _ in range(round(RATIO * size)))
    return [[chance.choice((one, -one)) for one in clause] for clause in picked]


def satisfiable(clauses: Clauses, size: int) -> bool:
    """Whether any of the 2^size rows of the truth table makes every clause true."""
    columns = truth_table(size)
    left = (1 << (1 << size)) - 1
    for clause in clauses:
        left &= columns[clause[0]] | columns[clause[1]] | columns[clause[2]]
    return bool(left)


@cache
def truth_table(size: int) -> dict[int, int]:
    """The column of each literal: a whole number with one bit for each row."""
    rows = (1 << (1 << size)) - 1
    columns = {-(i + 1): rows // ((1 << (1 << i)) + 1) for i in range(size)}
    return columns | {-literal: rows ^ column for literal, column in columns.items()}


def drawn(chance: random.Random, count: int, sizes: range) -> list[Instance]:
    """Formulas of all sizes, with their verdicts."""
    found: list[Instance] = []
    for number in range(count):
        size = sizes[number % len(sizes)]
        clauses = draw(chance, size)
        name = f"drawn{size}-{len(clauses)}"
        verdict = satisfiable(clauses, size)
        found.append({"family": name, "satisfiable": verdict, "clauses": clauses})
    return found


def satlib(archive: Path, part: tuple[int, int]) -> list[Instance]:
    """Those of a range of numbers in each family."""
    found: list[Instance] = []
    with tarfile.open(archive, "r:xz") as tar:
        for family, verdict in FAMILIES.items():
            name = family.partition("-")[0]
            for number in range(part[0] + 1, part[1] + 1):
                member = tar.extractfile(f"{family}/{name}-0{number}.cnf")
                assert member is not None
                clauses = parse(member.read().decode("ascii"))
                found.append({"family": family, "satisfiable": verdict, "clauses": clauses})
    return found


def parse(text: str) -> Clauses:
    """The clauses of a file in DIMACS format; SATLIB ends its with a line that begins with %."""
    lines = [line.split() for line in text.partition("%")[0].splitlines()]
    header = next(line for line in lines if line[:1] == ["p"])
    numbers = [int(word) for line in lines if line[:1] not in ([], ["c"], ["p"]) for word in line]
    clauses: Clauses = [[]]
    for number in numbers:
        if number:
            clauses[-1].append(number)
        else:
            clauses.append([])
    assert not clauses.pop()
    assert len(clauses) == int(header[3])
    return clauses


def card(parts: dict[str, list[Instance]], variant: str) -> dict[str, object]:
    """What a reader asks first."""
    sample = parts["instances"]
    real = sum(not str(one["family"]).startswith("drawn") for one in sample)
    made = f"{len(sample) - real} drawn by a seeded program at {RATIO} clauses per variable"
    return {
        "title": f"Random 3-SAT formulas{'' if real else ', GENERATED'}",
        "licence": f"{'SATLIB names none; the' if real else 'The'} drawn formulas are CC0",
        "origin": f"{real} of SATLIB, {made}",
        "rows": {"instances.jsonl": len(sample)},
        "columns": ["family", "satisfiable", "clauses"],
        "hidden": {name: len(rows) for name, rows in parts.items() if name != "instances"},
        "sample": {"instances.jsonl": sample[:1]},
        "note": f"Variant {variant}. A family's name has its variables and clauses.",
    }


def main() -> None:
    """Prepare one variant."""
    sources, out, variant = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    chance = random.Random(f"{SEED} {variant}")
    parts: dict[str, list[Instance]] = {}
    for name, count in DRAWN[variant].items():
        known = satlib(sources / ARCHIVE, SATLIB[variant][name]) if variant in SATLIB else []
        parts[name] = [*known, *drawn(chance, count, SIZES[variant])]
    for name, rows in parts.items():
        folder = out / ("public" if name == "instances" else "private")
        folder.mkdir(exist_ok=True)
        lines = [json.dumps(row, separators=(",", ":")) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (out / "card.json").write_text(json.dumps(card(parts, variant), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
