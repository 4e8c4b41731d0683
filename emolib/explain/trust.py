"""May we believe a map? Axioms, randomised weights, deletion, and known truth."""

# ruff: noqa: PD011 - the `values` of an attribution are tensors, not a DataFrame's

import copy
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from emolib.explain._asking import Inputs, chosen, evaluating, score_of
from emolib.explain.areas import occlude
from emolib.explain.methods import Attribution, integrated_gradients


def sanity_check(
    model: nn.Module,
    inputs: Inputs,
    target: int | Sequence[int] | Tensor | None = None,
    *,
    method: Callable[..., Attribution] = integrated_gradients,
    seed: int = 0,
    **options,
) -> pd.DataFrame:
    """Randomise the parameters from the last layer to the first and compare attributions.

    An attribution that hardly changes when the network forgets what it learned shows the input,
    not the network (Adebayo et al. 2018).

    Parameters
    ----------
    model, inputs, target
        As for `integrated_gradients`; the target stays the trained network's.
    method
        ``method(model, inputs, target, **options)`` returning an `Attribution`.
    seed
        Of the random parameters.
    **options
        Passed to `method`.

    Returns
    -------
    DataFrame
        One row a step and modality: ``randomised`` (the layer that fell last; the first row is
        "nothing"), ``layers`` (how many have), ``correlation`` (Spearman, of signed values) and
        ``correlation_magnitude`` (of absolute values), each the mean over samples.
    """
    original = method(model, inputs, target, **options)
    broken = copy.deepcopy(model)
    layers = [
        (name, module)
        for name, module in broken.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    ]
    rows = []

    def compare(name: str, count: int, attribution: Attribution) -> None:
        for modality, values in attribution.values.items():
            trained = original.values[modality]
            signed, absolute = _spearman(trained, values), _spearman(trained.abs(), values.abs())
            rows.append((name, count, modality, signed, absolute))

    compare("nothing", 0, method(model, inputs, original.target, **options))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for count, (name, module) in enumerate(reversed(layers), start=1):
            _forget(module)
            compare(name, count, method(broken, inputs, original.target, **options))
    columns = ["randomised", "layers", "modality", "correlation", "correlation_magnitude"]
    return pd.DataFrame(rows, columns=columns)


