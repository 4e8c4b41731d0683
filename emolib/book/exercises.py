"""Exercises that check themselves: the truth is computed when you ask, never stored."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from emolib import audit, evaluation, paths

Inputs = Callable[[np.random.Generator], tuple]


@dataclass(frozen=True)
class Exercise:
    """One question of a chapter.

    Attributes
    ----------
    solution
        Computes the right answer, a number or an array; where there are `inputs`, it is the right
        answer itself.
    hint
        What to look at again after a wrong answer.
    tolerance
        Largest relative difference that still counts as right.
    inputs
        For an answer that is a function: draws the arguments it is tried on.
    """

    solution: Callable[..., Any]
    hint: str
    tolerance: float = 1e-6
    inputs: Inputs | None = None

    def truth(self) -> Any:
        """Return the right answer, computed now."""
        return self.solution if self.inputs else self.solution()


@dataclass(frozen=True)
class Outcome:
    """Whether an answer is right, and what to say about it."""

    right: bool
    message: str

    def __bool__(self) -> bool:
        """Return whether the answer is right."""
        return self.right

    def __repr__(self) -> str:
        """Return the line that a notebook shows below the cell."""
        return ("✓ " if self.right else "✗ ") + self.message


_EXERCISES: dict[str, Exercise] = {}
_TRIALS = 5


def exercise(name: str, tolerance: float = 1e-6, inputs: Inputs | None = None) -> Callable:
    """Make the decorated function the solution of an exercise, and its docstring the hint.

    Raises
    ------
    ValueError
        If there is an exercise of that name already.
    """

    def register(solution: Callable) -> Callable:
        if name in _EXERCISES:
            raise ValueError(f"there is an exercise {name!r} already: choose another name")
        hint = " ".join((solution.__doc__ or "").split())
        _EXERCISES[name] = Exercise(solution, hint, tolerance, inputs)
        return solution

    return register


def names(chapter: str | None = None) -> list[str]:
    """Return the names of all exercises, or of one chapter's (``"ding"`` gives ``ding-…``)."""
    return [name for name in _EXERCISES if chapter is None or name.startswith(f"{chapter}-")]


def check(name: str, answer: Any) -> Outcome:
    """Compare an answer with the truth, computed now.

    Parameters
    ----------
    name
        The exercise's name, as the page prints it.
    answer
        A number, an array, or a function (tried on random arguments).

    Raises
    ------
    KeyError
        If there is no exercise of that name.
    """
    if name not in _EXERCISES:
        raise KeyError(f"no exercise {name!r}: there are {', '.join(names())}")
    asked = _EXERCISES[name]
    if answer is None or answer is Ellipsis:
        return Outcome(False, f"no answer yet. Hint: {asked.hint}")
    if not asked.inputs:
        return _compare(answer, asked.truth(), asked)
    if not callable(answer):
        return Outcome(False, "this exercise wants a function, not its result")
    rng = np.random.default_rng(0)
    for _ in range(_TRIALS):
        arguments = asked.inputs(rng)
        try:
            given = answer(*arguments)
        except Exception as error:
            # The student's own code may raise anything; the page must go on and say what.
            return Outcome(False, f"your function raised {type(error).__name__}: {error}")
        outcome = _compare(given, asked.solution(*arguments), asked)
        if not outcome:
            return outcome
    return Outcome(True, f"right on {_TRIALS} random inputs")


def _compare(answer: Any, truth: Any, asked: Exercise) -> Outcome:
    try:
        answer = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        return Outcome(False, f"a number or an array is wanted. Hint: {asked.hint}")
    truth = np.asarray(truth, dtype=float)
    if answer.shape != truth.shape:
        shapes = f"the shape is {answer.shape}, {truth.shape} is wanted"
        return Outcome(False, f"{shapes}. Hint: {asked.hint}")
    if np.allclose(answer, truth, rtol=asked.tolerance, atol=1e-12):
        return Outcome(True, "right")
    return Outcome(False, f"not yet. Hint: {asked.hint}")


# --- Part I: from recordings to tensors ------------------------------------------------------


@exercise("tensors-last-frame")
def _last_frame() -> float:
    """a segment lasts 3.6 s / 15, and its centre lies half of that before its end"""
    from emolib.features.video import frame_times

    return float(frame_times(3.6, 15)[-1])


@exercise("tensors-mfcc-frames")
def _mfcc_frames() -> int:
    """3 seconds are 144,000 samples; divide by the hop, round down, add one"""
    import librosa

    return librosa.feature.mfcc(y=np.zeros(3 * 48_000, np.float32), sr=48_000).shape[1]


