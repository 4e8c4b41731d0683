"""From recordings to tensors: frames, coefficients, scales, a network, a loop, an interval."""

import numpy as np

from emolib import evaluation
from emolib.book.exercises.diagnoses import falls
from emolib.book.exercises.engine import exercise, network, noise, trains


@exercise(
    "tensors-last-frame",
    wrong=[
        (3.6, "the end of the clip: its last segment is centred half a segment earlier"),
        (3.6 - 3.6 / 15, "the beginning of the last segment, and its centre is wanted"),
        (3.5, "rounded"),
    ],
)
def _last_frame() -> float:
    """a segment lasts 3.6 s / 15, and its centre lies half of that before its end"""
    from emolib.features.video import frame_times

    return float(frame_times(3.6, 15)[-1])


@exercise(
    "tensors-mfcc-frames",
    wrong=[
        (281, "off by one: too small"),
        (3 * 48_000 / 512, "a whole number"),
        (3 * 44_100 // 512 + 1, "that is the number at 44.1 kHz, and this clip has 48 kHz"),
    ],
)
def _mfcc_frames() -> int:
    """3 seconds are 144,000 samples; divide by the hop, round down, add one"""
    import librosa

    return librosa.feature.mfcc(y=np.zeros(3 * 48_000, np.float32), sr=48_000).shape[1]


@exercise(
    "tensors-mel",
    inputs=lambda rng: (rng.uniform(20, 8000, 12),),
    wrong=[
        (
            lambda hertz: 2595 * np.log(1 + hertz / 700),
            "that is the natural logarithm: the constant 2595 belongs to base 10",
        ),
        (lambda hertz: 2595 * np.log10(hertz / 700), "the 1 under the logarithm is missing: 0 Hz is"
         " 0 mel"),
        (lambda hertz: 700 * (10 ** (hertz / 2595) - 1), "that is the way back, from mel to hertz"),
    ],
)  # fmt: skip
def _mel(hertz: np.ndarray) -> np.ndarray:
    """2595 · log₁₀(1 + f / 700): at 700 Hz it is 2595 · log₁₀ 2"""
    return 2595 * np.log10(1 + hertz / 700)


def _rows(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(3, 2, (30, 5)), rng.normal(5, 4, (12, 5))


def _with_all(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    both = np.concatenate([train, test])
    return (test - both.mean(0)) / both.std(0)


@exercise(
    "tensors-standardise",
    inputs=_rows,
    wrong=[
        (_with_all, "the leak is still there: the statistics are those of training and test rows"),
        (
            lambda train, test: (test - test.mean(0)) / test.std(0),
            "those are the test's own mean and sd, which a single new voice does not have",
        ),
        (
            lambda train, test: (test - train.mean()) / train.std(),
            "one mean for all coefficients: each column has a scale of its own",
        ),
        (lambda train, test: (train - train.mean(0)) / train.std(0), "the shape is (30, 5)"),
    ],
)
def _standardise(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """the mean and the standard deviation of each column, over the training rows alone"""
    return (test - train.mean(0)) / train.std(0)


def _layers(kernel: int = 5, **options):
    from torch import nn

    width = 16 * ((40 - kernel + 1) // 2)
    layers = [nn.Conv1d(1, 16, kernel, **options), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(width, 8))


def _padded():
    from torch import nn

    layers = [nn.Conv1d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(16 * 20, 8))


def _with_softmax():
    from torch import nn

    return nn.Sequential(_layers(), nn.Softmax(dim=1))


@network(
    "tensors-network",
    inputs=lambda rng: (noise(rng, 4, 1, 40),),
    wrong=[
        (_padded, "2,664 parameters, 2,408 are wanted"),
        (lambda: _layers(bias=False), "lacks biases"),
        (_with_softmax, "softmax"),
    ],
)
def _network():
    """40 values shrink to 36 and halve to 18, on 16 channels: how wide is the dense layer?"""
    return _layers()


def _task(rng: np.random.Generator) -> tuple:
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 4))
    x = noise(rng, 200, 10)
    return model, x, (x @ noise(rng, 10, 4)).argmax(1)


def _trained(model, x, y, *, forget: bool = True, step: bool = True, epochs: int = 40) -> list:
    import torch

    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(epochs):
        loss = torch.nn.functional.cross_entropy(model(x), y)
        if forget:
            optimiser.zero_grad()
        loss.backward()
        if step:
            optimiser.step()
        losses.append(loss.item())
    return losses


@trains(
    "tensors-train",
    inputs=_task,
    judge=falls(to=0.3, steps=20),
    wrong=[
        (lambda model, x, y: _trained(model, x, y, step=False), "does not move at all"),
        (lambda model, x, y: _trained(model, x, y, epochs=3), "train for at least 20 steps"),
        (lambda model, x, y: _trained(model, x, y)[-1], "a list of losses is wanted"),
    ],
)
def _loop(model, x, y) -> list:
    """Adam with a rate of 0.01 gets there in 40 steps over all rows at once"""
    return _trained(model, x, y)


@exercise(
    "tensors-missing-call",
    wrong=[
        ("backward", "the gradients are computed: it is asked what happens to those of before"),
        ("step", "the weights do move, and too far: look at the gradients they follow"),
    ],
)
def _missing_call() -> str:
    """backward *adds* to the gradients that are there: who empties them?"""
    return "zero_grad"


def _hits(rng: np.random.Generator) -> tuple[int, int]:
    n = int(rng.integers(5, 500))
    return int(rng.integers(n // 2, n + 1)), n


def _textbook(k: int, n: int) -> tuple[float, float]:
    half = 1.959964 * np.sqrt(k / n * (1 - k / n) / n)
    return k / n - half, k / n + half


@exercise(
    "tensors-wilson",
    tolerance=1e-4,
    inputs=_hits,
    wrong=[
        (_textbook, "that is the textbook's interval: it reaches above 1, or has no width at 1"),
        (lambda k, n: evaluation.wilson(k, n)[::-1], "the ends are reversed"),
        (lambda k, n: np.multiply(100, evaluation.wilson(k, n)), "that is percent"),
    ],
)
def _wilson(k: int, n: int) -> tuple[float, float]:
    """the middle is (k/n + z²/2n) / (1 + z²/n) with z = 1.96, and both ends lie as far from it"""
    return evaluation.wilson(k, n)
