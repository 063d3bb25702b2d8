"""A plain DPLL solver: unit propagation, choices from outside, and backtracking in their order.

A literal is a whole number: 3 says that variable 3 is true, -3 that it is false. A clause is a list
of literals, of which one must hold. After M. Davis, G. Logemann and D. Loveland, "A machine program
for theorem-proving", 1962. The starter folder has a copy to try heuristics with.
"""

from collections.abc import Callable

Clauses = list[list[int]]
Choose = Callable[["Search"], tuple[int, bool]]
"""An unassigned variable and the value to try first."""


class Search:
    """One formula and how far its search has come."""

    def __init__(self, clauses: Clauses) -> None:
        self.clauses = clauses
        self.variables = frozenset(abs(literal) for clause in clauses for literal in clause)
        self.values: dict[int, bool] = {}
        self.trail: list[int] = []
        """The literals that hold, oldest first."""

        self.kept = 0
        """So much of the trail is as it was at the last choice."""

        self.level = 0
        self.decisions = 0
        self.conflicts = 0
        self._open = len(clauses)
        self._true = [0] * len(clauses)
        self._left = [len(clause) for clause in clauses]
        self._holding: dict[int, list[int]] = {}
        for variable in self.variables:
            self._holding[variable], self._holding[-variable] = [], []
        for number, clause in enumerate(clauses):
            for literal in set(clause):
                self._holding[literal].append(number)
            self._left[number] = len(set(clause))

    def run(self, choose: Choose) -> bool:
        """Whether the formula can be satisfied; `values` then says how.

        Variables that no clause needs stay without a value. One conflict is counted each time that
        a clause has only false literals.
        """
        stack: list[tuple[int, int, bool]] = []
        pending = [clause[0] for clause in self.clauses if len(set(clause)) == 1]
        while True:
            if self._propagate(pending):
                if not self._open:
                    return True
                pending = [self._decide(choose, stack)]
            else:
                self.conflicts += 1
                literal = self._backtrack(stack)
                if literal is None:
                    return False
                pending = [literal]

    def _decide(self, choose: Choose, stack: list[tuple[int, int, bool]]) -> int:
        variable, value = choose(self)
        literal = variable if value else -variable
        self.kept = len(self.trail)
        self.decisions += 1
        stack.append((len(self.trail), literal, False))
        self.level = len(stack)
        return literal

    def _backtrack(self, stack: list[tuple[int, int, bool]]) -> int | None:
        """Undo up to the last choice whose other value is untried, and give that value."""
        while stack:
            length, literal, flipped = stack.pop()
            self._undo(length)
            if not flipped:
                stack.append((length, -literal, True))
                self.level = len(stack)
                return -literal
        self.level = 0
        return None

    def _propagate(self, pending: list[int]) -> bool:
        """Make literals hold, and all that follow from them; False where a clause is lost."""
        while pending:
            literal = pending.pop()
            known = self.values.get(abs(literal))
            if known is None:
                if not self._hold(literal, pending):
                    return False
            elif known != (literal > 0):
                return False
        return True

    def _hold(self, literal: int, pending: list[int]) -> bool:
        self.values[abs(literal)] = literal > 0
        self.trail.append(literal)
        true, left = self._true, self._left
        for number in self._holding[literal]:
            self._open -= not true[number]
            true[number] += 1
        sound = True
        for number in self._holding[-literal]:
            left[number] -= 1
            if not true[number] and left[number] < 2:
                if left[number]:
                    pending.append(self._last(number))
                else:
                    sound = False
        return sound

    def _last(self, number: int) -> int:
        """The one literal of a clause that may still hold."""
        return next(one for one in self.clauses[number] if abs(one) not in self.values)

    def _undo(self, length: int) -> None:
        true, left = self._true, self._left
        for literal in reversed(self.trail[length:]):
            del self.values[abs(literal)]
            for number in self._holding[literal]:
                true[number] -= 1
                self._open += not true[number]
            for number in self._holding[-literal]:
                left[number] += 1
        del self.trail[length:]
        self.kept = min(self.kept, length)


def holds(clauses: Clauses, values: dict[int, bool]) -> bool:
    """Whether the values make a literal of each clause true."""
    return all(any(values.get(abs(one)) == (one > 0) for one in clause) for clause in clauses)
