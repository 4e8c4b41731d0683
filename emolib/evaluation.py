"""Metrics with their uncertainty: what a number on a test set of this size can say.

Accuracy alone hides two things: unequal classes, so the unweighted average recall (UAR)
stands beside it, and the size of the test set, so every number carries an interval. Clips of
one actor resemble each other; an interval that treats them as independent is too narrow.
`bootstrap_by_actor` therefore draws whole actors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emolib.errors import EmolibError

Interval = tuple[float, float]


class EvaluationError(EmolibError, ValueError):
    """Labels, probabilities and classes do not belong together."""


@dataclass(frozen=True)
class Evaluation:
    """What a set of predictions is worth.

    Attributes
    ----------
    accuracy, uar, macro_f1
        Shares in [0, 1]. UAR and macro F1 average over the classes that occur in the labels.
    log_loss, ece
        Mean negative log probability of the true class (nats), and expected calibration
        error over 15 equal bins.
    per_class
        Rows in the order of `classes`; columns precision, recall, f1 (NaN for a class without
        a test sample) and support.
    confusion
        Counts (C, C), true classes down, predicted across.
    accuracy_interval
        Wilson 95 % interval, as if samples were independent.
    accuracy_actor_interval, uar_interval, macro_f1_interval
        95 % intervals by drawing actors with replacement (samples, if actors are not given).
    """

    n: int
    classes: tuple[str, ...]
    accuracy: float
    uar: float
    macro_f1: float
    log_loss: float
    ece: float
    per_class: pd.DataFrame
    confusion: np.ndarray
    accuracy_interval: Interval
    accuracy_actor_interval: Interval
    uar_interval: Interval
    macro_f1_interval: Interval
    n_actors: int

    def to_dict(self) -> dict:
        """Return the evaluation as plain numbers, lists and dicts."""
        scores = self.per_class.astype(float).astype(object)
        return vars(self) | {
            "per_class": scores.where(self.per_class.notna(), None).to_dict("index"),
            "confusion": self.confusion.tolist(),
        }


def evaluate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    *,
    actors: Sequence[str] | None = None,
    seed: int = 0,
    draws: int = 2000,
) -> Evaluation:
    """Evaluate class probabilities against labels.

    Parameters
    ----------
    labels
        Class numbers (N,).
    probabilities
        Shape (N, C); rows sum to 1.
    classes
        The C class names.
    actors
        Speaker of each sample (N,), for intervals that respect that clips of one speaker
        resemble each other.
    seed, draws
        Of the bootstrap.

    Raises
    ------
    EvaluationError
        If shapes disagree, nothing is there, or rows are not probabilities.

    Examples
    --------
    >>> p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    >>> round(evaluate([0, 1, 1], p, ("sad", "happy")).uar, 2)
    0.75
    """
    labels, probabilities = _checked(labels, probabilities, classes)
    predicted = probabilities.argmax(1)
    confusion = confusion_matrix(labels, predicted, len(classes))
    table = per_class(confusion, classes)
    hits = int((predicted == labels).sum())
    drawn = bootstrap_by_actor(labels, predicted, len(classes), actors, seed=seed, draws=draws)
    true_share = np.clip(probabilities[np.arange(len(labels)), labels], 1e-12, 1)
    return Evaluation(
        n=len(labels),
        classes=tuple(classes),
        accuracy=hits / len(labels),
        uar=float(table["recall"].mean()),
        macro_f1=float(table["f1"].mean()),
        log_loss=float(-np.log(true_share).mean()),
        ece=calibration(labels, probabilities)[0],
        per_class=table,
        confusion=confusion,
        accuracy_interval=wilson(hits, len(labels)),
        accuracy_actor_interval=drawn["accuracy"][1],
        uar_interval=drawn["uar"][1],
        macro_f1_interval=drawn["macro_f1"][1],
        n_actors=len(set(actors)) if actors is not None else 0,
    )


def _checked(labels, probabilities, classes) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (N,) int64 and probabilities (N, C) float64, or say what is wrong."""
    labels = np.asarray(labels, dtype=np.int64)
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.shape != (len(labels), len(classes)):
        raise EvaluationError(
            f"probabilities have shape {probabilities.shape}, but there are {len(labels)} labels "
            f"and {len(classes)} classes: give one row per label, one column per class"
        )
    if not len(labels):
        raise EvaluationError("there is nothing to evaluate: the test part is empty")
    if labels.min() < 0 or labels.max() >= len(classes):
        raise EvaluationError(
            f"labels run from {labels.min()} to {labels.max()}, but there are {len(classes)} "
            "classes: number them in the order of the corpus's classes"
        )
    sums = probabilities.sum(1)
    if not np.isfinite(sums).all() or (probabilities < 0).any() or np.abs(sums - 1).max() > 1e-2:
        raise EvaluationError(
            "rows of probabilities must be finite, not negative and sum to 1: apply softmax to "
            "logits first (training.predict does)"
        )
    return labels, probabilities