# --- Ding ------------------------------------------------------------------------------------


def _parameters(key: str, **options: Any) -> int:
    from emolib import models

    return _size(models.build(key, **options))


def _size(network) -> int:
    return sum(p.numel() for p in network.parameters())


@exercise("ding-same-padding")
def _same_padding() -> int:
    """only the maps change size, so only the first dense layer grows: 8 × 8 × 64 + 10 × 32 inputs
    instead of 6 × 6 × 64 + 7 × 32
    """
    return _parameters("ding", padding="same")


@exercise("ding-siblings", tolerance=1e-3)
def _siblings() -> float:
    """five siblings, each in the training part with probability about 0.8: what is the chance that
    none of them is?
    """
    segments, test = 1440 * 6, 1728
    return float(1 - stats.hypergeom(segments - 1, segments - test, 5).pmf(0))


@exercise("ding-interval", tolerance=1e-3)
def _ding_interval() -> tuple[float, float]:
    """evaluation.wilson(correct, total) wants counts: 95.8 % of 288 clips are 276"""
    return evaluation.wilson(276, 288)


@exercise("ding-clip-level", inputs=lambda rng: (rng.dirichlet(np.ones(8), size=(12, 6)),))
def _clip_level(probabilities: np.ndarray) -> np.ndarray:
    """average the six probability vectors of each clip: (clips, 6, classes) → (clips, classes)"""
    return probabilities.mean(axis=1)


# --- Yang ------------------------------------------------------------------------------------


@exercise("yang-order", tolerance=1e-4)
def _order() -> float:
    """the slope is c = 400 / 22,050 of the plane's square; the order below one is
    1 - (2/π)·arctan c
    """
    return 1 - 2 / np.pi * np.arctan(400 / 22_050)


@exercise("yang-window", tolerance=1e-4)
def _window() -> float:
    """how far does the middle 3.6 s of 5.2 s begin after the start?"""
    from emolib.features import window

    return window.start(5.2)


@exercise("yang-shortcuts")
def _shortcuts() -> int:
    """only where the number of channels changes is the shortcut a 1×1 convolution: count its
    weights and its biases
    """
    plain = _parameters("yang", modality="audio", residual=False)
    return _parameters("yang", modality="audio") - plain


def _labels_answers_k(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, int]:
    return rng.integers(8, size=40), rng.dirichlet(np.ones(8), size=40), int(rng.integers(1, 8))


@exercise("yang-top-k", inputs=_labels_answers_k)
def _top_k(labels: np.ndarray, probabilities: np.ndarray, k: int) -> float:
    """sort the probabilities of each row downwards and see whether the label is among the first
    k
    """
    best = np.argsort(-probabilities, axis=1)[:, :k]
    return float((best == labels[:, None]).any(axis=1).mean())


# --- Ishtiaq ---------------------------------------------------------------------------------


@exercise("ishtiaq-separable", inputs=lambda rng: tuple(map(int, rng.integers(1, 300, size=2))))
def _separable(c_in: int, c_out: int) -> int:
    """nine weights for each input channel, then one for each pair of input and output channel"""
    from emolib.models.layers import DepthwiseSeparable

    return sum(p.numel() for p in DepthwiseSeparable(c_in, c_out).parameters() if p.ndim == 4)


@exercise("ishtiaq-channels")
def _channels() -> int:
    """1 − (1/C + 1/9) ≥ 0.88 leaves 1/C ≤ 0.12 − 1/9; channels come in whole numbers"""
    return next(c_out for c_out in itertools.count(1) if 1 - (1 / c_out + 1 / 9) >= 0.88)


@exercise("ishtiaq-gru", tolerance=1e-3)
def _gru() -> float:
    """a GRU has three sets of weights (reset, update, new), an LSTM four"""
    from torch import nn

    return _size(nn.GRU(256, 128)) / _size(nn.LSTM(256, 128))


@exercise("ishtiaq-bits", inputs=lambda rng: (rng.dirichlet(np.ones(16)).reshape(2, 8),))
def _bits(joint: np.ndarray) -> float:
    """sum p(x, y) · log₂(p(x, y) / (p(x) p(y))) over the table; sum rows and columns for the two
    shares
    """
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    return float((joint * np.log2(joint / independent)).sum())


# --- Mostafa ---------------------------------------------------------------------------------


