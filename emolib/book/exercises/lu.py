"""Lu et al.: a ghost's saving, counts behind percentages, and a mean that vetoes."""

from typing import Any

import numpy as np

from emolib import audit, evaluation
from emolib.book.exercises.engine import exercise


@exercise(
    "lu-ghost",
    tolerance=1e-4,
    wrong=[
        ((240 * 40) / (240 * 20 + 9 * 20), "upside down"),
        (0.5, "that forgets the cheap filters: nine weights for each of the other twenty maps"),
        (1 - (240 * 20 + 9 * 20) / (240 * 40), "the share of the others"),
    ],
)
def _ghost() -> float:
    """half of the maps come from a 1×1 convolution, and each of these has one 3×3 filter"""
    from emolib.models.lu import GhostModule

    kernels = (p for p in GhostModule(240, 40).parameters() if p.ndim == 4)
    return sum(p.numel() for p in kernels) / (240 * 40)


@exercise(
    "lu-clips",
    wrong=[
        ((97.56 - 95.93) / 100 * 491, "a whole number"),
        (1.63, "that is in points: turn each percentage into a count of 491 clips"),
        (-8, "sign"),
    ],
)
def _clips() -> int:
    """turn each percentage into a count of 491 clips first, then subtract"""
    n: Any = audit.paper("lu").find("table3/supports").data["n"]
    printed = (audit.Printed(text, percent=True) for text in ("95.93", "97.56"))
    counts: list[Any] = [audit.count_of(one, n) for one in printed]
    return counts[1][0] - counts[0][0]


def _two_answers(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    classes = int(rng.integers(2, 9))
    return rng.dirichlet(np.ones(classes), 5), rng.dirichlet(np.ones(classes), 5)


def _over_samples(face: np.ndarray, voice: np.ndarray) -> np.ndarray:
    product = np.sqrt(face * voice)
    return product / product.sum(axis=0)


@exercise(
    "lu-geometric",
    inputs=_two_answers,
    wrong=[
        (lambda face, voice: np.sqrt(face * voice), "sum to one"),
        (_over_samples, "the wrong axis: the columns"),
        (
            lambda face, voice: (face + voice) / 2,
            "that is the arithmetic mean: multiply, then root",
        ),
    ],
)
def _geometric(face: np.ndarray, voice: np.ndarray) -> np.ndarray:
    """the square root of the product, then divide each row by its sum"""
    return evaluation.fuse([face, voice], "geometric")


@exercise(
    "lu-veto",
    tolerance=1e-4,
    wrong=[
        (0.305, "that is the arithmetic mean of both, which no single voice can veto"),
        (0.11, "rounded"),
        (0.006 / (0.006 + 0.396), "the product without its root: both are vetoed twice over"),
    ],
)
def _veto() -> float:
    """√(0.6 · 0.01) against √(0.4 · 0.99)"""
    return _geometric(np.array([[0.6, 0.4]]), np.array([[0.01, 0.99]]))[0, 0]
