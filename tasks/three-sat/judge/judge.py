"""Solve hidden formulas with the submitted heuristic; solver, verdicts and clock are here.

`time` is the sum over formulas of the wall seconds from before the solver sees one until its
answer, by this process's clock: the solver's work, the channel, and the wait for the heuristic.
`relative_time` is that over `reference_time`, which the starter's heuristic took on the same
formulas in the same run.
"""

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.player import Player
from harness.setting import Setting
from instances import Instance, disguised, read_instances
from reference import reference_player
from solver import Search, holds

_TICKETS = 2**32
_WARM_UP = 200
_PASSES = 5
_PASSES_SECONDS = 3.0
REHEARSED = [
    Instance("all-eight", False, [[a, b, c] for a in (1, -1) for b in (2, -2) for c in (3, -3)])
]
"""Every clause of three variables; the way to no answer goes through several decisions."""

_reference: dict[str, float] = {}
_secret = random.SystemRandom()


@dataclass
class Tally:
    """What solving many formulas came to."""

    seconds: Counter[str] = field(default_factory=Counter)
    """By family."""

    formulas: Counter[str] = field(default_factory=Counter)
    decisions: int = 0
    conflicts: int = 0


def prepare(private: Path, seed: int, setting: Setting) -> None:
    """Time the starter's heuristic while no submitted code is loaded that could disturb it.

    The quickest of several passes counts, for what else the machine does only ever adds time.
    """
    chance = random.Random(f"reference {seed}")
    instances = hidden(private, setting)
    passes: list[Tally] = []
    with reference_player(chance.getrandbits(48)) as player:
        # what Python does only once is nobody's time
        solve_all(disguised(instances[-_WARM_UP:], chance), player)
        while len(passes) < _PASSES and sum(map(total, passes)) < _PASSES_SECONDS:
            passes.append(solve_all(disguised(instances, chance), player))
    best = min(passes, key=total)
    _reference.update(seconds=total(best), decisions=best.decisions, passes=len(passes))


def grade(
    submission: Path, private: Path, player: Player, seed: int, setting: Setting
) -> tuple[dict[str, float], dict[str, Any]]:
    """The seconds, decisions and conflicts that the heuristic needs for all formulas."""
    with player.rehearsal():
        solve_all(disguised(REHEARSED, random.Random(seed)), player)
    tally = solve_all(disguised(hidden(private, setting), random.Random(seed)), player)
    seconds = total(tally)
    metrics = {
        "time": seconds,
        "relative_time": seconds / _reference["seconds"],
        "reference_time": _reference["seconds"],
        "decisions": tally.decisions,
        "conflicts": tally.conflicts,
        "correct": tally.formulas.total(),
        "incorrect": 0,
    }
    details = {
        "formulas": dict(tally.formulas),
        "seconds": {family: round(spent, 3) for family, spent in tally.seconds.items()},
        "reference_decisions": _reference["decisions"],
        "reference_passes": _reference["passes"],
        "origin": origin(tally.formulas),
    }
    return metrics, details


def total(tally: Tally) -> float:
    """The seconds for all families."""
    return tally.seconds.total()


def hidden(private: Path, setting: Setting) -> list[Instance]:
    """Those of this kind of grading."""
    return read_instances(private / f"{setting.kind}.jsonl")


def origin(families: Counter[str]) -> str:
    """Where the formulas are from, so that no grade can be taken for another."""
    drawn = sum(n for family, n in families.items() if family.startswith("drawn"))
    return f"{families.total() - drawn} from SATLIB, {drawn} drawn by a seeded program"


def solve_all(instances: Any, player: Player) -> Tally:
    """Solve them one after the other, with the player's decisions."""
    tally = Tally()
    for instance in instances:
        line = Line(player)
        started = time.perf_counter()
        search = Search(instance.clauses)
        satisfiable = search.run(line.choose)
        tally.seconds[instance.family] += time.perf_counter() - started
        tally.formulas[instance.family] += 1
        tally.decisions += search.decisions
        tally.conflicts += search.conflicts
        check(instance, search, satisfiable=satisfiable)
    return tally


def check(instance: Instance, search: Search, *, satisfiable: bool) -> None:
    """See that the verdict is the known one, and that a model is one; else the judge is broken."""
    if satisfiable != instance.satisfiable:
        raise RuntimeError(f"the solver says {satisfiable} to a formula of {instance.family}")
    if satisfiable and not holds(instance.clauses, search.values):
        raise RuntimeError(f"the solver's model breaks a formula of {instance.family}")


class Line:
    """Decisions on one formula from the far end, each checked before the solver uses it."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._started = False

    def choose(self, search: Search) -> tuple[int, bool]:
        """An unassigned variable of the formula, and a value.

        Raises:
            Verdict: What came is no such thing, or was sent before it was asked for.
        """
        # nobody can answer ahead of the question, for the ticket must be known
        ticket = _secret.randrange(_TICKETS)
        clauses = None if self._started else search.clauses
        self._started = True
        news = search.trail[search.kept :]
        state = (search.kept, news, search.conflicts, search.level)
        match self._player.call("heuristic_fn", ticket, clauses, *state):
            case [given, variable, value] if given == ticket:
                pass
            case _:
                few = "answered no question of the judge"
                raise self._player.verdict("tampered", few, few)
        if type(variable) is not int or variable not in search.variables:
            raise self._player.unusable(variable, "expected a variable of the formula")
        if variable in search.values:
            raise self._player.unusable(variable, "it has a value already")
        if type(value) not in (bool, int) or value not in (0, 1):
            raise self._player.unusable(value, "expected True or False as the value")
        return variable, bool(value)