@exercise("mostafa-first-block", tolerance=1e-2)
def _first_block() -> float:
    """48² positions × 32 channels × 9 weights, for each of 1 and of 32 input channels"""
    from emolib import devices, models

    network = models.build("mostafa", modality="video", n_classes=7)
    cost = devices.cost(network, models.example_inputs("mostafa", batch=1, modality="video"))
    convolutions = cost.layers[cost.layers["type"] == "Conv2d"]["macs"]
    return float(convolutions.iloc[:2].sum() / cost.macs)


@exercise("mostafa-implied-accuracy", tolerance=1e-3)
def _implied_accuracy() -> float:
    """weigh each recall by the number of clips of its class, and divide by all clips"""
    table = pd.read_csv(paths.CLAIMS / "tables" / "mostafa-table2.csv", comment="#")
    clips = table["class"].map({"Neutral": 188, "Disgust": 192, "Surprised": 192}).fillna(376)
    return float((table["recall"] * clips).sum() / clips.sum())


@exercise(
    "mostafa-fuse",
    inputs=lambda rng: (rng.dirichlet(np.ones(7), size=9), rng.dirichlet(np.ones(8), size=9)),
)
def _fuse(face: np.ndarray, voice: np.ndarray) -> np.ndarray:
    """drop column 1 of the voice, divide each row by its new sum, then average"""
    shared = np.delete(voice, 1, axis=1)
    return (face + shared / shared.sum(axis=1, keepdims=True)) / 2


@exercise("mostafa-newest-frame", tolerance=1e-3)
def _newest_frame() -> float:
    """the past counts exp(-elapsed / memory); the newest frame has the rest"""
    return 1 - np.exp(-0.1 / 0.6)


# --- Lu --------------------------------------------------------------------------------------


@exercise("lu-ghost", tolerance=1e-3)
def _ghost() -> float:
    """half of the maps come from a 1×1 convolution, and each of these has one 3×3 filter"""
    from emolib.models.lu import GhostModule

    kernels = (p for p in GhostModule(240, 40).parameters() if p.ndim == 4)
    return sum(p.numel() for p in kernels) / (240 * 40)


@exercise("lu-clips")
def _clips() -> int:
    """turn each percentage into a count of 491 clips first, then subtract"""
    n: Any = audit.paper("lu").find("table3/supports").data["n"]
    printed = (audit.Printed(text, percent=True) for text in ("95.93", "97.56"))
    counts: list[Any] = [audit.count_of(one, n) for one in printed]
    return counts[1][0] - counts[0][0]


