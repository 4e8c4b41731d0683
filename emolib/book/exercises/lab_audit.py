"""The audit lab: whole clips, test-set sizes, margins, macro averages, tests and intervals."""

import numpy as np
from scipy import stats

from emolib import audit, evaluation, paths
from emolib.book.exercises.engine import exercise


def _accuracy_to_try(rng: np.random.Generator) -> tuple[float, int]:
    """Draw a test-set size, and an accuracy that may or may not be a share of it."""
    n = int(rng.integers(50, 400))
    share = rng.integers(n // 2, n + 1) / n if rng.random() < 0.5 else rng.uniform(0.5, 1)
    return round(100 * float(share), 2), n


@exercise(
    "audit-possible",
    inputs=_accuracy_to_try,
    wrong=[
        (lambda accuracy, n: 1, "every accuracy passes: allow half a step of the last digit"),
        (
            lambda accuracy, n: int(accuracy / 100 * n % 1 == 0),
            "printed numbers are rounded, so no",
        ),
    ],
)
def _possible(accuracy: float, n: int) -> int:
    """the nearest k is round(accuracy / 100 * n); does 100 * k / n lie within 0.005 of it?"""
    return int(len(audit.Printed(f"{accuracy:.2f}", percent=True).window().numerators(n)) > 0)


_YANG = ("80.00", "82.29", "84.37", "87.91", "90.62", "62.50", "79.79")


@exercise(
    "audit-yang-size",
    wrong=[
        (1440, "three times too many: that is the whole corpus, and its third will do"),
        (96, "that fits five of the seven: 87.91 and 79.79 are no share of 96 clips"),
    ],
)
def _yang_size() -> int:
    """audit.granularity takes a list of audit.Printed and tries rounding and truncation; its
    `sizes` are in ascending order
    """
    return audit.granularity([audit.Printed(text) for text in _YANG]).sizes[0]


@exercise(
    "audit-mostafa-accuracy",
    tolerance=1e-5,
    wrong=[
        (
            100 * np.mean([0.72, 0.79, 0.83, 0.66, 0.75, 0.55, 0.45, 0.76]),
            "the plain mean of the recalls: neutral has half as many clips",
        ),
        (lambda: _mostafa_accuracy() / 100, "a share"),
    ],
)
def _mostafa_accuracy() -> float:
    """a mean of the recalls with weight 1 for neutral and 2 for every other class, in per cent"""
    table = audit.PrintedTable.read(paths.CLAIMS / "tables" / "mostafa-table2.csv")
    clips = table.counts("population")["ravdess speech"]
    recalls = {name.lower(): row["recall"].value for name, row in table.classes.items()}
    return 100 * float(sum(clips[name] * recalls[name] for name in recalls) / sum(clips.values()))


@exercise(
    "audit-mcnemar",
    tolerance=1e-4,
    wrong=[
        (stats.binomtest(14, 20, alternative="greater").pvalue, "half"),
        (
            stats.chi2.sf((14 - 6) ** 2 / 20, 1),
            "that is the chi-square approximation: count exactly",
        ),
        (1 - stats.binomtest(14, 20).pvalue, "the share of the others"),
    ],
)
def _mcnemar() -> float:
    """of 20 clips that changed, 14 fell on one side: how likely is a fair coin to be as uneven, in
    either direction?
    """
    return float(stats.binomtest(14, 14 + 6).pvalue)


@exercise(
    "audit-wilson",
    tolerance=1e-4,
    wrong=[
        (evaluation.wilson(479, 491)[::-1], "reversed"),
        (np.multiply(100, evaluation.wilson(479, 491)), "percent"),
        (np.round(evaluation.wilson(479, 491), 3), "rounded"),
        (479 / 491, "an array of shape (2,)"),
    ],
)
def _interval() -> tuple[float, float]:
    """evaluation.wilson(correct, total) gives both ends"""
    return evaluation.wilson(479, 491)


def _printed_shares(rng: np.random.Generator) -> tuple[list[float], int]:
    n = int(rng.integers(40, 90))
    return [round(100 * int(k) / n, 2) for k in rng.integers(n // 2, n, 4)], 120


def _fits(accuracy: float, n: int, half: float = 0.005) -> bool:
    return abs(100 * round(accuracy / 100 * n) / n - accuracy) <= half + 1e-9


@exercise(
    "audit-sizes",
    inputs=_printed_shares,
    wrong=[
        (
            lambda accuracies, largest: [
                n for n in range(1, largest + 1) if any(_fits(a, n) for a in accuracies)
            ],
            "these explain some of the numbers, and all of them must fit",
        ),
        (
            lambda accuracies, largest: min(
                n for n in range(1, largest + 1) if all(_fits(a, n) for a in accuracies)
            ),
            "that is the smallest only: return all sizes up to the largest",
        ),
    ],
)
def _sizes(accuracies: list[float], largest: int) -> list[int]:
    """for each n from 1 to the largest, ask `is_possible` of all accuracies"""
    return [n for n in range(1, largest + 1) if all(_fits(a, n) for a in accuracies)]


def _report(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    hits = rng.integers(5, 40, 8)
    return hits, hits + rng.integers(0, 20, 8), hits + rng.integers(0, 20, 8)


def _of_means(hits: np.ndarray, support: np.ndarray, answered: np.ndarray) -> float:
    recall, precision = (hits / support).mean(), (hits / answered).mean()
    return float(2 * recall * precision / (recall + precision))


@exercise(
    "audit-macro",
    inputs=_report,
    wrong=[
        (_of_means, "the bug is still there: that is the F1 of the means, not the mean of the F1"),
        (
            lambda hits, support, answered: 2 * hits.sum() / (support.sum() + answered.sum()),
            "that pools all classes (micro): each class counts alike here",
        ),
        (lambda hits, support, answered: 2 * hits / (support + answered), "one number is wanted"),
    ],
)
def _macro(hits: np.ndarray, support: np.ndarray, answered: np.ndarray) -> float:
    """2h / (s + p) for each class first, and their mean after that"""
    return float((2 * hits / (support + answered)).mean())


def _recall(rng: np.random.Generator) -> tuple[float, int]:
    return round(float(rng.uniform(0.4, 0.95)), 2), int(rng.integers(20, 70))


def _pairs(recall: float, largest: int, half: float = 0.005) -> int:
    return sum(
        abs(hits / support - recall) <= half + 1e-12
        for support in range(1, largest + 1)
        for hits in range(support + 1)
    )


@exercise(
    "audit-margin",
    inputs=_recall,
    wrong=[
        (
            lambda recall, largest: sum(
                abs(round(recall * s) / s - recall) <= 0.005 + 1e-12 for s in range(1, largest + 1)
            ) + 1,
            "too large by exactly 1",
        ),
        (
            lambda recall, largest: _pairs(recall, largest, 0.05),
            "a digit too generous: two decimals leave half a hundredth on either side",
        ),
    ],
)  # fmt: skip
def _margin(recall: float, largest: int) -> int:
    """two loops: support from 1 to the largest, hits from 0 to the support; count what rounds to
    it
    """
    return _pairs(recall, largest)
