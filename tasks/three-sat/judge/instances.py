"""The hidden formulas, and another face for each of them."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from solver import Clauses


@dataclass(frozen=True)
class Instance:
    """A formula whose verdict is known without our solver."""

    family: str
    satisfiable: bool
    clauses: Clauses


def read_instances(path: Path) -> list[Instance]:
    """One instance a line."""
    with path.open(encoding="utf-8") as stream:
        return [Instance(**json.loads(line)) for line in stream]


def disguised(instances: list[Instance], chance: random.Random) -> Iterator[Instance]:
    """The same formulas in random order, and none that anybody has seen before.

    Variables get each other's names, half of them their opposite meaning; clauses, and the
    literals in them, another order. The verdict stays, and so does how hard the formula is.
    """
    for instance in chance.sample(instances, len(instances)):
        variables = sorted({abs(one) for clause in instance.clauses for one in clause})
        names = chance.sample(variables, len(variables))
        meaning = {
            old: chance.choice((new, -new)) for old, new in zip(variables, names, strict=True)
        }
        clauses = [
            [
                meaning[one] if one > 0 else -meaning[-one]
                for one in chance.sample(clause, len(clause))
            ]
            for clause in instance.clauses
        ]
        chance.shuffle(clauses)
        yield Instance(instance.family, instance.satisfiable, clauses)
