"""Rules that see how an answer is wrong, each with a sentence of its own.

A rule is given the answer and the truth and returns a sentence, or "" where it does not apply.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

LOOSE = 5e-3
"""Relative difference up to which a transformed answer is recognised: readers round."""


def array(value: Any) -> np.ndarray:
    """Return numbers as an array of floats; tensors are taken off their graph.

    Raises
    ------
    TypeError, ValueError
        If these are no numbers.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if isinstance(value, str):
        raise TypeError("a word is not a number")
    return np.asarray(value, dtype=float)


def compare(answer: Any, truth: Any, tolerance: float) -> str:
    """Return what is wrong with an answer: "" if it is right.

    Parameters
    ----------
    answer, truth
        Numbers, arrays, words, or sets.
    tolerance
        Largest relative difference that still counts as right.
    """
    if isinstance(truth, str):
        return _word(answer, truth)
    if isinstance(truth, (set, frozenset)):
        return _set(answer, truth)
    try:
        given = array(answer)
    except (TypeError, ValueError, RuntimeError):
        return f"a number or an array is wanted, not {_kind(answer)}"
    wanted = array(truth)
    if given.shape != wanted.shape:
        return _shape(given, wanted)
    if _near(given, wanted, tolerance):
        return ""
    return next(filter(None, (rule(given, wanted) for rule in _RULES)), "") or _rest(given, wanted)


def _kind(value: Any) -> str:
    return "a function" if callable(value) else f"{type(value).__name__} {str(value)[:40]!r}"


def _near(given: np.ndarray, wanted: np.ndarray, tolerance: float = LOOSE) -> bool:
    return np.allclose(given, wanted, rtol=tolerance, atol=1e-12)


def _word(answer: Any, truth: str) -> str:
    if not isinstance(answer, str):
        return "a word in quotation marks is wanted"
    same = answer.strip().casefold() == truth.casefold()
    return "" if same else f"{answer!r} is not what is asked for"


def _set(answer: Any, truth: set | frozenset) -> str:
    if isinstance(answer, (str, bytes)) or not hasattr(answer, "__iter__"):
        return "several are wanted: give a list or a set"
    given = {value.item() if hasattr(value, "item") else value for value in answer}
    missing, extra = len(truth - given), len(given - truth)
    parts = [f"{missing} missing"] * bool(missing) + [f"{extra} too many"] * bool(extra)
    return f"of {len(truth)} there are {' and '.join(parts)}" if parts else ""


# --- shapes ----------------------------------------------------------------------------------


def _shape(given: np.ndarray, wanted: np.ndarray) -> str:
    if wanted.ndim == 0:
        return f"one number is wanted, not an array of shape {given.shape}"
    if given.ndim == 0:
        return f"one number, but an array of shape {wanted.shape} is wanted: keep the other axes"
    if given.T.shape == wanted.shape:
        return f"the shape is {given.shape}, {wanted.shape} is wanted: it looks transposed"
    return f"the shape is {given.shape}, {wanted.shape} is wanted"


def wrong_axis(argument: tuple, given: tuple, wanted: tuple) -> str:
    """Say so if an argument's shape was reduced along another axis than the one asked for."""

    def reduced(to: tuple) -> list[int]:
        return [i for i in range(len(argument)) if argument[:i] + argument[i + 1 :] == to]

    mine, right = reduced(given), reduced(wanted)
    if given == wanted or not (mine and right):
        return ""
    return (
        f"the wrong axis: of the input {argument} you reduced axis {mine[0]}, "
        f"and axis {right[0]} is asked for"
    )


# --- values of the right shape -----------------------------------------------------------------


def _not_finite(given: np.ndarray, wanted: np.ndarray) -> str:
    if np.isfinite(wanted).all() and not np.isfinite(given).all():
        return "not a number (nan or inf): is something divided by zero, or is it a logarithm of 0?"
    return ""


def _percent(given: np.ndarray, wanted: np.ndarray) -> str:
    if _near(given, 100 * wanted):
        return "that is percent, and a share between 0 and 1 is wanted: divide by 100"
    if _near(100 * given, wanted):
        return "that is a share, and percent is wanted: multiply by 100"
    return ""


def _order(given: np.ndarray, wanted: np.ndarray) -> str:
    if wanted.ndim == 2 and given.T.shape == wanted.shape and _near(given.T, wanted):
        return "that is transposed: rows and columns are swapped"
    if wanted.ndim != 1 or wanted.size < 2 or _near(given, wanted):
        return ""
    if _near(given[::-1], wanted):
        if wanted.size == 2 and wanted[0] < wanted[1]:
            return "the ends are reversed: the lower one comes first"
        return "the order is reversed"
    if _near(np.sort(given), np.sort(wanted)):
        return "the right values in another order"
    return ""


