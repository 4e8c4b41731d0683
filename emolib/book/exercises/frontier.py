"""The frontier: what a recurrent layer costs, and what a network risks that stays silent."""

import numpy as np

from emolib.book.exercises.engine import exercise


@exercise(
    "frontier-lstm",
    wrong=[
        (4 * (40 * 64 + 64 * 64 + 64), "PyTorch gives every gate two biases, not one"),
        (40 * 64 + 64 * 64 + 2 * 64, "an LSTM has four gates, and each has its own weights"),
    ],
)
def _lstm() -> int:
    """each of four gates has a matrix for the input, one for the state, and two biases"""
    from torch import nn

    return sum(weights.numel() for weights in nn.LSTM(40, 64).parameters())


def _sure_answers(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    probabilities = rng.dirichlet(np.full(8, 0.4), size=60)
    return rng.integers(0, 8, 60), probabilities, float(rng.uniform(0.2, 0.8))


def _of_all(labels, probabilities, coverage):
    return float((probabilities.argmax(axis=1) != labels).mean())


def _least_sure(labels, probabilities, coverage):
    given = np.argsort(probabilities.max(axis=1))[: int(np.ceil(coverage * len(labels)))]
    return float((probabilities.argmax(axis=1) != labels)[given].mean())


@exercise(
    "frontier-risk",
    inputs=_sure_answers,
    wrong=[
        (_of_all, "that is the risk of all answers: keep only the surest of them"),
        (_least_sure, "those are the least sure answers: sort by falling probability"),
    ],
)
def _risk(labels: np.ndarray, probabilities: np.ndarray, coverage: float) -> float:
    """sort by the largest probability, keep the surest, count the wrong ones among them"""
    given = np.argsort(-probabilities.max(axis=1))[: int(np.ceil(coverage * len(labels)))]
    return float((probabilities.argmax(axis=1) != labels)[given].mean())
