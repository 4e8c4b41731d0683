"""The leak ladder: cues, siblings, neighbours, look-alikes, and a network that memorises."""

import numpy as np

from emolib import evaluation
from emolib.book.exercises.diagnoses import falls
from emolib.book.exercises.engine import exercise, noise, trains


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


def _numbers(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return rng.normal(size=(40, 5)), rng.integers(0, 8, 40), rng.normal(size=(12, 5))


def _distances(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    return np.linalg.norm(test[:, None] - train[None], axis=2)


@exercise(
    "lab_leaks-neighbour",
    inputs=_numbers,
    wrong=[
        (
            lambda train, labels, test: _distances(train, test).argmin(1),
            "those are the numbers of the nearest samples: return their labels",
        ),
        (
            lambda train, labels, test: labels[_distances(train, test).argmax(1)],
            "that is the label of the farthest sample, not of the nearest",
        ),
        (
            lambda train, labels, test: labels[_distances(train, test).argmin(0) % len(labels)],
            "the shape is (40,)",
        ),
    ],
)
def _neighbour(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """the distance of each test sample to each training sample, then argmin over the training"""
    return labels[_distances(train, test).argmin(1)]


def _candidates(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, labels = 0.1 * rng.normal(size=(40, 12)), np.arange(40) % 2
    train = np.arange(40) < 20
    own, tests, everywhere = rng.permutation(12)[:3]
    x[train, own] += 2.0 * labels[train]  # the best one on the training rows
    x[~train, tests] += 2.0 * labels[~train]  # on the test rows
    x[:, everywhere] += 1.5 * labels  # and on both
    return x, labels, train


def _gap(x: np.ndarray, labels: np.ndarray) -> int:
    return int(np.abs(x[labels == 1].mean(0) - x[labels == 0].mean(0)).argmax())


@exercise(
    "lab_leaks-feature",
    inputs=_candidates,
    wrong=[
        (
            lambda x, labels, train: _gap(x, labels),
            "the leak is still there: the test rows take part in the choice",
        ),
        (
            lambda x, labels, train: _gap(x[~train], labels[~train]),
            "that chooses on the test rows alone, which is the leak and nothing else",
        ),
    ],
)
def _feature(x: np.ndarray, labels: np.ndarray, train: np.ndarray) -> int:
    """choose with x[train] and labels[train]; the test rows are not looked at"""
    return _gap(x[train], labels[train])


def _bits(picture: np.ndarray) -> np.ndarray:
    return picture > np.median(picture)


@exercise(
    "lab_leaks-hash",
    inputs=lambda rng: (rng.uniform(0, 255, (8, 8)), rng.uniform(0, 255, (8, 8))),
    wrong=[
        (
            lambda one, other: int((_bits(one) == _bits(other)).sum()),
            "that counts the bits that agree, and those that differ are wanted",
        ),
        (
            lambda one, other: float((_bits(one) != _bits(other)).mean()),
            "that is a share of the bits, and their number is wanted",
        ),
        (
            lambda one, other: int(((one > np.median(other)) != (other > np.median(one))).sum()),
            "each picture is compared with its own median, not with the other's",
        ),
    ],
)
def _hash(one: np.ndarray, other: np.ndarray) -> int:
    """bits: brighter than the picture's own median; then count where the bits differ"""
    return int((_bits(one) != _bits(other)).sum())


def _noise_to_learn(rng: np.random.Generator) -> tuple:
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 128), nn.ReLU(), nn.Linear(128, 8))
    return model, noise(rng, 60, 40), torch.from_numpy(rng.integers(0, 8, 60))


def _memorised(model, x, y, epochs: int = 80, lr: float = 0.01) -> list:
    import torch

    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for _ in range(epochs):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


@trains(
    "lab_leaks-memorise",
    inputs=_noise_to_learn,
    judge=falls(to=0.05, steps=20),
    wrong=[
        (lambda model, x, y: _memorised(model, x, y, lr=1e-5), "5% is wanted"),
        (lambda model, x, y: _memorised(model, x, y, epochs=5), "train for at least 20 steps"),
    ],
)
def _memorise(model, x, y) -> list:
    """eighty steps of Adam with a rate of 0.01 over all sixty rows at once"""
    return _memorised(model, x, y)
