"""Ding, Tang, Lu: padding, siblings, clips, and how sure one can be."""

import numpy as np
from scipy import stats

from emolib import evaluation
from emolib.book.exercises.engine import exercise, size


def _parameters(**options) -> int:
    from emolib import models

    return size(models.build("ding", **options))


@exercise(
    "ding-same-padding",
    wrong=[
        (_parameters, "that is the network as printed, without padding"),
        (66_584 + 16 * (8 * 8 * 64 - 6 * 6 * 64), "the face's maps grow, and the voice's do too"),
    ],
)
def _same_padding() -> int:
    """only the maps change size, so only the first dense layer grows: 8 × 8 × 64 + 10 × 32 inputs
    instead of 6 × 6 × 64 + 7 × 32
    """
    return _parameters(padding="same")


@exercise(
    "ding-siblings",
    tolerance=1e-6,
    wrong=[
        (1.0, "certain"),
        (99.96803, "percent"),
        (0.2**5, "that is the share of the others"),
        (1 - 0.2**5, "nearly: the five are drawn without putting any back, so use hypergeom"),
    ],
)
def _siblings() -> float:
    """five siblings, each in the training part with probability about 0.8: what is the chance that
    none of them is?
    """
    segments, test = 1440 * 6, 1728
    return float(1 - stats.hypergeom(segments - 1, segments - test, 5).pmf(0))


@exercise(
    "ding-interval",
    tolerance=1e-4,
    wrong=[
        (evaluation.wilson(276, 288)[::-1], "reversed"),
        (np.multiply(100, evaluation.wilson(276, 288)), "percent"),
        (np.round(evaluation.wilson(276, 288), 2), "rounded"),
        (
            276 / 288 + np.array([-1.96, 1.96]) * np.sqrt(276 * 12 / 288**3),
            "that is the normal (Wald) interval, which is too narrow so close to 1",
        ),
    ],
)
def _interval() -> tuple[float, float]:
    """evaluation.wilson(correct, total) wants counts: 95.8 % of 288 clips are 276"""
    return evaluation.wilson(276, 288)


def _in_place(segments: np.ndarray) -> np.ndarray:
    segments /= segments.sum(axis=2, keepdims=True)
    segments *= 1.0 + 1e-9
    return segments.mean(axis=1)


@exercise(
    "ding-clip-level",
    inputs=lambda rng: (rng.dirichlet(np.ones(8), size=(12, 6)),),
    wrong=[
        (lambda segments: segments.mean(axis=0), "axis 1"),
        (lambda segments: segments.sum(axis=1), "sum to one"),
        (lambda segments: segments.mean(axis=1).argmax(axis=1), "the shape is (12,)"),
        (_in_place, "changes its argument"),
    ],
)
def _clip_level(probabilities: np.ndarray) -> np.ndarray:
    """average the six probability vectors of each clip: (clips, 6, classes) → (clips, classes)"""
    return probabilities.mean(axis=1)
