"""Ding, Tang, Lu: padding, siblings, clips, a branch, a network, a split, and gradients."""

import numpy as np
from scipy import stats

from emolib import evaluation
from emolib.book.exercises.engine import exercise, network, noise, size


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


def _temporal(kernel: int = 5, flat: bool = True):
    from torch import nn

    layers: list[nn.Module] = [nn.Unflatten(1, (1, 40))]
    for c_in, c_out in ((1, 16), (16, 32)):
        layers += [nn.Conv1d(c_in, c_out, kernel), nn.ReLU(), nn.MaxPool1d(2)]
    return nn.Sequential(*layers, *[nn.Flatten()] * flat)


@network(
    "ding-temporal",
    inputs=lambda rng: (noise(rng, 3, 40),),
    wrong=[
        (lambda: _temporal(kernel=3), "1,632 parameters, 2,688 are wanted"),
        (lambda: _temporal(flat=False), "the output's shape is (3, 32, 7)"),
    ],
)
def _temporal_branch():
    """two layers of a convolution with kernel 5, ReLU, and pooling by 2; begin with nn.Unflatten"""
    return _temporal()


def _savee(**options):
    from emolib import models

    return models.build("ding", **{"n_classes": 7, "hidden": 14, **options})


def _segments(rng: np.random.Generator) -> dict:
    return {"audio": noise(rng, 2, 40), "video": noise(rng, 2, 1, 64, 64)}


@network(
    "ding-savee",
    inputs=_segments,
    wrong=[
        (lambda: _savee(n_classes=8), "61,510 parameters, 61,495 are wanted"),
        (lambda: _savee(hidden=16), "66,567 parameters, 61,495 are wanted"),
        (
            lambda: _savee(hidden_activation=False),
            "parameters and shapes are right, and the outputs differ",
        ),
    ],
)
def _for_savee():
    """14 neurons in the first dense layer and 7 in the second; the branches stay as they are"""
    return _savee()


@exercise(
    "ding-deal",
    inputs=lambda rng: (np.repeat(rng.permutation(30), 6),),
    wrong=[
        (
            lambda clips: np.arange(len(clips)) % 5 == 0,
            "the leak is still there: every clip has segments on both sides",
        ),
        (lambda clips: clips % 5 != 0, "the share of the others"),
        (lambda clips: np.unique(clips) % 5 == 0, "the shape is (30,)"),
    ],
)
def _deal(clips: np.ndarray) -> np.ndarray:
    """deal by the clip's number and not by the segment's: clips % 5"""
    return clips % 5 == 0


def _path(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return rng.normal(size=(6, 4)), rng.normal(size=6), rng.normal(size=6)


@exercise(
    "ding-completeness",
    inputs=_path,
    tolerance=1e-6,
    wrong=[
        (
            lambda weights, x, start: x * (weights @ np.ones(4)),
            "that multiplies by x: the contributions are measured from the start",
        ),
        (
            lambda weights, x, start: weights @ np.ones(4),
            "that is the gradient: multiply it by the way from start to x",
        ),
    ],
)
def _linear_gradients(weights: np.ndarray, x: np.ndarray, start: np.ndarray) -> np.ndarray:
    """of a linear function the gradient is the same everywhere, so the integral is the gradient"""
    return (x - start) * weights.sum(axis=1)
