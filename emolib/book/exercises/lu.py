"""Lu et al.: ghosts, counts behind percentages, frames, temperatures, and a mean that vetoes."""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from emolib import audit, evaluation
from emolib.book.exercises.engine import exercise, network, noise


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


def _ghost_module(biases: bool = False, full: bool = False):
    import torch
    from torch import nn

    class Ghost(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = nn.Conv2d(16, 20, 1, bias=biases)
            groups = 1 if full else 20
            self.cheap = nn.Conv2d(20, 20, 3, padding=1, groups=groups, bias=biases)

        def forward(self, x):
            base = self.base(x)
            return torch.cat([base, self.cheap(base)], dim=1)

    return Ghost()


@network(
    "lu-module",
    inputs=lambda rng: (noise(rng, 2, 16, 8, 8),),
    wrong=[
        (lambda: _ghost_module(biases=True), "has biases"),
        (lambda: _ghost_module(full=True), "3,920 parameters, 500 are wanted"),
    ],
)
def _module():
    """20 maps by a 1 × 1 convolution, 20 by a 3 × 3 one with groups=20; then torch.cat"""
    return _ghost_module()


def _weighted(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(3, 15, 6)), rng.uniform(0.1, 0.9, (3, 15))


@exercise(
    "lu-frames",
    inputs=_weighted,
    wrong=[
        (
            lambda frames, alpha: (alpha[..., None] * frames).sum(1) / frames.sum(1),
            "the bug is still there: a mean is divided by the sum of its weights",
        ),
        (
            lambda frames, alpha: (alpha[..., None] * frames).mean(1),
            "divided by the number of frames: the weights do not sum to it",
        ),
        (lambda frames, alpha: (alpha[..., None] * frames).sum(2), "the shape is (3, 15)"),
    ],
)
def _frames(frames: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """f' = Σ α f / Σ α: sum over the frames above and below"""
    return (alpha[..., None] * frames).sum(1) / alpha.sum(1, keepdims=True)


def _too_sure(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.integers(0, 4, 400)
    logits = rng.normal(size=(400, 4)) + 1.5 * np.eye(4)[labels]
    return float(rng.uniform(2, 5)) * logits, labels


def _loss(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    scaled = logits / temperature
    return float((logsumexp(scaled, axis=1) - scaled[np.arange(len(labels)), labels]).mean())


def _best_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    found = minimize_scalar(
        lambda log: _loss(logits, labels, np.exp(log)), bounds=(-3, 3), method="bounded"
    )
    return float(np.exp(found.x))


@exercise(
    "lu-temperature",
    tolerance=0.02,
    inputs=_too_sure,
    wrong=[
        (lambda logits, labels: 1.0, "at 1 the probabilities stay as sure as they were"),
        (lambda logits, labels: 1 / _best_temperature(logits, labels), "upside down"),
        (
            lambda logits, labels: _loss(logits, labels, _best_temperature(logits, labels)),
            "that is the loss at the best temperature, and the temperature is wanted",
        ),
    ],
)
def _temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """try temperatures, and keep the one with the smallest cross-entropy of logits / T"""
    return _best_temperature(logits, labels)
