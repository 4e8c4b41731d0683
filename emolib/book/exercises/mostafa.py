"""Mostafa et al.: where the work is, what a table implies, what is shared, what flickers."""

import numpy as np
import pandas as pd

from emolib import paths
from emolib.book.exercises.engine import exercise


@exercise(
    "mostafa-first-block",
    tolerance=1e-3,
    wrong=[
        (lambda: 100 * _first_block(), "percent"),
        (lambda: 1 - _first_block(), "the share of the others"),
        (lambda: _first_block() / 33, "the first convolution alone, and the second has 32 times"),
    ],
)
def _first_block() -> float:
    """48² positions × 32 channels × 9 weights, for each of 1 and of 32 input channels"""
    from emolib import devices, models

    network = models.build("mostafa", modality="video", n_classes=7)
    cost = devices.cost(network, models.example_inputs("mostafa", batch=1, modality="video"))
    convolutions = cost.layers[cost.layers["type"] == "Conv2d"]["macs"]
    return float(convolutions.iloc[:2].sum() / cost.macs)


def _recalls(clips: dict[str, int], others: int) -> float:
    table = pd.read_csv(paths.CLAIMS / "tables" / "mostafa-table2.csv", comment="#")
    weights = table["class"].map(clips).fillna(others)
    return float((table["recall"] * weights).sum() / weights.sum())


@exercise(
    "mostafa-implied-accuracy",
    tolerance=1e-4,
    wrong=[
        (lambda: _recalls({}, 1), "the plain mean of the recalls, as if all classes had as many"),
        (
            lambda: _recalls({"Neutral": 1}, 2),
            "that is speech alone: song has more of some classes",
        ),
        (lambda: 100 * _implied_accuracy(), "percent"),
    ],
)
def _implied_accuracy() -> float:
    """weigh each recall by the number of clips of its class, and divide by all clips"""
    return _recalls({"Neutral": 188, "Disgust": 192, "Surprised": 192}, 376)


def _without_renewing(face: np.ndarray, voice: np.ndarray) -> np.ndarray:
    return (face + np.delete(voice, 1, axis=1)) / 2


def _last_column(face: np.ndarray, voice: np.ndarray) -> np.ndarray:
    return _fuse(face, np.column_stack([voice[:, 0], voice[:, 7], voice[:, 1:7]]))


@exercise(
    "mostafa-fuse",
    inputs=lambda rng: (rng.dirichlet(np.ones(7), size=9), rng.dirichlet(np.ones(8), size=9)),
    wrong=[
        (_without_renewing, "sum to one"),
        (_last_column, "you dropped the last column, and calm is column 1"),
    ],
)
def _fuse(face: np.ndarray, voice: np.ndarray) -> np.ndarray:
    """drop column 1 of the voice, divide each row by its new sum, then average"""
    shared = np.delete(voice, 1, axis=1)
    return (face + shared / shared.sum(axis=1, keepdims=True)) / 2


@exercise(
    "mostafa-newest-frame",
    tolerance=1e-3,
    wrong=[
        (np.exp(-0.1 / 0.6), "the share of the others"),
        (0.1 / 0.6, "that is the first term of the exponential: nearly right for small steps"),
        (100 * (1 - np.exp(-0.1 / 0.6)), "percent"),
    ],
)
def _newest_frame() -> float:
    """the past counts exp(-elapsed / memory); the newest frame has the rest"""
    return 1 - np.exp(-0.1 / 0.6)
