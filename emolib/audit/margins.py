"""The confusion margins behind a classification report: supports, predictions and hits."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emolib.audit.printed import CONVENTIONS, Printed, hull

SCANNED = 1024  # clips of a test set up to which the options of a class are kept
WORK = 2_000_000  # steps of the exact search before a table is called too coarse

Option = tuple[int, int, int]  # true positives, support, predicted


@dataclass(frozen=True)
class Margins:
    """All integer confusion margins that a classification report allows at one test-set size.

    Attributes
    ----------
    n : int
        Clips in the test set.
    solutions : int
        How many assignments of (true positives, support, predicted) to the classes exist.
    correct : tuple of int
        The numbers of correct clips that occur among them.
    supports, predicted, hits : dict of str to tuple of int
        For each class the values that occur; one value means it is determined.
    convention : str
        How the numbers must have been printed.
    """

    n: int
    solutions: int
    correct: tuple[int, ...]
    supports: dict[str, tuple[int, ...]]
    predicted: dict[str, tuple[int, ...]]
    hits: dict[str, tuple[int, ...]]
    convention: str

    @property
    def unique(self) -> bool:
        """Whether only one assignment exists."""
        return self.solutions == 1


class TooCoarse(Exception):
    """The printed precision leaves too many possibilities to enumerate."""


def class_options(
    n: int,
    precision: Printed | None,
    recall: Printed | None,
    f1: Printed | None,
    supports: Iterable[int] | None = None,
    convention: str = "rounded",
) -> list[Option]:
    """List the (true positives, support, predicted) of one class that print as its row.

    Parameters
    ----------
    n : int
        Clips in the test set; no support or predicted count exceeds it.
    precision, recall, f1 : Printed or None
        The row; None where nothing was printed. Without precision and F1 the predicted count is
        free, and is reported equal to the support.
    supports : iterable of int, optional
        Supports to consider; default 1 to n.
    """
    p, r, f = (x.window(convention) if x else None for x in (precision, recall, f1))
    found: list[Option] = []
    for support in supports if supports is not None else range(1, n + 1):
        for hits in r.numerators(support) if r else range(support + 1):
            if hits == 0:
                # Precision is 0/predicted, or 0/0 printed as 0.
                if all(w is None or w.low <= 0 for w in (p, f)):
                    limit = range(n + 1) if p or f else (support,)
                    found += [(0, support, predicted) for predicted in limit]
                continue
            candidates: Iterable[int] = (support,)
            if p:
                candidates = p.denominators(hits, n)
            elif f:
                sums = f.denominators(2 * hits, 2 * n)
                candidates = (both - support for both in sums if both - support >= hits)
            found += [
                (hits, support, predicted)
                for predicted in candidates  # F1 = 2·hits / (support + predicted)
                if f is None or f.holds(2 * hits, support + predicted)
            ]
        if len(found) > WORK // 10:
            raise TooCoarse
    return found


@functools.lru_cache(maxsize=512)
def _options_below(bound: int, *row: Any) -> tuple[Option, ...] | None:
    """The options of a class in test sets of up to `bound` clips; None if they are too many."""
    precision, recall, f1, convention = row
    try:
        return tuple(class_options(bound, precision, recall, f1, None, convention))
    except TooCoarse:
        return None


def _options(n: int, supports: Iterable[int] | None, *row: Any) -> list[Option]:
    """List the options of a class; a search over many n works once for each power of two."""
    precision, recall, f1, convention = row
    if supports is None and n <= SCANNED:
        found = _options_below(1 << (n - 1).bit_length(), *row)
        if found is not None:
            return [option for option in found if option[1] <= n and option[2] <= n]
    return class_options(n, precision, recall, f1, supports, convention)


def combine(
    options: Mapping[str, Sequence[Option]], n: int, correct: range | None = None, work: int = WORK
) -> tuple[int, dict[str, set[Option]], set[int]]:
    """Choose one option a class so that supports and predictions sum to n and hits to `correct`.

    Exact dynamic programming over partial sums, classes with few options first.

    Returns
    -------
    solutions : int
        Number of ways.
    used : dict of str to set of Option
        For each class the options that occur in some solution.
    totals : set of int
        The numbers of correct clips that occur.

    Raises
    ------
    TooCoarse
        If the search would take more than `work` steps.
    """
    names = sorted(options, key=lambda name: len(options[name]))
    correct = range(n + 1) if correct is None else correct
    used: dict[str, set[Option]] = {name: set() for name in names}
    if not correct or any(not options[name] for name in names):
        return 0, used, set()
    # What the classes still to come must and can add, to drop partial sums that cannot finish.
    ahead: list[tuple[tuple[int, int], ...]] = [((0, 0), (0, 0), (0, 0))]
    for name in reversed(names):
        columns = zip(ahead[-1], zip(*options[name], strict=True), strict=True)
        ahead.append(tuple((least + min(c), most + max(c)) for (least, most), c in columns))

    layers: list[dict[Option, int]] = [{(0, 0, 0): 1}]
    steps = 0
    for name, (hits, support, predicted) in zip(names, reversed(ahead[:-1]), strict=True):
        low, high = correct[0] - hits[1], correct[-1] - hits[0]
        reached: dict[Option, int] = {}
        steps += len(layers[-1]) * len(options[name])
        if steps > work:
            raise TooCoarse
        for start, ways in layers[-1].items():
            for step in options[name]:
                h, s, p = start[0] + step[0], start[1] + step[1], start[2] + step[2]
                if (
                    low <= h <= high
                    and n - support[1] <= s <= n - support[0]
                    and n - predicted[1] <= p <= n - predicted[0]
                ):
                    reached[h, s, p] = reached.get((h, s, p), 0) + ways
        layers.append(reached)

    alive = set(layers[-1])
    for name, before in zip(reversed(names), reversed(layers[:-1]), strict=True):
        kept = set()
        for h, s, p in alive:
            for a, b, c in options[name]:
                if (start := (h - a, s - b, p - c)) in before:
                    kept.add(start)
                    used[name].add((a, b, c))
        alive = kept
    return sum(layers[-1].values()), used, {end[0] for end in layers[-1]}


def margins(
    rows: Mapping[str, Mapping[str, Printed]],
    n: int,
    accuracy: Printed | None = None,
    supports: Mapping[str, Iterable[int]] | None = None,
    work: int = WORK,
) -> Margins | None:
    """Recover supports and predicted counts of every class, or None if none exist.

    Parameters
    ----------
    rows : mapping of class to mapping of metric to Printed
        A classification report.
    n : int
        Clips in the test set.
    accuracy : Printed, optional
        Fixes the number of correct clips.
    supports : mapping of class to int, optional
        Allowed supports, where they are known.

    Raises
    ------
    TooCoarse
        If the printed digits leave too many possibilities.
    """
    # Precision says something only if every class has a predicted count to sum.
    with_predictions = all(row.get("precision") or row.get("f1") for row in rows.values())
    # Some papers compute F1 from the printed precision and recall: try without it before giving up.
    with_precision = all(row.get("precision") for row in rows.values())
    for convention, with_f1 in [(c, f) for f in (True, False) for c in CONVENTIONS]:
        if not with_f1 and not with_precision:
            continue
        options = {
            name: _options(
                n,
                supports.get(name) if supports else None,
                row.get("precision") if with_predictions else None,
                row.get("recall"),
                row.get("f1") if with_predictions and with_f1 else None,
                convention,
            )
            for name, row in rows.items()
        }
        correct = accuracy.window(convention).numerators(n) if accuracy else None
        solutions, used, totals = combine(options, n, correct, work)
        if solutions:
            hits, support, predicted = (
                {name: tuple(sorted({o[i] for o in used[name]})) for name in rows} for i in range(3)
            )
            correct_clips = tuple(sorted(totals))
            return Margins(n, solutions, correct_clips, support, predicted, hits, convention)
    return None


def accuracy_bounds(rows: Mapping[str, Mapping[str, Printed]]) -> tuple[float, float] | None:
    """Bound the accuracy that a classification report allows, by linear programming.

    The unknowns are each class's share of hits, of clips and of predictions; rounding windows
    (rounded or truncated) give linear inequalities between them, and clips and predictions each
    sum to one. None if no shares satisfy all rows at once.
    """
    from scipy.optimize import linprog

    c = len(rows)
    hits, clips, predictions = np.eye(3 * c).reshape(3, c, 3 * c)
    upper: list[np.ndarray] = []
    with_predictions = all(row.get("precision") for row in rows.values())
    for i, row in enumerate(rows.values()):
        bottoms = {"recall": clips[i]}
        if with_predictions:
            bottoms |= {"precision": predictions[i], "f1": (clips[i] + predictions[i]) / 2}
        for metric, bottom in bottoms.items():
            if metric in row:
                low, high = (float(end) for end in hull(row[metric]))
                upper += [low * bottom - hits[i], hits[i] - high * bottom]
    ends = []
    for sign in (1, -1):
        solved = linprog(
            sign * hits.sum(0),
            A_ub=np.array(upper),
            b_ub=np.full(len(upper), 1e-9),  # slack far below any printed digit: never too strict
            A_eq=np.array([clips.sum(0), predictions.sum(0)]),
            b_eq=np.ones(2),
            bounds=(0, 1),
        )
        if not solved.success:
            return None
        ends.append(sign * solved.fun)
    return ends[0], ends[1]
