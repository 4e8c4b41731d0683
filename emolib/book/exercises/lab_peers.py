"""Peers under the same light: folds, people, weights chosen apart, luck, and a trained fusion."""

import numpy as np
import pandas as pd
from scipy import stats

from emolib import paths
from emolib.book.exercises.diagnoses import falls
from emolib.book.exercises.engine import exercise, noise, trains


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


def _clips_of_people(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    actors = np.repeat(np.arange(6), rng.integers(3, 30, 6))
    return rng.random(len(actors)) < 0.3 + 0.1 * actors, actors


@exercise(
    "lab_peers-by-actor",
    inputs=_clips_of_people,
    wrong=[
        (
            lambda right, actors: right.mean(),
            "that counts clips alike: whoever has many clips counts more",
        ),
        (
            lambda right, actors: [right[actors == one].mean() for one in np.unique(actors)],
            "one number is wanted",
        ),
    ],
)
def _by_actor(right: np.ndarray, actors: np.ndarray) -> float:
    """the share of right clips of each actor first, then the mean over actors"""
    return float(np.mean([right[actors == one].mean() for one in np.unique(actors)]))


_WEIGHTS = np.linspace(0, 1, 11)


def _two_scores(rng: np.random.Generator) -> tuple:
    labels, test = rng.integers(0, 4, 200), np.arange(200) < 40
    good, bad = np.where(test, 0.6, 1.6)[:, None], np.where(test, 1.6, 0.6)[:, None]
    one, two = (rng.normal(size=(200, 4)) + size * np.eye(4)[labels] for size in (good, bad))
    return one, two, labels, test


def _shares(voice, units, labels, rows) -> np.ndarray:
    fused = _WEIGHTS[:, None, None] * voice[rows] + (1 - _WEIGHTS[:, None, None]) * units[rows]
    return (fused.argmax(2) == labels[rows]).mean(1)


def _chosen_apart(voice, units, labels, test) -> float:
    best = _shares(voice, units, labels, ~test).argmax()
    return float(_shares(voice, units, labels, test)[best])


@exercise(
    "lab_peers-choose",
    inputs=_two_scores,
    wrong=[
        (
            lambda voice, units, labels, test: _shares(voice, units, labels, test).max(),
            "the leak is still there: the weight was chosen on the test fold",
        ),
        (
            lambda voice, units, labels, test: _shares(voice, units, labels, ~test).max(),
            "that is the accuracy on the other folds, and the test fold is asked for",
        ),
        (
            lambda voice, units, labels, test: _WEIGHTS[
                _shares(voice, units, labels, ~test).argmax()
            ],
            "that is the weight, and the accuracy that it gives is wanted",
        ),
    ],
)
def _choose(voice, units, labels, test) -> float:
    """choose with ~test, then score with test, at that one weight"""
    return _chosen_apart(voice, units, labels, test)


def _scores_to_fuse(rng: np.random.Generator) -> tuple:
    import torch
    from torch import nn

    torch.manual_seed(0)
    labels = rng.integers(0, 8, 300)
    x = noise(rng, 300, 16) + torch.from_numpy(np.tile(2 * np.eye(8)[labels], 2)).float()
    return nn.Linear(16, 8), x, torch.from_numpy(labels)


def _fused(model, x, y, epochs: int = 60, sign: int = 1) -> list:
    import torch

    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(epochs):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        (sign * loss).backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


@trains(
    "lab_peers-fusion",
    inputs=_scores_to_fuse,
    judge=falls(to=0.4, steps=20),
    wrong=[
        (lambda model, x, y: _fused(model, x, y, sign=-1), "does not fall"),
        (lambda model, x, y: _fused(model, x, y, epochs=4), "train for at least 20 steps"),
    ],
)
def _fusion(model, x, y) -> list:
    """sixty steps of Adam with a rate of 0.05 over all rows; return the losses"""
    return _fused(model, x, y)