# --- uncertainty of one number -------------------------------------------------------------


def wilson(k: int, n: int, level: float = 0.95) -> Interval:
    """Return the Wilson score interval for `k` hits among `n`.

    Examples
    --------
    >>> low, high = wilson(479, 491)  # Lu et al., RAVDESS
    >>> f"{low:.3f} – {high:.3f}"
    '0.958 – 0.986'
    """
    from statsmodels.stats.proportion import proportion_confint

    if not 0 <= k <= n or n < 1:
        raise EvaluationError(f"{k} hits among {n} samples is impossible")
    low, high = proportion_confint(k, n, alpha=1 - level, method="wilson")
    return float(low), float(high)


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Count labels (N,) against predictions (N,): (C, C), true classes down, predicted across."""
    from sklearn import metrics

    return metrics.confusion_matrix(labels, predicted, labels=np.arange(n_classes))


def per_class(confusion: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """Return precision, recall, f1 (NaN for a class without a sample) and support by class.

    Precision is 0 for a class that was never predicted.
    """
    hits, support, predicted = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    table = pd.DataFrame(
        {
            "precision": hits / np.maximum(predicted, 1),
            "recall": hits / np.maximum(support, 1),
            "f1": 2 * hits / np.maximum(support + predicted, 1),
            "support": support,
        },
        index=pd.Index(list(classes), name="class"),
    )
    table.loc[support == 0, ["precision", "recall", "f1"]] = np.nan
    return table


def confusions_by_actor(
    labels: np.ndarray, predicted: np.ndarray, n_classes: int, actors: Sequence[str] | np.ndarray
) -> np.ndarray:
    """Return one confusion matrix for each actor, (A, C, C), actors in sorted order."""
    names, which = np.unique(np.asarray(actors), return_inverse=True)
    cells = (which * n_classes + np.asarray(labels)) * n_classes + np.asarray(predicted)
    counts = np.bincount(cells, minlength=len(names) * n_classes**2)
    return counts.reshape(len(names), n_classes, n_classes)


def scores(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Return accuracy, UAR and macro F1 of confusion matrices (…, C, C), vectorised.

    UAR and macro F1 average over the classes that have a true sample.
    """
    confusion = np.asarray(confusion, dtype=np.float64)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    support, predicted = confusion.sum(-1), confusion.sum(-2)
    present = support > 0
    n_present = present.sum(-1)
    recall = np.divide(hits, support, out=np.zeros_like(hits), where=present)
    f1 = np.divide(
        2 * hits, support + predicted, out=np.zeros_like(hits), where=support + predicted > 0
    )
    return {
        "accuracy": hits.sum(-1) / support.sum(-1),
        "uar": recall.sum(-1) / n_present,
        "macro_f1": np.where(present, f1, 0).sum(-1) / n_present,
    }


def bootstrap_by_actor(
    labels: np.ndarray,
    predicted: np.ndarray,
    n_classes: int,
    actors: Sequence[str] | np.ndarray | None = None,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, tuple[float, Interval]]:
    """Return each score with a percentile interval from drawing actors with replacement.

    Parameters
    ----------
    labels, predicted
        Class numbers (N,), or `predicted` (S, N) for S seeds that predicted the same samples:
        the score is then the mean over seeds, and a draw takes the same actors for all.
    actors
        Speaker of each sample. None, or fewer than two different ones, draws samples instead.

    Returns
    -------
    dict
        ``{"accuracy" | "uar" | "macro_f1": (value, (low, high))}``.
    """
    pairs = _whole_and_drawn(labels, predicted, n_classes, actors, draws, seed)
    whole, drawn = ([scores(one) for one in each] for each in zip(*pairs, strict=True))
    tail = (1 - level) / 2
    result = {}
    for name in ("accuracy", "uar", "macro_f1"):
        low, high = np.quantile(np.mean([d[name] for d in drawn], axis=0), [tail, 1 - tail])
        result[name] = (float(np.mean([w[name] for w in whole])), (float(low), float(high)))
    return result