def deletion_curve(
    model: nn.Module,
    inputs: Inputs,
    attribution: Attribution,
    *,
    modality: str = "video",
    steps: int = 10,
    fill: float | str = 0.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Delete what counts most first, and watch the probability of the explained class fall.

    Parameters
    ----------
    model, inputs
        As explained.
    attribution
        From `integrated_gradients` on the same inputs.
    modality
        Which input loses values.
    steps
        Equal portions in which all values go.
    fill
        What replaces them, as for `occlude`. Take the baseline of the attribution: contributions
        relative to black say little about what happens on the way to grey.
    seed
        Of the random order that serves for comparison.

    Returns
    -------
    DataFrame
        ``deleted`` (share of values), ``attributed`` and ``random`` (mean probability of the
        explained class when values go in that order). A faithful attribution falls faster than
        chance; compare the areas, ``table.mean()``.
    """
    values = attribution.values[modality]
    curves = _curves(model, inputs, values, attribution.target, modality, steps, fill, seed)
    shares = np.arange(steps + 1) / steps
    means = {name: curve.mean(axis=1) for name, curve in curves.items()}
    return pd.DataFrame({"deleted": shares, **means})


def deletion_and_insertion(
    model: nn.Module,
    inputs: Inputs,
    attribution: Attribution,
    *,
    modality: str = "video",
    steps: int = 20,
    fill: float | str = "mean",
    seed: int = 0,
) -> pd.DataFrame:
    """Return the areas under the deletion and the insertion curve of each sample.

    Insertion begins with everything covered and shows what counts most first. Of a faithful map
    the deletion area is small and the insertion area large.

    Parameters
    ----------
    model, inputs, attribution, modality, steps, fill, seed
        As for `deletion_curve`.

    Returns
    -------
    DataFrame
        One row a sample: ``deletion``, ``insertion`` (mean probability of the explained class,
        0 to 1), and ``random``, what a random order gives for both.
    """
    values, target = attribution.values[modality], attribution.target
    asked = (target, modality, steps, fill, seed)
    gone = _curves(model, inputs, values, *asked)
    shown = _curves(model, inputs, -values, *asked)["attributed"]
    return pd.DataFrame(
        {
            "deletion": gone["attributed"].mean(axis=0),
            "insertion": shown.mean(axis=0),  # least first gone is most last gone
            "random": gone["random"].mean(axis=0),
        }
    )


def _curves(
    model: nn.Module,
    inputs: Inputs,
    values: Tensor,
    target: Tensor,
    modality: str,
    steps: int,
    fill: float | str,
    seed: int,
) -> dict[str, np.ndarray]:
    """Return the probability of the class while values go, (steps + 1, N), in either order."""
    flat = values.flatten(1)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(flat.shape, generator=generator).to(flat.device)
    # Rank of each value in its sample: 0 goes first.
    ranks = {
        "attributed": flat.argsort(dim=1, descending=True, stable=True).argsort(dim=1),
        "random": noise.argsort(dim=1),
    }
    shape, count = inputs[modality].shape, flat.shape[1]
    score = score_of(model, "probability")
    curves: dict[str, list] = {order: [] for order in ranks}
    with evaluating(model), torch.no_grad():
        for step in range(steps + 1):
            for order, rank in ranks.items():
                gone = (rank < round(count * step / steps)).reshape(shape)
                covered = occlude(inputs, gone, modality=modality, fill=fill)
                curves[order].append(chosen(score(covered), target).cpu().numpy())
    return {order: np.stack(curve) for order, curve in curves.items()}


# --- where the truth is known --------------------------------------------------------------------


def pointing_game(values: Tensor, truth: Tensor | np.ndarray) -> np.ndarray:
    """Tell of each sample whether its largest value lies where the truth is (Zhang et al. 2018).

    Parameters
    ----------
    values
        A map of each sample, (N, …): what speaks for the class is positive.
    truth
        Boolean, of the shape of `values`: what carries the class.

    Returns
    -------
    ndarray
        (N,) boolean. A random map scores the share of values that are true.
    """
    flat, true = _flat(values, truth)
    return true[np.arange(len(flat)), flat.argmax(axis=1)]


def relevance_auc(values: Tensor, truth: Tensor | np.ndarray) -> np.ndarray:
    """Return how well each map tells true places from others: the area under the ROC, (N,).

    Parameters
    ----------
    values, truth
        As for `pointing_game`; the magnitude counts. A random map scores one half.
    """
    from scipy.stats import rankdata

    flat, true = _flat(values, truth)
    ranks = rankdata(np.abs(flat), axis=1)
    inside = true.sum(axis=1)
    outside = true.shape[1] - inside
    excess = (ranks * true).sum(axis=1) - inside * (inside + 1) / 2
    return excess / np.maximum(inside * outside, 1)


def relevance_mass(values: Tensor, truth: Tensor | np.ndarray) -> np.ndarray:
    """Return the share of each map's magnitude that lies where the truth is, (N,)."""
    flat, true = _flat(values, truth)
    return (np.abs(flat) * true).sum(axis=1) / np.maximum(np.abs(flat).sum(axis=1), 1e-30)


def agreement(first: Tensor, second: Tensor) -> np.ndarray:
    """Return the rank correlation (Spearman) of two maps' magnitudes, sample by sample, (N,)."""
    from scipy.stats import rankdata

    ranks = [
        rankdata(one.detach().abs().flatten(1).cpu().numpy(), axis=1) for one in (first, second)
    ]
    a, b = (one - one.mean(axis=1, keepdims=True) for one in ranks)
    spread = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.divide((a * b).sum(axis=1), spread, out=np.zeros(len(a)), where=spread > 0)


def _flat(values: Tensor, truth: Tensor | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat = values.detach().flatten(1).cpu().numpy()
    true = np.asarray(truth, bool).reshape(len(flat), -1)
    if true.shape != flat.shape:
        raise ValueError(
            f"a truth of shape {tuple(np.shape(truth))} does not fit maps of shape "
            f"{tuple(values.shape)}: give one place for each value"
        )
    return flat, true


# --- inside --------------------------------------------------------------------------------------


def _forget(module: nn.Module) -> None:
    """Replace a layer's parameters by fresh random ones of the same scale."""
    with torch.no_grad():
        for parameter in module.parameters(recurse=False):
            spread = parameter.std() if parameter.numel() > 1 else parameter.abs().mean()
            parameter.normal_(0, float(spread) or 1.0)


def _spearman(a: Tensor, b: Tensor) -> float:
    from scipy.stats import spearmanr

    pairs = zip(a.flatten(1).cpu().numpy(), b.flatten(1).cpu().numpy(), strict=True)
    return float(np.nanmean([spearmanr(x, y).statistic for x, y in pairs]))