def _rounded(given: np.ndarray, wanted: np.ndarray) -> str:
    whole = bool((wanted == np.round(wanted)).all())
    if whole:
        near = (np.abs(given - wanted) < 1).all() and (given != np.round(given)).any()
        return "a whole number is wanted: nothing is half counted" if near else ""
    if not np.allclose(given, wanted, rtol=0.06, atol=0):
        return ""
    certain = (given == 1).any() and (wanted < 1).any()
    for digits in range(7):
        if np.allclose(given, np.round(wanted, digits), rtol=0, atol=1e-12):
            if certain:
                return "rounded to 1, which would be certain: give more digits, for it is not"
            return f"the right value, but rounded: give more than {digits} digits after the point"
        cut = np.trunc(wanted * 10**digits) / 10**digits
        if np.allclose(given, cut, rtol=0, atol=1e-12):
            return "cut off, not rounded: give all digits that you have"
    return ""


def _off_by_one(given: np.ndarray, wanted: np.ndarray) -> str:
    apart = given - wanted
    if (wanted == np.round(wanted)).all() and (np.abs(apart) == 1).all() and np.ptp(apart) == 0:
        return f"off by one: {'too large' if apart.flat[0] > 0 else 'too small'} by exactly 1"
    return ""


def _turned(given: np.ndarray, wanted: np.ndarray) -> str:
    if (wanted >= 0).all() and (wanted <= 1).all() and _near(given, 1 - wanted):
        return "that is the share of the others: 1 minus it is wanted"
    if _near(given, -wanted):
        return "the sign is wrong"
    if (wanted != 0).all() and _near(given, 1 / np.where(wanted == 0, 1, wanted)):
        return "upside down: what is divided by what?"
    return ""


def _factor(given: np.ndarray, wanted: np.ndarray) -> str:
    if not (wanted != 0).all():
        return ""
    ratios = given / wanted
    ratio = float(ratios.flat[0])
    if ratio <= 0 or not _near(ratios, np.full_like(ratios, ratio)):
        return ""
    if math.isclose(ratio, math.log(2), rel_tol=LOOSE):
        return "that is in nats: the logarithm to base 2 gives bits"
    for factor, words in ((2, "twice"), (0.5, "half"), (0.25, "a quarter of"), (4, "four times")):
        if math.isclose(ratio, factor, rel_tol=1e-6):
            return f"exactly {words} what is wanted"
    power = round(math.log10(ratio))
    if power and math.isclose(ratio, 10.0**power, rel_tol=LOOSE):
        return f"wrong by a power of ten ({10.0**power:g}): look at the units"
    if wanted.size > 2:
        return f"right but for a factor of {ratio:.3g}: what should it sum to?"
    return ""


def _normalised(given: np.ndarray, wanted: np.ndarray) -> str:
    if wanted.ndim < 1 or wanted.shape[-1] < 2 or not _near(wanted.sum(-1), np.ones(()), 1e-6):
        return ""
    if _near(given.sum(-1), np.ones(()), LOOSE):
        return ""
    if wanted.ndim > 1 and _near(given.sum(0), np.ones(()), LOOSE):
        return "the wrong axis: the columns sum to one, and each row should"
    return f"each row should sum to one; the first sums to {given.sum(-1).flat[0]:.3g}"


_RULES: tuple[Callable[[np.ndarray, np.ndarray], str], ...] = (
    _not_finite, _percent, _order, _rounded, _off_by_one, _turned, _normalised, _factor,
)  # fmt: skip


def _rest(given: np.ndarray, wanted: np.ndarray) -> str:
    if wanted.ndim == 0:
        return f"not yet: {'too large' if given > wanted else 'too small'}"
    right = int(np.isclose(given, wanted, rtol=LOOSE, atol=1e-12).sum())
    return f"not yet: {right} of {wanted.size} values are right"


# --- training --------------------------------------------------------------------------------


