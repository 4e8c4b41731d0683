"""Ishtiaq et al.: what a separable convolution and a GRU save, and information in bits."""

import itertools

import numpy as np

from emolib.book.exercises.engine import exercise, size


@exercise(
    "ishtiaq-separable",
    inputs=lambda rng: tuple(map(int, rng.integers(1, 300, size=2))),
    wrong=[
        (lambda c_in, c_out: 9 * c_in * c_out, "that is the ordinary convolution: 9 for each pair"),
        (lambda c_in, c_out: 10 * c_in + c_in * c_out + c_out, "it is free of bias: weights alone"),
    ],
)
def _separable(c_in: int, c_out: int) -> int:
    """nine weights for each input channel, then one for each pair of input and output channel"""
    from emolib.models.layers import DepthwiseSeparable

    return sum(p.numel() for p in DepthwiseSeparable(c_in, c_out).parameters() if p.ndim == 4)


@exercise(
    "ishtiaq-channels",
    wrong=[
        (112, "off by one"),
        (1 / (0.12 - 1 / 9), "a whole number"),
        (9, "without the ninth that the depthwise part costs: 1 − (1/C + 1/9)"),
    ],
)
def _channels() -> int:
    """1 − (1/C + 1/9) ≥ 0.88 leaves 1/C ≤ 0.12 − 1/9; channels come in whole numbers"""
    return next(c_out for c_out in itertools.count(1) if 1 - (1 / c_out + 1 / 9) >= 0.88)


@exercise("ishtiaq-gru", tolerance=1e-6, wrong=[(4 / 3, "upside down"), (75, "percent"),
                                                (1 / 4, "the share of the others")])  # fmt: skip
def _gru() -> float:
    """a GRU has three sets of weights (reset, update, new), an LSTM four"""
    from torch import nn

    return size(nn.GRU(256, 128)) / size(nn.LSTM(256, 128))


def _nats(joint: np.ndarray) -> float:
    return _bits(joint) * np.log(2)


def _entropy(joint: np.ndarray) -> float:
    return float(-(joint * np.log2(joint)).sum())


@exercise(
    "ishtiaq-bits",
    inputs=lambda rng: (rng.dirichlet(np.ones(16)).reshape(2, 8),),
    wrong=[
        (_nats, "nats"),
        (lambda joint: -_bits(joint), "sign"),
        (_entropy, "that is the entropy of the table: compare it with rows times columns"),
    ],
)
def _bits(joint: np.ndarray) -> float:
    """sum p(x, y) · log₂(p(x, y) / (p(x) p(y))) over the table; sum rows and columns for the two
    shares
    """
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    return float((joint * np.log2(joint / independent)).sum())
