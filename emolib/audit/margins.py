"""The confusion margins behind a classification report: supports, predictions and hits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from emolib.audit.printed import CONVENTIONS, Printed, hull

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
            if p:
                candidates: Iterable[int] = p.denominators(hits, n)
            elif f:
                candidates = (
                    d - support for d in f.denominators(2 * hits, 2 * n) if d - support >= hits
                )
            else:
                candidates = (support,)
            for predicted in candidates:
                # F1 = 2·hits / (support + predicted)
                if f is None or f.holds(2 * hits, support + predicted):
                    found.append((hits, support, predicted))
        if len(found) > WORK // 10:
            raise TooCoarse
    return found


def combine(
    options: Mapping[str, Sequence[Option]],
    n: int,
    correct: Iterable[int] | None = None,
    work: int = WORK,
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
    if any(not options[name] for name in names):
        return 0, {name: set() for name in names}, set()
    wanted = None if correct is None else set(correct)
    low_hits, high_hits = (min(wanted), max(wanted)) if wanted else (0, n)
    if wanted is not None and not wanted:
        return 0, {name: set() for name in names}, set()
    # What the classes still to come must and can add, to drop partial sums that cannot finish.
    least, most = [(0, 0, 0)], [(0, 0, 0)]
    for name in reversed(names):
        columns = list(zip(*options[name], strict=True))
        least.append(tuple(a + min(c) for a, c in zip(least[-1], columns, strict=True)))
        most.append(tuple(a + max(c) for a, c in zip(most[-1], columns, strict=True)))
    least.reverse()
    most.reverse()

    layers: list[dict[Option, int]] = [{(0, 0, 0): 1}]
    steps = 0
    for i, name in enumerate(names, start=1):
        (lh, ls, lp), (mh, ms, mp) = least[i], most[i]
        reached: dict[Option, int] = {}
        steps += len(layers[-1]) * len(options[name])
        if steps > work:
            raise TooCoarse
        for (hits, support, predicted), ways in layers[-1].items():
            for a, b, c in options[name]:
                h, s, p = hits + a, support + b, predicted + c
                if (
                    s + ls <= n <= s + ms
                    and p + lp <= n <= p + mp
                    and h + lh <= high_hits
                    and h + mh >= low_hits
                ):
                    reached[h, s, p] = reached.get((h, s, p), 0) + ways
        layers.append(reached)

    ends = {e for e in layers[-1] if wanted is None or e[0] in wanted}
    solutions = sum(layers[-1][e] for e in ends)
    used: dict[str, set[Option]] = {name: set() for name in names}
    alive = ends
    for i in range(len(names), 0, -1):
        before: set[Option] = set()
        for h, s, p in alive:
            for a, b, c in options[names[i - 1]]:
                previous = (h - a, s - b, p - c)
                if previous in layers[i - 1]:
                    before.add(previous)
                    used[names[i - 1]].add((a, b, c))
        alive = before
    return solutions, used, {e[0] for e in ends}


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
            name: class_options(
                n,
                row.get("precision") if with_predictions else None,
                row.get("recall"),
                row.get("f1") if with_predictions and with_f1 else None,
                supports.get(name) if supports else None,
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
            return Margins(
                n, solutions, tuple(sorted(totals)), support, predicted, hits, convention
            )
    return None


def accuracy_bounds(
    rows: Mapping[str, Mapping[str, Printed]],
    weights: Mapping[str, float] | None = None,
) -> tuple[float, float] | None:
    """Bound the accuracy that a classification report allows, by linear programming.

    The unknowns are each class's share of hits, of clips and of predictions; rounding windows
    (rounded or truncated) give linear inequalities between them, and clips and predictions each
    sum to one. None if no shares satisfy all rows at once.

    Parameters
    ----------
    rows : mapping of class to mapping of metric to Printed
    weights : mapping of class to float, optional
        Share of each class in the test set, when it is known.
    """
    from scipy.optimize import linprog

    names = list(rows)
    c = len(names)
    upper: list[np.ndarray] = []

    def within(window: tuple[Fraction, Fraction], top: int, bottom: np.ndarray) -> None:
        """``low·bottom ≤ hits ≤ high·bottom`` for the class with index `top`."""
        hit = np.zeros(3 * c)
        hit[top] = 1
        upper.append(float(window[0]) * bottom - hit)
        upper.append(hit - float(window[1]) * bottom)

    with_predictions = all(row.get("precision") for row in rows.values())
    for i, name in enumerate(names):
        clips, predictions = np.zeros(3 * c), np.zeros(3 * c)
        clips[c + i] = 1
        predictions[2 * c + i] = 1
        hulls = {m: hull(v) for m, v in rows[name].items() if m in ("precision", "recall", "f1")}
        if "recall" in hulls:
            within(hulls["recall"], i, clips)
        if with_predictions:
            within(hulls["precision"], i, predictions)
            if "f1" in hulls:
                within(hulls["f1"], i, (clips + predictions) / 2)
    equal = np.zeros((2, 3 * c))
    equal[0, c : 2 * c] = 1
    equal[1, 2 * c :] = 1
    limits = [(0, 1)] * (3 * c)
    if weights:
        total = sum(weights[name] for name in names)
        limits[c : 2 * c] = [(weights[name] / total,) * 2 for name in names]
    ends = []
    for sign in (1, -1):
        objective = np.zeros(3 * c)
        objective[:c] = sign
        solved = linprog(
            objective,
            A_ub=np.array(upper),
            b_ub=np.full(len(upper), 1e-9),  # slack far below any printed digit: never too strict
            A_eq=equal,
            b_eq=np.ones(2),
            bounds=limits,
        )
        if not solved.success:
            return None
        ends.append(sign * solved.fun)
    return ends[0], ends[1]