def falls(to: float, *, steps: int = 5) -> Callable[..., str]:
    """Judge a loss curve: finite, at least `steps` long, and at its end `to` of its beginning."""

    def judge(losses: Any, *_: Any) -> str:
        try:
            curve = array([float(loss) for loss in losses])
        except (TypeError, ValueError):
            return f"a list of losses is wanted, one for each step, not {_kind(losses)}"
        if len(curve) < steps:
            return f"{len(curve)} losses are too few: train for at least {steps} steps"
        if not np.isfinite(curve).all():
            return "the loss is not finite: a smaller learning rate, or a logarithm of 0?"
        last = float(np.median(curve[-max(1, steps // 5) :]))
        if np.ptp(curve) <= 1e-9 * abs(curve[0]):
            return "the loss does not move at all: does the optimizer take its step?"
        if last >= curve[0]:
            return "the loss does not fall: are gradients set to zero, and is the sign right?"
        if last > to * curve[0]:
            return f"the loss falls to {last / curve[0]:.0%} of its beginning, {to:.0%} is wanted"
        return ""

    return judge


def reaches(accuracy: float) -> Callable[..., str]:
    """Judge an accuracy, a share between 0 and 1: at least `accuracy`, and possible."""

    def judge(reached: Any, *_: Any) -> str:
        try:
            share = float(array(reached))
        except (TypeError, ValueError):
            return f"one accuracy is wanted, not {_kind(reached)}"
        if 1 < share <= 100:
            return "that is percent, and a share between 0 and 1 is wanted: divide by 100"
        if not 0 <= share <= 1:
            return f"{share:g} is no accuracy: it lies between 0 and 1"
        return "" if share >= accuracy else f"{share:.1%} is reached, {accuracy:.1%} is wanted"

    return judge


# --- networks --------------------------------------------------------------------------------


def fill(model: Any) -> None:
    """Give each parameter values that depend on its shape alone, not on its name or its order."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            shape = tuple(parameter.shape)
            seed = sum((i + 1) * 7919 * size for i, size in enumerate(shape))
            drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
            # Small enough that no tanh is flat, large enough that no layer is silent.
            parameter.copy_(drawn / math.sqrt(max(1, math.prod(shape[1:]))))


def compare_networks(answer: Any, truth: Any, arguments: Sequence | dict, tolerance: float) -> str:
    """Return what is wrong with a network beside the right one; both are filled alike."""
    import torch

    count, wanted = _size(answer), _size(truth)
    if count != wanted:
        biases, asked = _biases(answer), _biases(truth)
        if count - wanted == biases - asked:
            more = "has biases that are" if biases > asked else "lacks biases that are"
            return f"{count:,} parameters, {wanted:,} are wanted: a layer {more} " + (
                "not wanted: say bias=False" if biases > asked else "wanted: say bias=True"
            )
        return f"{count:,} parameters, {wanted:,} are wanted"
    fill(answer)
    fill(truth)
    answer.eval()
    truth.eval()
    named = arguments if isinstance(arguments, dict) else {}
    plain = () if named else arguments
    with torch.no_grad():
        right = truth(*plain, **named)
    given = answer(*plain, **named)
    if not isinstance(given, torch.Tensor):
        return f"forward should return a tensor, not {_kind(given)}"
    if given.shape != right.shape:
        return (
            f"the output's shape is {tuple(given.shape)}, {tuple(right.shape)} is wanted: look at "
            "strides, padding and pooling"
        )
    if given.requires_grad and (idle := _idle(answer, given)):
        return f"no gradient reaches {', '.join(idle)}: it is built and not used in forward"
    given = given.detach()
    if torch.allclose(given, right, rtol=max(tolerance, 1e-4), atol=1e-5):
        return ""
    for name, altered in _activations(right).items():
        if torch.allclose(given, altered, rtol=1e-3, atol=1e-5):
            return f"the outputs went through a {name} that is not wanted at the end"
    for name, altered in _activations(given).items():
        if torch.allclose(altered, right, rtol=1e-3, atol=1e-5):
            return f"a {name} is missing at the end"
    return "parameters and shapes are right, and the outputs differ: look at what forward does"


def _size(model: Any) -> int:
    return sum(p.numel() for p in model.parameters())


def _biases(model: Any) -> int:
    named = model.named_parameters()
    return sum(p.numel() for name, p in named if name.split(".")[-1].startswith("bias"))


def _idle(model: Any, output: Any) -> list[str]:
    model.zero_grad()
    (output * output).sum().backward()
    return [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]


def _activations(values: Any) -> dict[str, Any]:
    last = {"softmax": values.softmax(-1), "log-softmax": values.log_softmax(-1)}
    return last | {"ReLU": values.relu(), "sigmoid": values.sigmoid(), "tanh": values.tanh()}
