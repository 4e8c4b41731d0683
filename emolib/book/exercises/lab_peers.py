"""Peers under the same light: means of folds, logits, luck, and folds that leak."""

import numpy as np
import pandas as pd
from scipy import stats

from emolib import paths
from emolib.book.exercises.engine import exercise


def _folds() -> pd.DataFrame:
    table = pd.read_csv(paths.find(paths.RESULTS / "lab_peers" / "recomputed.csv"))
    return table[(table["system"] == "trained fusion") & table["fold"].str.isdigit()]


@exercise(
    "lab_peers-mean-of-folds",
    tolerance=1e-5,
    wrong=[
        (
            lambda: 100 * _folds()["right"].sum() / _folds()["clips"].sum(),
            "that pools the clips, so that larger folds count more: average five accuracies",
        ),
        (lambda: _mean_of_folds() / 100, "a share"),
        (lambda: round(_mean_of_folds()), "rounded"),
    ],
)
def _mean_of_folds() -> float:
    """average the accuracies of the five folds: the last fold has fewer clips and counts as much"""
    return float((100 * _folds()["right"] / _folds()["clips"]).mean())


def _logits(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(0, 3, (20, 8)), rng.normal(0, 2, (20, 8))


def _arithmetic(voice: np.ndarray, units: np.ndarray) -> np.ndarray:
    shares = [np.exp(one) / np.exp(one).sum(axis=1, keepdims=True) for one in (voice, units)]
    return (shares[0] + shares[1]).argmax(axis=1)


@exercise(
    "lab_peers-logits",
    inputs=_logits,
    wrong=[
        (lambda voice, units: (voice + units).argmax(0), "axis 1"),
        (lambda voice, units: (voice * units).argmax(1), "logits are logarithms: the product of"
         " probabilities is their sum"),
        (lambda voice, units: (voice + units).argmax(1) + 1, "off by one"),
        (_arithmetic, "that is what the arithmetic mean of the probabilities chooses"),
    ],
)  # fmt: skip
def _by_logits(voice: np.ndarray, units: np.ndarray) -> np.ndarray:
    """the logarithm of a product is a sum, and what is divided out is the same for all classes"""
    return (voice + units).argmax(1)


@exercise(
    "lab_peers-best-of-ten",
    tolerance=5e-4,
    wrong=[
        (62.32, "that is the mean of one run, and the best of ten lies above it"),
        (62.32 + 1.19, "one sd above the mean: the largest of ten lies higher still"),
        (62.32 + 1.96 * 1.19, "that is the end of a 95 % interval, not the mean of the largest"),
    ],
)
def _best_of_ten() -> float:
    """draw ten normal numbers with mean 62.32 and sd 1.19 many times, keep the largest of each ten,
    and average
    """
    largest = stats.norm.expect(lambda x: 10 * x * stats.norm.cdf(x) ** 9)
    return 62.32 + 1.19 * float(largest)


def _people(rng: np.random.Generator) -> tuple[list, list]:
    dealt = rng.permutation(24)
    return [dealt[:4], dealt[4:8]], [dealt[rng.integers(2, 5) :][:3], dealt[8:10]]


def _everybody(test: list, valid: list) -> int:
    return sum(len({*own} & {*other}) for own, other in zip(test, valid, strict=True))


@exercise(
    "lab_peers-leaking-folds",
    inputs=_people,
    wrong=[
        (_everybody, "that counts people, and folds are asked for"),
        (
            lambda test, valid: int(bool({*np.ravel(test)} & {*np.concatenate(valid)})),
            "any fold against any other: compare the two parts of the same fold",
        ),
    ],
)
def _leaking_folds(test: list, valid: list) -> int:
    """a fold leaks if one of its test actors validates in the same fold: count such folds"""
    return sum(bool({*own} & {*other}) for own, other in zip(test, valid, strict=True))