def per_class_intervals(
    labels: np.ndarray,
    predicted: np.ndarray,
    classes: Sequence[str],
    actors: Sequence[str] | np.ndarray | None = None,
    *,
    level: float = 0.95,
    draws: int = 4000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return precision, recall and F1 of each class with *simultaneous* percentile intervals.

    All cells together lie inside with probability `level`: each interval leaves out
    (1 - level) / cells (Bonferroni). Drawing is that of `bootstrap_by_actor`.

    Returns
    -------
    DataFrame
        Indexed by class and metric; columns ``value``, ``low``, ``high``, means over seeds.
    """
    pairs = _whole_and_drawn(labels, predicted, len(classes), actors, draws, seed)
    whole, drawn = (np.mean([_cells(one) for one in each], 0) for each in zip(*pairs, strict=True))
    tail = (1 - level) / (2 * len(classes) * 3)
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    index = pd.MultiIndex.from_product([classes, ["precision", "recall", "f1"]])
    columns = {"value": whole.ravel(), "low": low.ravel(), "high": high.ravel()}
    return pd.DataFrame(columns, index=index)


def _cells(confusion: np.ndarray) -> np.ndarray:
    """Return precision, recall and F1 by class, (…, C, 3), of confusion matrices (…, C, C)."""
    confusion = np.asarray(confusion, dtype=np.float64)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    support, predicted = confusion.sum(-1), confusion.sum(-2)
    shares = (hits / np.maximum(predicted, 1), hits / np.maximum(support, 1))
    return np.stack([*shares, 2 * hits / np.maximum(support + predicted, 1)], -1)


def _whole_and_drawn(
    labels: np.ndarray,
    predicted: np.ndarray,
    n_classes: int,
    actors: Sequence[str] | np.ndarray | None,
    draws: int,
    seed: int,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each seed the confusion matrix (C, C) and drawn ones (draws, C, C).

    A draw takes the same actors for all seeds.
    """
    labels, predicted = np.asarray(labels), np.atleast_2d(predicted)
    rng = np.random.default_rng(seed)
    if actors is None or len(set(actors)) < 2:
        # Drawing samples is drawing cells of (label, prediction of every seed).
        columns = np.column_stack([labels, *predicted])
        cells, observed = np.unique(columns, axis=0, return_counts=True)
        labels, predicted, actors = cells[:, 0], cells[:, 1:].T, np.arange(len(cells))
    else:
        observed = np.ones(len(set(actors)), dtype=int)
    per_seed = [confusions_by_actor(labels, row, n_classes, actors) for row in predicted]
    total = observed.sum()
    times = rng.multinomial(total, observed / total, size=draws)  # (B, groups)
    return [
        (np.tensordot(observed, each, axes=1), np.tensordot(times, each, axes=1))
        for each in per_seed
    ]


# --- comparing two models ------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """A paired comparison of a second model with a first one on the same test samples.

    `only_first` and `only_second` count the samples that only one of them got right;
    `difference` is accuracy(second) − accuracy(first); `t` and `t_p` are None without
    differences per fold.
    """

    n: int
    only_first: int
    only_second: int
    difference: float
    mcnemar_p: float
    t: float | None
    t_p: float | None


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p-value of McNemar's test from the two discordant counts."""
    from scipy import stats

    if only_first + only_second == 0:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second, 0.5).pvalue)


def corrected_t_test(
    differences: Sequence[float], n_train: float, n_test: float
) -> tuple[float, float]:
    """Return t and p of the corrected resampled t-test (Nadeau & Bengio 2003).

    Training sets of different folds overlap, so the plain t-test is far too sure: its
    variance 1/J is replaced by 1/J + n_test/n_train.

    Parameters
    ----------
    differences
        One for each fold × seed, J in all.
    n_train, n_test
        Samples in the training and the test part of a fold.
    """
    from scipy import stats

    values = np.asarray(differences, dtype=float)
    if len(values) < 2:
        raise EvaluationError("the corrected t-test needs at least two folds or seeds")
    variance = values.var(ddof=1)
    if variance == 0:
        same = values[0] == 0
        return (0.0, 1.0) if same else (float(np.copysign(np.inf, values[0])), 0.0)
    t = values.mean() / np.sqrt((1 / len(values) + n_test / n_train) * variance)
    return float(t), float(2 * stats.t.sf(abs(t), len(values) - 1))


def paired_comparison(
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    *,
    fold_differences: Sequence[float] = (),
    n_train: float = 0,
    n_test: float = 0,
) -> Comparison:
    """Compare two models on the same samples: exact McNemar, and corrected t over folds.

    Parameters
    ----------
    labels
        Class numbers (N,).
    first, second
        Predicted class numbers (N,) or probabilities (N, C).
    fold_differences
        Score(second) − score(first) for each fold × seed; with `n_train` and `n_test` of one
        fold it also gives the corrected resampled t-test.
    """
    labels = np.asarray(labels)
    first, second = (
        np.asarray(p).argmax(1) if np.ndim(p) == 2 else np.asarray(p) for p in (first, second)
    )
    if not len(labels) == len(first) == len(second):
        raise EvaluationError(
            f"{len(labels)} labels, {len(first)} and {len(second)} predictions: both models must "
            "have predicted the same samples"
        )
    a, b = first == labels, second == labels
    t: tuple[float | None, float | None] = (None, None)
    if len(fold_differences) > 1:
        t = corrected_t_test(fold_differences, n_train, n_test)
    discordant = int((a & ~b).sum()), int((b & ~a).sum())
    difference = float(b.mean() - a.mean())
    return Comparison(len(labels), *discordant, difference, mcnemar(*discordant), *t)


