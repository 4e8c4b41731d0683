"""The leak ladder: a cue, six clips, and a detector of siblings."""

import numpy as np

from emolib import evaluation
from emolib.book.exercises.engine import exercise


@exercise(
    "lab_leaks-cue",
    wrong=[
        (0.8, "the clips with a random cue are not all wrong: one in eight is right"),
        (82.5, "percent"),
        (0.175, "the share of the others"),
    ],
)
def _cue_accuracy() -> float:
    """the clips with a random cue are not all wrong: one in eight is right"""
    from emolib import synthetic

    return synthetic.LEAKS["actor"].leaking["clip"]


@exercise(
    "lab_leaks-six",
    tolerance=1e-4,
    wrong=[
        (1.0, "six of six is the accuracy that was seen, and the interval's lower end is wanted"),
        (evaluation.wilson(6, 6), "one number is wanted"),
        (0.61, "rounded"),
        (0.5**6, "that is the chance of a coin to be right six times: another question"),
    ],
)
def _six() -> float:
    """evaluation.wilson(correct, total) gives both ends; the lower one is wanted"""
    return evaluation.wilson(6, 6)[0]


def _clip_numbers(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(0, 40, 30), rng.integers(0, 40, 20)


def _sorting(train: np.ndarray, test: np.ndarray) -> float:
    train.sort()
    return float(np.isin(test, train).mean())


@exercise(
    "lab_leaks-detector",
    inputs=_clip_numbers,
    wrong=[
        (lambda train, test: np.isin(train, test).mean(), "that is the share of training samples"
         " with a sibling in the test: the other way round"),
        (lambda train, test: np.isin(test, train), "one number is wanted"),
        (lambda train, test: 1 - np.isin(test, train).mean(), "the share of the others"),
        (_sorting, "changes its argument"),
    ],
)  # fmt: skip
def _detector(train: np.ndarray, test: np.ndarray) -> float:
    """ask for each test sample whether its clip number is among those of the training"""
    return float(np.isin(test, train).mean())
