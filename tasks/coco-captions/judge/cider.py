"""CIDEr-D: how much a caption says what people agree on.

Vedantam, Zitnick and Parikh, "CIDEr: Consensus-based Image Description Evaluation", 2015,
sections 4 and 7. An n-gram w counts tf(w) * idf(w), with idf(w) = log(N / df(w)), where N is the
number of photographs and df(w) of those with w in a reference. For a caption c and a
reference s, with vectors g_n of n-grams, n = 1 to 4:

    CIDEr-D_n(c, s) = exp(-(|c| - |s|)^2 / (2 * 6^2)) * min(g_n(c), g_n(s)) . g_n(s)
                      / (||g_n(c)|| * ||g_n(s)||)

The score is 10 times the mean over n and over the references.
"""

import math
from collections import Counter

MAX_N = 4
SIGMA = 6.0
SCALE = 10.0
Words = list[str]
Vector = dict[tuple[str, ...], float]


class Cider:
    """CIDEr-D with the document frequencies of all photographs' references."""

    def __init__(self, references: list[list[Words]]) -> None:
        self._documents = math.log(max(len(references), 1))
        self._frequency: Counter[tuple[str, ...]] = Counter()
        for several in references:
            self._frequency.update(
                {gram for one in several for n in range(MAX_N) for gram in grams(one, n)}
            )

    def score(self, caption: Words, references: list[Words]) -> float:
        """From 0 to 10."""
        total = 0.0
        for n in range(MAX_N):
            ours = self._vector(caption, n)
            for reference in references:
                penalty = math.exp(-((len(caption) - len(reference)) ** 2) / (2 * SIGMA**2))
                total += penalty * similarity(ours, self._vector(reference, n))
        return SCALE * total / (MAX_N * len(references))

    def _vector(self, words: Words, n: int) -> Vector:
        counted = Counter(grams(words, n))
        return {
            gram: count * (self._documents - math.log(max(self._frequency[gram], 1)))
            for gram, count in counted.items()
        }


def grams(words: Words, n: int) -> list[tuple[str, ...]]:
    """The runs of n + 1 words."""
    return [tuple(words[i : i + n + 1]) for i in range(len(words) - n)]


def similarity(ours: Vector, theirs: Vector) -> float:
    """The cosine, where a gram counts at most as often as in the reference."""
    product = sum(
        min(value, theirs[gram]) * theirs[gram] for gram, value in ours.items() if gram in theirs
    )
    norm = math.hypot(*ours.values()) * math.hypot(*theirs.values())
    return product / norm if norm > 0 else 0.0