def difference_by_actor(
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    n_classes: int,
    actors: Sequence[str] | np.ndarray,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, tuple[float, Interval]]:
    """Return score(second) − score(first) with a percentile interval, drawing the same actors.

    Where clips of one actor are right or wrong together, McNemar's test is too sure of itself;
    this interval is not.

    Parameters
    ----------
    labels, first, second
        Class numbers (N,): the truth, and the answers of two models.
    actors
        Speaker of each sample.

    Returns
    -------
    dict
        ``{"accuracy" | "uar" | "macro_f1": (difference, (low, high))}``.

    Examples
    --------
    >>> same = np.array([0, 1, 1, 0])
    >>> difference_by_actor(same, same, same, 2, ["a", "a", "b", "b"])["uar"]
    (0.0, (0.0, 0.0))
    """
    both = [confusions_by_actor(labels, answers, n_classes, actors) for answers in (first, second)]
    n = len(both[0])
    times = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws)
    drawn = [scores(np.tensordot(times, matrices, axes=1)) for matrices in both]
    whole = [scores(matrices.sum(0)) for matrices in both]
    tail = (1 - level) / 2
    result = {}
    for name in whole[0]:
        low, high = np.quantile(drawn[1][name] - drawn[0][name], [tail, 1 - tail])
        result[name] = float(whole[1][name] - whole[0][name]), (float(low), float(high))
    return result


def holm(pvalues: Sequence[float]) -> np.ndarray:
    """Return p-values adjusted for their number by Holm's step-down method; NaN stays NaN.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    from statsmodels.stats.multitest import multipletests

    adjusted = np.array(pvalues, dtype=float)
    tested = ~np.isnan(adjusted)  # what was not tested is no test among others
    if tested.any():
        adjusted[tested] = multipletests(adjusted[tested], method="holm")[1]
    return adjusted


# --- calibration ---------------------------------------------------------------------------


def calibration(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = 15
) -> tuple[float, pd.DataFrame]:
    """Return the expected calibration error and the reliability table behind it.

    Samples are sorted into equal bins of confidence (the largest probability). The error is
    the mean of \\|accuracy − confidence\\| over bins, weighted by their counts.

    Returns
    -------
    tuple
        The error in [0, 1], and one row per bin: low, high, n, confidence, accuracy (NaN in
        an empty bin).
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    confidence = probabilities.max(1)
    hit = probabilities.argmax(1) == labels
    which = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)  # bins (low, high]
    n = np.bincount(which, minlength=bins)
    filled = np.where(n > 0, n, np.nan)
    table = pd.DataFrame(
        {
            "low": np.arange(bins) / bins,
            "high": np.arange(1, bins + 1) / bins,
            "n": n,
            "confidence": np.bincount(which, confidence, bins) / filled,
            "accuracy": np.bincount(which, hit, bins) / filled,
        }
    )
    gaps = (table["accuracy"] - table["confidence"]).abs()
    return float((gaps * table["n"]).sum() / len(labels)), table


# --- from segments to clips, from models to an ensemble ------------------------------------


def clip_level(probabilities: np.ndarray, n_segments: int) -> np.ndarray:
    """Return the mean over the segments of each clip.

    Parameters
    ----------
    probabilities
        Shape (clips · n_segments, C); the segments of a clip stand together.

    Returns
    -------
    ndarray
        Shape (clips, C).
    """
    probabilities = np.asarray(probabilities)
    if len(probabilities) % n_segments:
        raise EvaluationError(
            f"{len(probabilities)} rows are no whole number of clips of {n_segments} segments: a "
            "split by segment has no clip level"
        )
    return probabilities.reshape(-1, n_segments, probabilities.shape[-1]).mean(1)


FUSIONS = ("arithmetic", "geometric", "product")


def fuse(probabilities: Sequence[np.ndarray], how: str = "arithmetic") -> np.ndarray:
    """Fuse the probabilities of several models or modalities, each (N, C).

    "arithmetic" is their mean, "geometric" their geometric mean, "product" Bayes' rule for
    independent evidence and a flat prior; the last two are renormalised in log space.
    """
    if how not in FUSIONS:
        raise EvaluationError(f"unknown fusion {how!r}: known are {', '.join(FUSIONS)}")
    stack = np.stack([np.asarray(p, dtype=np.float64) for p in probabilities])
    if how == "arithmetic":
        return stack.mean(0)
    from scipy.special import softmax

    logs = np.log(np.clip(stack, 1e-30, 1))
    return softmax(logs.mean(0) if how == "geometric" else logs.sum(0), axis=-1)