def _two_answers(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    classes = int(rng.integers(2, 9))
    return rng.dirichlet(np.ones(classes), 5), rng.dirichlet(np.ones(classes), 5)


@exercise("lu-geometric", inputs=_two_answers)
def _geometric(face: np.ndarray, voice: np.ndarray) -> np.ndarray:
    """the square root of the product, then divide each row by its sum"""
    return evaluation.fuse([face, voice], "geometric")


@exercise("lu-veto", tolerance=5e-3)
def _veto() -> float:
    """√(0.6 · 0.01) against √(0.4 · 0.99)"""
    return _geometric(np.array([[0.6, 0.4]]), np.array([[0.01, 0.99]]))[0, 0]


# --- Audit lab -------------------------------------------------------------------------------


def _accuracy_to_try(rng: np.random.Generator) -> tuple[float, int]:
    """Draw a test-set size, and an accuracy that may or may not be a share of it."""
    n = int(rng.integers(50, 400))
    share = rng.integers(n // 2, n + 1) / n if rng.random() < 0.5 else rng.uniform(0.5, 1)
    return round(100 * float(share), 2), n


@exercise("audit-possible", inputs=_accuracy_to_try)
def _possible(accuracy: float, n: int) -> int:
    """the nearest k is round(accuracy / 100 * n); does 100 * k / n lie within 0.005 of it?"""
    return int(len(audit.Printed(f"{accuracy:.2f}", percent=True).window().numerators(n)) > 0)


@exercise("audit-yang-size")
def _yang_size() -> int:
    """audit.granularity takes a list of audit.Printed and tries rounding and truncation; its
    `sizes` are in ascending order
    """
    printed = ("80.00", "82.29", "84.37", "87.91", "90.62", "62.50", "79.79")
    return audit.granularity([audit.Printed(text) for text in printed]).sizes[0]


@exercise("audit-mostafa-accuracy", tolerance=1e-3)
def _mostafa_accuracy() -> float:
    """a mean of the recalls with weight 1 for neutral and 2 for every other class, in per cent"""
    table = audit.PrintedTable.read(paths.CLAIMS / "tables" / "mostafa-table2.csv")
    clips = table.counts("population")["ravdess speech"]
    recalls = {name.lower(): row["recall"].value for name, row in table.classes.items()}
    return 100 * float(sum(clips[name] * recalls[name] for name in recalls) / sum(clips.values()))


@exercise("audit-mcnemar", tolerance=1e-3)
def _mcnemar() -> float:
    """of 20 clips that changed, 14 fell on one side: how likely is a fair coin to be as uneven, in
    either direction?
    """
    return float(stats.binomtest(14, 14 + 6).pvalue)


@exercise("audit-wilson", tolerance=1e-3)
def _audit_interval() -> tuple[float, float]:
    """evaluation.wilson(correct, total) gives both ends"""
    return evaluation.wilson(479, 491)


# --- Lab: the leak ladder --------------------------------------------------------------------


@exercise("lab_leaks-cue")
def _cue_accuracy() -> float:
    """the clips with a random cue are not all wrong: one in eight is right"""
    from emolib import synthetic

    return synthetic.LEAKS["actor"].leaking["clip"]


@exercise("lab_leaks-six", tolerance=1e-3)
def _six() -> float:
    """evaluation.wilson(correct, total) gives both ends; the lower one is wanted"""
    return evaluation.wilson(6, 6)[0]


def _clip_numbers(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(0, 40, 30), rng.integers(0, 40, 20)


@exercise("lab_leaks-detector", inputs=_clip_numbers)
def _detector(train: np.ndarray, test: np.ndarray) -> float:
    """ask for each test sample whether its clip number is among those of the training"""
    return float(np.isin(test, train).mean())


# --- Lab: peers under the same light ---------------------------------------------------------


@exercise("lab_peers-mean-of-folds", tolerance=1e-4)
def _mean_of_folds() -> float:
    """average the accuracies of the five folds: the last fold has fewer clips and counts as much"""
    table = pd.read_csv(paths.find(paths.RESULTS / "lab_peers" / "recomputed.csv"))
    folds = table[(table["system"] == "trained fusion") & table["fold"].str.isdigit()]
    return float((100 * folds["right"] / folds["clips"]).mean())


def _logits(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(0, 3, (20, 8)), rng.normal(0, 2, (20, 8))


@exercise("lab_peers-logits", inputs=_logits)
def _by_logits(voice: np.ndarray, units: np.ndarray) -> np.ndarray:
    """the logarithm of a product is a sum, and what is divided out is the same for all classes"""
    return (voice + units).argmax(1)


@exercise("lab_peers-best-of-ten", tolerance=5e-3)
def _best_of_ten() -> float:
    """draw ten normal numbers with mean 62.32 and sd 1.19 many times, keep the largest of each ten,
    and average
    """
    largest = stats.norm.expect(lambda x: 10 * x * stats.norm.cdf(x) ** 9)
    return 62.32 + 1.19 * float(largest)


def _people(rng: np.random.Generator) -> tuple[list, list]:
    dealt = rng.permutation(24)
    return [dealt[:4], dealt[4:8]], [dealt[rng.integers(2, 5) :][:3], dealt[8:10]]


@exercise("lab_peers-leaking-folds", inputs=_people)
def _leaking_folds(test: list, valid: list) -> int:
    """a fold leaks if one of its test actors validates in the same fold: count such folds"""
    return sum(bool({*own} & {*other}) for own, other in zip(test, valid, strict=True))


# --- Part V: your own recordings ---------------------------------------------------------------


@exercise("recordings-train")
def _teachers() -> int:
    """there are five folds: one tests, the next one validates, and the others train"""
    from emolib.corpora import splits

    clips = pd.DataFrame({"clip_id": list("abcdefghij"), "actor": list("abcdefghij")})
    split = splits.make("actor", clips.assign(corpus="table", emotion="happy")).table
    return int(((split["fold"] == 0) & (split["part"] == "train")).sum())


# --- frontier -------------------------------------------------------------------------------


@exercise("frontier-lstm")
def _lstm() -> int:
    """Each of four gates has a matrix for the input, one for the state, and two biases."""
    from torch import nn

    return _size(nn.LSTM(40, 64))


def _sure_answers(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    labels, probabilities, _ = _labels_answers_k(rng)
    return labels, probabilities, float(rng.uniform(0.2, 1.0))


@exercise("frontier-risk", inputs=_sure_answers)
def _risk(labels: np.ndarray, probabilities: np.ndarray, coverage: float) -> float:
    """Sort by the largest probability, keep the surest, count the wrong ones among them."""
    given = np.argsort(-probabilities.max(axis=1))[: int(np.ceil(coverage * len(labels)))]
    return float((probabilities.argmax(axis=1) != labels)[given].mean())
