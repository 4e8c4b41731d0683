"""Exercises that check themselves: the truth is computed when you ask, never stored."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Exercise:
    """One question of a chapter.

    Attributes
    ----------
    truth
        Computes the right answer: a number, an array, or a reference function.
    hint
        What to look at again after a wrong answer.
    tolerance
        Largest relative difference that still counts as right.
    inputs
        For an answer that is a function: draws the arguments it is tried on.
    """

    truth: Callable[[], Any]
    hint: str
    tolerance: float = 1e-6
    inputs: Callable[[np.random.Generator], tuple] | None = None


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


def register(name: str, exercise: Exercise) -> None:
    """Add an exercise under a name; a second one of that name is an error."""
    if name in _EXERCISES:
        raise ValueError(f"there is an exercise {name!r} already: choose another name")
    _EXERCISES[name] = exercise


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
    exercise = _EXERCISES[name]
    if answer is None or answer is Ellipsis:
        return Outcome(False, f"no answer yet. Hint: {exercise.hint}")
    truth = exercise.truth()
    if not callable(truth):
        return _compare(answer, truth, exercise)
    if not callable(answer):
        return Outcome(False, "this exercise wants a function, not its result")
    rng = np.random.default_rng(0)
    for _ in range(_TRIALS):
        arguments = exercise.inputs(rng)
        try:
            given = answer(*arguments)
        except Exception as error:
            # The student's own code may raise anything; the page must go on and say what.
            return Outcome(False, f"your function raised {type(error).__name__}: {error}")
        outcome = _compare(given, truth(*arguments), exercise)
        if not outcome:
            return outcome
    return Outcome(True, f"right on {_TRIALS} random inputs")


def _compare(answer: Any, truth: Any, exercise: Exercise) -> Outcome:
    try:
        answer = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        return Outcome(False, f"a number or an array is wanted. Hint: {exercise.hint}")
    truth = np.asarray(truth, dtype=float)
    if answer.shape != truth.shape:
        return Outcome(
            False, f"the shape is {answer.shape}, {truth.shape} is wanted. Hint: {exercise.hint}"
        )
    if np.allclose(answer, truth, rtol=exercise.tolerance, atol=1e-12):
        return Outcome(True, "right")
    return Outcome(False, f"not yet. Hint: {exercise.hint}")


# --- Part I: from recordings to tensors ------------------------------------------------------


def _last_frame_time() -> float:
    from emolib.features.video import frame_times

    return float(frame_times(3.6, 15)[-1])


def _mfcc_frames() -> int:
    import librosa

    return librosa.feature.mfcc(y=np.zeros(3 * 48_000, np.float32), sr=48_000).shape[1]


register(
    "tensors-last-frame",
    Exercise(
        _last_frame_time,
        "a segment lasts 3.6 s / 15, and its centre lies half of that before its end",
    ),
)
register(
    "tensors-mfcc-frames",
    Exercise(_mfcc_frames, "3 seconds are 144,000 samples; divide by the hop, round down, add one"),
)


# --- Ding ------------------------------------------------------------------------------------


def _ding_segment_without_sibling_in_training() -> float:
    """P(no other segment of the clip is among the 80 % that a test segment's rivals form)."""
    from scipy.stats import hypergeom

    segments, test = 1440 * 6, 1728
    return float(hypergeom(segments - 1, segments - test, 5).pmf(0))


def _parameters(key: str, **options: Any) -> int:
    from emolib import models

    return sum(p.numel() for p in models.build(key, **options).parameters())


def _wilson(correct: int, total: int) -> tuple[float, float]:
    from emolib.evaluation import wilson

    return wilson(correct, total)


register(
    "ding-same-padding",
    Exercise(
        lambda: _parameters("ding", padding="same"),
        "only the maps change size, so only the first dense layer grows: 8 × 8 × 64 + 10 × 32 "
        "inputs instead of 6 × 6 × 64 + 7 × 32",
    ),
)
register(
    "ding-siblings",
    Exercise(
        lambda: 1 - _ding_segment_without_sibling_in_training(),
        "five siblings, each in the training part with probability about 0.8: what is the chance "
        "that none of them is?",
        tolerance=1e-3,
    ),
)
register(
    "ding-interval",
    Exercise(
        lambda: _wilson(276, 288),
        "evaluation.wilson(correct, total) wants counts: 95.8 % of 288 clips are 276",
        tolerance=1e-3,
    ),
)


def _clip_level_reference(probabilities: np.ndarray) -> np.ndarray:
    return probabilities.mean(axis=1)


register(
    "ding-clip-level",
    Exercise(
        lambda: _clip_level_reference,
        "average the six probability vectors of each clip: (clips, 6, classes) → (clips, classes)",
        inputs=lambda rng: (rng.dirichlet(np.ones(8), size=(12, 6)),),
    ),
)


# --- Yang ------------------------------------------------------------------------------------


def _order_of_a_glide(hertz: float, rate: float) -> float:
    """Order at which a partial that rises by `hertz` within one frame stands still."""
    return 1 - 2 / np.pi * np.arctan(hertz / rate)


def _yang_early_face() -> float:
    from emolib.features import window

    return window.start(5.2)


def _top_k_reference(labels: np.ndarray, probabilities: np.ndarray, k: int) -> float:
    best = np.argsort(-probabilities, axis=1)[:, :k]
    return float((best == labels[:, None]).any(axis=1).mean())


def _yang_shortcuts() -> int:
    return _parameters("yang", modality="audio") - _parameters(
        "yang", modality="audio", residual=False
    )


register(
    "yang-order",
    Exercise(
        lambda: _order_of_a_glide(400, 22_050),
        "the slope is c = 400 / 22,050 of the plane's square; the order below one is "
        "1 - (2/π)·arctan c",
        tolerance=1e-4,
    ),
)
register(
    "yang-window",
    Exercise(
        _yang_early_face,
        "how far does the middle 3.6 s of 5.2 s begin after the start?",
        tolerance=1e-4,
    ),
)
register(
    "yang-shortcuts",
    Exercise(
        _yang_shortcuts,
        "only where the number of channels changes is the shortcut a 1×1 convolution: count its "
        "weights and its biases",
    ),
)
register(
    "yang-top-k",
    Exercise(
        lambda: _top_k_reference,
        "sort the probabilities of each row downwards and see whether the label is among the "
        "first k",
        inputs=lambda rng: (
            rng.integers(8, size=40), rng.dirichlet(np.ones(8), size=40), int(rng.integers(1, 8)),
        ),
    ),
)  # fmt: skip


# --- Ishtiaq ---------------------------------------------------------------------------------


def _separable_weights(c_in: int, c_out: int) -> int:
    from emolib.models.layers import DepthwiseSeparable

    return sum(p.numel() for p in DepthwiseSeparable(c_in, c_out).parameters() if p.ndim == 4)


def _channels_for(saving: float) -> int:
    """Return the fewest output channels with which a 3×3 layer saves this share of its weights."""
    c_out = 1
    while 1 - (1 / c_out + 1 / 9) < saving:
        c_out += 1
    return c_out


def _gru_over_lstm() -> float:
    from torch import nn

    gru, lstm = (sum(p.numel() for p in kind(256, 128).parameters()) for kind in (nn.GRU, nn.LSTM))
    return gru / lstm


def _bits(joint: np.ndarray) -> float:
    """Return the mutual information of a table of probabilities, in bits."""
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    return float((joint * np.log2(joint / independent)).sum())


register(
    "ishtiaq-separable",
    Exercise(
        lambda: _separable_weights,
        "nine weights for each input channel, then one for each pair of input and output channel",
        inputs=lambda rng: tuple(int(n) for n in rng.integers(1, 300, size=2)),
    ),
)
register(
    "ishtiaq-channels",
    Exercise(
        lambda: _channels_for(0.88),
        "1 − (1/C + 1/9) ≥ 0.88 leaves 1/C ≤ 0.12 − 1/9; channels come in whole numbers",
    ),
)
register(
    "ishtiaq-gru",
    Exercise(
        _gru_over_lstm,
        "a GRU has three sets of weights (reset, update, new), an LSTM four",
        tolerance=1e-3,
    ),
)
register(
    "ishtiaq-bits",
    Exercise(
        lambda: _bits,
        "sum p(x, y) · log₂(p(x, y) / (p(x) p(y))) over the table; sum rows and columns for the "
        "two shares",
        inputs=lambda rng: (rng.dirichlet(np.ones(16)).reshape(2, 8),),
    ),
)


# --- Mostafa ---------------------------------------------------------------------------------


def _first_block_share() -> float:
    from emolib import devices, models

    options = {"modality": "video", "n_classes": 7}
    cost = devices.cost(
        models.build("mostafa", **options),
        models.example_inputs("mostafa", batch=1, modality="video"),
    )
    convolutions = cost.layers[cost.layers["type"] == "Conv2d"]["macs"]
    return float(convolutions.iloc[:2].sum() / cost.macs)


def _implied_accuracy() -> float:
    """Return the accuracy that Table II's recalls imply on RAVDESS speech and song."""
    import pandas as pd

    from emolib import paths

    table = pd.read_csv(paths.CLAIMS / "tables" / "mostafa-table2.csv", comment="#")
    clips = table["class"].map({"Neutral": 188, "Disgust": 192, "Surprised": 192}).fillna(376)
    return float((table["recall"] * clips).sum() / clips.sum())


def _fuse_shared_reference(face: np.ndarray, voice: np.ndarray) -> np.ndarray:
    shared = np.delete(voice, 1, axis=1)
    return (face + shared / shared.sum(axis=1, keepdims=True)) / 2


register(
    "mostafa-first-block",
    Exercise(
        _first_block_share,
        "48² positions × 32 channels × 9 weights, for each of 1 and of 32 input channels",
        tolerance=1e-2,
    ),
)
register(
    "mostafa-implied-accuracy",
    Exercise(
        _implied_accuracy,
        "weigh each recall by the number of clips of its class, and divide by all clips",
        tolerance=1e-3,
    ),
)
register(
    "mostafa-fuse",
    Exercise(
        lambda: _fuse_shared_reference,
        "drop column 1 of the voice, divide each row by its new sum, then average",
        inputs=lambda rng: (rng.dirichlet(np.ones(7), size=9), rng.dirichlet(np.ones(8), size=9)),
    ),
)
register(
    "mostafa-newest-frame",
    Exercise(
        lambda: 1 - np.exp(-0.1 / 0.6),
        "the past counts exp(-elapsed / memory); the newest frame has the rest",
        tolerance=1e-3,
    ),
)


# --- Lu --------------------------------------------------------------------------------------


def _ghost_share(c_in: int, c_out: int) -> float:
    from emolib.models.lu import GhostModule

    kernels = (p for p in GhostModule(c_in, c_out).parameters() if p.ndim == 4)
    return sum(p.numel() for p in kernels) / (c_in * c_out)


def _lu_clips(first: str, last: str) -> int:
    from emolib import audit

    report = audit.paper("lu").find("table3/supports")
    n = report.data["n"]
    before, after = (audit.count_of(audit.Printed(p, percent=True), n)[0] for p in (first, last))
    return after - before


def _geometric_reference(face: np.ndarray, voice: np.ndarray) -> np.ndarray:
    from emolib import evaluation

    return evaluation.fuse([face, voice], "geometric")


def _two_answers(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    classes = int(rng.integers(2, 9))
    return rng.dirichlet(np.ones(classes), 5), rng.dirichlet(np.ones(classes), 5)


register(
    "lu-ghost",
    Exercise(
        lambda: _ghost_share(240, 40),
        "half of the maps come from a 1×1 convolution, and each of these has one 3×3 filter",
        tolerance=1e-3,
    ),
)
register(
    "lu-clips",
    Exercise(
        lambda: _lu_clips("95.93", "97.56"),
        "turn each percentage into a count of 491 clips first, then subtract",
    ),
)
register(
    "lu-geometric",
    Exercise(
        lambda: _geometric_reference,
        "the square root of the product, then divide each row by its sum",
        inputs=_two_answers,
    ),
)
register(
    "lu-veto",
    Exercise(
        lambda: _geometric_reference(np.array([[0.6, 0.4]]), np.array([[0.01, 0.99]]))[0, 0],
        "√(0.6 · 0.01) against √(0.4 · 0.99)",
        tolerance=5e-3,
    ),
)


# --- Audit lab -------------------------------------------------------------------------------


def _possible(accuracy: float, n: int) -> int:
    from emolib.audit import Printed

    return int(len(Printed(f"{accuracy:.2f}", percent=True).window().numerators(n)) > 0)


def _accuracy_to_try(rng: np.random.Generator) -> tuple[float, int]:
    """Draw a test-set size, and an accuracy that may or may not be a share of it."""
    n = int(rng.integers(50, 400))
    share = rng.integers(n // 2, n + 1) / n if rng.random() < 0.5 else rng.uniform(0.5, 1)
    return round(100 * float(share), 2), n


def _yang_size() -> int:
    from emolib import audit

    printed = ("80.00", "82.29", "84.37", "87.91", "90.62", "62.50", "79.79")
    return audit.granularity([audit.Printed(text) for text in printed]).sizes[0]


def _mostafa_accuracy() -> float:
    from emolib import audit, paths

    table = audit.Table.read(paths.CLAIMS / "tables" / "mostafa-table2.csv")
    clips = table.counts("population")["ravdess speech"]
    recalls = {name.lower(): row["recall"].value for name, row in table.classes.items()}
    return 100 * float(sum(clips[name] * recalls[name] for name in recalls) / sum(clips.values()))


def _mcnemar(gained: int, lost: int) -> float:
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost).pvalue)


register(
    "audit-possible",
    Exercise(
        lambda: _possible,
        "the nearest k is round(accuracy / 100 * n); does 100 * k / n lie within 0.005 of it?",
        inputs=_accuracy_to_try,
    ),
)
register(
    "audit-yang-size",
    Exercise(
        _yang_size,
        "audit.granularity takes a list of audit.Printed and tries rounding and truncation; its "
        "`sizes` are in ascending order",
    ),
)
register(
    "audit-mostafa-accuracy",
    Exercise(
        _mostafa_accuracy,
        "a mean of the recalls with weight 1 for neutral and 2 for every other class, in per cent",
        tolerance=1e-3,
    ),
)
register(
    "audit-mcnemar",
    Exercise(
        lambda: _mcnemar(14, 6),
        "of 20 clips that changed, 14 fell on one side: how likely is a fair coin to be as uneven, "
        "in either direction?",
        tolerance=1e-3,
    ),
)
register(
    "audit-wilson",
    Exercise(
        lambda: _wilson(479, 491),
        "evaluation.wilson(correct, total) gives both ends",
        tolerance=1e-3,
    ),
)


# --- Lab: the leak ladder --------------------------------------------------------------------


def _cue_accuracy() -> float:
    from emolib import synthetic

    return synthetic.LEAKS["actor"].leaking["clip"]


def _sibling_share_reference(train: np.ndarray, test: np.ndarray) -> float:
    return float(np.isin(test, train).mean())


register(
    "lab_leaks-cue",
    Exercise(_cue_accuracy, "the clips with a random cue are not all wrong: one in eight is right"),
)
register(
    "lab_leaks-six",
    Exercise(
        lambda: _wilson(6, 6)[0],
        "evaluation.wilson(correct, total) gives both ends; the lower one is wanted",
        tolerance=1e-3,
    ),
)
register(
    "lab_leaks-detector",
    Exercise(
        lambda: _sibling_share_reference,
        "ask for each test sample whether its clip number is among those of the training",
        inputs=lambda rng: (rng.integers(0, 40, 30), rng.integers(0, 40, 20)),
    ),
)
