"""Which test-set sizes make every printed accuracy a whole number of clips."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from emolib.audit.printed import CONVENTIONS, Printed

N_MAX = 5000  # beyond M = 10^(decimals + 2) every percentage fits every N, and long before most do
DECIDED = 1e-5  # expected chance fits up to the smallest N that we are willing to call a finding
LEAST = 3  # one or two numbers may be simple fractions (75.00 %) of any test set


@dataclass(frozen=True)
class Granularity:
    """Test-set sizes that fit a set of printed accuracies.

    Attributes
    ----------
    convention : str
        ``rounded`` or ``truncated``: how they must have been printed to fit the smallest size.
    sizes : tuple of int
        Every N ≤ `n_max` that makes each number a k/N, rounded or truncated.
    chance : float
        Probability that numbers spread evenly would all fit the smallest of `sizes`.
    expected : float
        Expected number of sizes up to the smallest one that would fit by chance, over both
        conventions. Below `DECIDED` the smallest size counts as found.
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
        decided = len(self.values) >= LEAST and self.expected <= DECIDED
        return self.sizes[0] if self.sizes and decided else None

    @property
    def alone_to(self) -> int:
        """Up to where only multiples of the smallest size fit."""
        others = [n for n in self.sizes if n % self.sizes[0]]
        return others[0] - 1 if others else self.n_max


def granularity(values: Iterable[Printed], n_max: int = N_MAX) -> Granularity:
    """Find every N for which each printed accuracy is some k/N.

    Numbers that print as exactly 0 or 1 say nothing about N and are left out, as are repeats.
    """
    shares = {v.share for v in values}
    distinct = sorted((v for v in shares if 0 < v.value < 1), key=lambda v: v.value)
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
    by_convention = {}
    for convention in CONVENTIONS:
        fits = np.ones(n_max, dtype=bool)
        for value in distinct:
            first, last = value.window(convention).ends(sizes)
            fits &= last >= np.maximum(first, 0)
        by_convention[convention] = {int(n) for n in sizes[fits]}
    found = tuple(sorted(set().union(*by_convention.values())))
    if not found:
        return Granularity(texts, "rounded", (), 0.0, float(cumulative[-1]), n_max)
    convention = next(c for c in CONVENTIONS if found[0] in by_convention[c])
    at = found[0] - 1
    return Granularity(texts, convention, found, float(chance[at]), float(cumulative[at]), n_max)


def count_of(value: Printed, n: int) -> tuple[int, str] | None:
    """Return (k, convention) such that k/n prints as `value`, or None if no k does.

    Digits above 1 are taken as per cent.

    Examples
    --------
    >>> count_of(Printed("95.89"), 1728)
    (1657, 'rounded')
    >>> count_of(Printed("95.89"), 288) is None
    True
    """
    value = value.share
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
    `p_worst` if the two models share as few errors as possible. The table cannot say which; the
    truth lies between.
    """

    n: int
    correct: tuple[int, int]
    clips: int
    p_best: float
    p_worst: float
    intervals: tuple[tuple[float, float], tuple[float, float]]


def difference(first: Printed, second: Printed, n: int) -> Difference | None:
    """Compare two printed accuracies on `n` clips; None if either is no k/n."""
    from emolib.evaluation import mcnemar, wilson

    one, other = count_of(first, n), count_of(second, n)
    if one is None or other is None:
        return None
    a, b = one[0], other[0]
    # Discordant clips: at least the net change; at most all errors that need not be shared.
    shared = max(0, n - a - b)
    p_best, p_worst = mcnemar(abs(b - a), 0), mcnemar(n - a - shared, n - b - shared)
    return Difference(n, (a, b), b - a, p_best, p_worst, (wilson(a, n), wilson(b, n)))
