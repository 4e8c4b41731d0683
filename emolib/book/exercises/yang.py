"""Yang et al.: orders of a rotation, a window, a shortcut, and the k best guesses."""

import numpy as np

from emolib.book.exercises.engine import exercise, size


@exercise(
    "yang-order",
    tolerance=1e-6,
    wrong=[
        (2 / np.pi * np.arctan(400 / 22_050), "the share of the others"),
        (1 - np.arctan(400 / 22_050), "that is in radians: an order of 1 is π/2 of them"),
        (1.0, "rounded to 1"),
    ],
)
def _order() -> float:
    """the slope is c = 400 / 22,050 of the plane's square; the order below one is
    1 - (2/π)·arctan c
    """
    return 1 - 2 / np.pi * np.arctan(400 / 22_050)


@exercise(
    "yang-window",
    tolerance=1e-4,
    wrong=[
        (5.2 - 3.6, "twice"),
        (5.2 / 2, "that is the middle of the clip: where does the window around it begin?"),
    ],
)
def _window() -> float:
    """how far does the middle 3.6 s of 5.2 s begin after the start?"""
    from emolib.features import window

    return window.start(5.2)


@exercise(
    "yang-shortcuts",
    wrong=[
        (10 * 64, "the weights alone: this convolution has biases as well"),
        (10 * 64 * 3 + 64, "a shortcut's kernel has length 1, not 3"),
    ],
)
def _shortcuts() -> int:
    """only where the number of channels changes is the shortcut a 1×1 convolution: count its
    weights and its biases
    """
    from emolib import models

    whole, plain = (
        size(models.build("yang", modality="audio", residual=residual))
        for residual in (True, False)
    )
    return whole - plain


def _labels_answers_k(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, int]:
    return rng.integers(8, size=40), rng.dirichlet(np.ones(8), size=40), int(rng.integers(1, 8))


def _least_likely(labels: np.ndarray, probabilities: np.ndarray, k: int) -> float:
    return float((probabilities.argsort(axis=1)[:, :k] == labels[:, None]).any(axis=1).mean())


@exercise(
    "yang-top-k",
    inputs=_labels_answers_k,
    wrong=[
        (_least_likely, "these are the k least likely classes: argsort sorts upwards"),
        (lambda *given: 100 * _top_k(*given), "percent"),
        (
            lambda labels, p, k: (p.argmax(1) == labels).mean(),
            "that is the top-1 accuracy, whatever k is",
        ),
    ],
)
def _top_k(labels: np.ndarray, probabilities: np.ndarray, k: int) -> float:
    """sort the probabilities of each row downwards and see whether the label is among the first
    k
    """
    best = np.argsort(-probabilities, axis=1)[:, :k]
    return float((best == labels[:, None]).any(axis=1).mean())
