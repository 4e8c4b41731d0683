"""Which test-set sizes make every printed accuracy a whole number of clips."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from emolib.audit.printed import CONVENTIONS, Printed

N_MAX = 5000  # beyond M = 10^(decimals + 2) every percentage fits every N, and long before most do
DECIDED = 0.01  # expected chance fits up to the smallest N that we are willing to call a finding


@dataclass(frozen=True)
class Granularity:
    """Test-set sizes that fit a set of printed accuracies.

    Attributes
    ----------
    convention : str
        ``rounded`` or ``truncated``: how the numbers must have been printed.
    sizes : tuple of int
        Every N ≤ `n_max` that makes each number a k/N.
    chance : float
        Probability that numbers spread evenly would all fit the smallest of `sizes`.
    expected : float
        Expected number of sizes up to the smallest one that would fit by chance, over both
        conventions. Below 0.01 the smallest size counts as found.
    """

    values: tuple[str, ...]
    convention: str
    sizes: tuple[int, ...]
    chance: float
    expected: float
    n_max: int

    @property
    def size(self) -> int | None:
        """The size found, or None if chance could do as well."""
        return self.sizes[0] if self.sizes and self.expected <= DECIDED else None

    @property
    def multiples_only(self) -> bool:
        """Whether all other sizes that fit are multiples of the smallest."""
        return bool(self.sizes) and all(n % self.sizes[0] == 0 for n in self.sizes)


def granularity(values: Iterable[Printed], n_max: int = N_MAX) -> Granularity:
    """Find every N for which each printed accuracy is some k/N.

    Numbers that print as exactly 0 or 1 say nothing about N and are left out, as are repeats.
    """
    distinct = sorted({v for v in values if 0 < v.value < 1}, key=lambda v: v.value)
    texts = tuple(v.text for v in distinct)
    if not distinct:
        return Granularity((), "rounded", (), 1.0, math.inf, n_max)
    sizes = np.arange(1, n_max + 1, dtype=np.int64)
    chance = np.ones(n_max)
    for value in distinct:
        scale = 10 ** (value.decimals + 2 * value.percent)
        # Of the scale + 1 numbers that can be printed, at most N + 1 are hit by some k/N.
        chance *= np.minimum(1.0, (sizes + 1) / (scale + 1))
    cumulative = 2 * np.cumsum(chance)  # two conventions, two chances
    best = None
    for convention in CONVENTIONS:
        fits = np.ones(n_max, dtype=bool)
        for value in distinct:
            w = value.window(convention)
            first = -(-w.low * sizes // w.scale)
            last = -(-w.high * sizes // w.scale) - 1 if w.open else w.high * sizes // w.scale
            fits &= last >= np.maximum(first, 0)
        found = tuple(int(n) for n in sizes[fits])
        # The convention with the smaller first size explains the numbers with less.
        if found and (best is None or found[0] < best[1][0]):
            best = (convention, found)
    if best is None:
        return Granularity(texts, "rounded", (), 0.0, float(cumulative[-1]), n_max)
    smallest = best[1][0]
    return Granularity(
        texts, *best, float(chance[smallest - 1]), float(cumulative[smallest - 1]), n_max
    )


def count_of(value: Printed, n: int) -> tuple[int, str] | None:
    """Return (k, convention) such that k/n prints as `value`, or None if no k does."""
    for convention in CONVENTIONS:
        ks = value.window(convention).numerators(n)
        if ks:
            centre = value.value * n
            return min(ks, key=lambda k: abs(k - centre)), convention
    return None


@dataclass(frozen=True)
class Difference:
    """Two accuracies on the same n clips, in clips.

    `p_best` is the exact McNemar p-value if every clip that changed changed in one direction;
    `p_worst` if the two models share no error. The table cannot say which; the truth lies between.
    """

    n: int
    correct: tuple[int, int]
    clips: int
    p_best: float
    p_worst: float
    intervals: tuple[tuple[float, float], tuple[float, float]]


def difference(first: Printed, second: Printed, n: int) -> Difference | None:
    """Compare two printed accuracies on `n` clips; None if either is no k/n."""
    from scipy.stats import binomtest

    counts = [count_of(value, n) for value in (first, second)]
    if None in counts:
        return None
    a, b = (found[0] for found in counts)
    gained = abs(b - a)
    errors = [n - a, n - b]
    # Discordant clips: at least the net change; at most all errors of both, none in common.
    p_best = binomtest(gained, gained).pvalue if gained else 1.0
    p_worst = binomtest(max(errors), sum(errors)).pvalue if sum(errors) else 1.0
    intervals = tuple(
        tuple(float(x) for x in binomtest(k, n).proportion_ci(method="wilson")) for k in (a, b)
    )
    return Difference(n, (a, b), b - a, float(p_best), float(p_worst), intervals)
