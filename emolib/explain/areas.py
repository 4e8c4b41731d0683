"""What parts of a face and of a cepstrum count: shares of a map, and what covering them costs.

Regions are boolean masks over the last axes of a modality: ``(H, W)`` for faces, ``(n_mfcc,)`` for
coefficients; a leading batch axis gives every sample its own.
"""

# ruff: noqa: PD011 - the `values` of an attribution are tensors, not a DataFrame's

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from emolib.explain._asking import Inputs, Masks, chosen, evaluating, fitted, score_of
from emolib.explain.methods import Attribution


def regions_of(modality: str, value: Tensor) -> dict[str, np.ndarray]:
    """Return masks of the regions that an input has: parts of a face, or of a cepstrum."""
    if modality == "video" and value.shape[-1] == value.shape[-2]:
        from emolib.features import landmarks

        return landmarks.template_masks(value.shape[-1])
    if modality == "audio" and value.ndim == 2:
        return mfcc_halves(value.shape[-1])
    return {"all": np.ones(tuple(value.shape[1:]), bool)}


def mfcc_halves(n_mfcc: int = 40) -> dict[str, np.ndarray]:
    """Return masks of the lower- and the higher-order half of the coefficients (Ding, V-B.5)."""
    lower = np.arange(n_mfcc) < n_mfcc // 2
    return {"lower MFCC": lower, "higher MFCC": ~lower}


def occlude(
    inputs: Inputs,
    region: np.ndarray | Tensor,
    *,
    modality: str = "video",
    fill: float | str = 0.0,
) -> dict[str, Tensor]:
    """Return the inputs with one region of one modality covered.

    Parameters
    ----------
    inputs
        Named tensors, batch first; they are not changed.
    region
        Boolean mask over the last axes of the modality, or one for each sample.
    modality
        Which input is covered.
    fill
        What covers it: a number (0.0 is a black bar), or "mean", each sample's own mean, a cover
        that does not itself look like a feature.
    """
    value = inputs[modality]
    mask = fitted(region, value, modality)
    if fill == "mean":
        cover = value.flatten(1).mean(dim=1).reshape(-1, *[1] * (value.ndim - 1))
    elif isinstance(fill, str):
        raise ValueError(f"fill {fill!r}: give a number or 'mean'")
    else:
        cover = torch.tensor(fill, dtype=value.dtype, device=value.device)
    return {**inputs, modality: torch.where(mask, cover, value)}


def region_scores(
    attribution: Attribution | Tensor, masks: Masks, *, modality: str = "video"
) -> pd.DataFrame:
    """Summarise an attribution over named regions, as below the heatmaps of Ding's Fig. 7.

    Parameters
    ----------
    attribution
        An `Attribution`, or a tensor of values, batch first.
    masks
        Name to boolean mask.
    modality
        Which of its values.

    Returns
    -------
    DataFrame
        One row a region: ``magnitude`` (mean of absolute values inside; the paper's number),
        ``signed`` (mean with sign: for or against), ``share`` (of the total magnitude),
        ``area`` (share of the values that the region covers), and ``density`` = share / area:
        above 1, the region counts for more than its size.
    """
    values = attribution.values[modality] if isinstance(attribution, Attribution) else attribution
    values = values.detach()
    total = values.abs().sum().clamp_min(1e-30)
    rows = []
    for name, region in masks.items():
        mask = fitted(region, values, modality).expand_as(values)
        inside = values[mask]
        if not inside.numel():
            raise ValueError(f"region {name!r} is empty: it covers no value of {modality}")
        strength = inside.abs()
        parts = (strength.mean(), inside.mean(), strength.sum() / total, mask.float().mean())
        rows.append((name, *map(float, parts)))
    table = pd.DataFrame(rows, columns=["region", "magnitude", "signed", "share", "area"])
    return table.assign(density=table["share"] / table["area"])


def occlusion_test(
    model: nn.Module,
    inputs: Inputs,
    labels: Sequence[int] | Tensor,
    regions: Mapping[str, Masks],
    *,
    fill: float | str = 0.0,
    groups: Sequence | np.ndarray | None = None,
) -> pd.DataFrame:
    """Measure what covering each region costs (Ding, Section V-B.4 and 5).

    Parameters
    ----------
    model, inputs
        The network, and samples it was not trained on.
    labels
        True classes, ``(N,)``.
    regions
        Modality to its named masks, e.g. ``{"video": masks, "audio": mfcc_halves()}``.
    fill
        As for `occlude`.
    groups
        Clip or speaker of each sample, drawn together for the interval; by default samples are.

    Returns
    -------
    DataFrame
        One row a region, the first with nothing covered: ``accuracy`` (share),
        ``accuracy_change`` with the ends ``low`` and ``high`` of its 95 % interval,
        ``probability`` (mean of the true class), ``probability_change``, and ``answers_changed``
        (share of samples that get another answer).
    """
    labels = torch.as_tensor(labels)
    score = score_of(model, "probability")
    cases = [("nothing", "none", dict(inputs))] + [
        (modality, name, occlude(inputs, mask, modality=modality, fill=fill))
        for modality, masks in regions.items()
        for name, mask in masks.items()
    ]
    rows: list[tuple] = []
    hits = []
    with evaluating(model), torch.no_grad():
        for modality, name, case in cases:
            probabilities = score(case).cpu()
            answers = probabilities.argmax(dim=1)
            if not rows:
                before = answers
            right, changed = (answers == labels).float(), (answers != before).float()
            hits.append(right.numpy())
            means = (one.mean() for one in (right, chosen(probabilities, labels), changed))
            rows.append((modality, name, *map(float, means)))
    columns = ["modality", "region", "accuracy", "probability", "answers_changed"]
    table = pd.DataFrame(rows, columns=columns)
    for quantity in ("accuracy", "probability"):
        table[f"{quantity}_change"] = table[quantity] - table[quantity].iloc[0]
    _, low, high = mean_and_interval(np.stack(hits, axis=1) - hits[0][:, None], groups)
    return table.assign(low=low, high=high)


# --- by emotion --------------------------------------------------------------------------------


def region_shares(
    attribution: Attribution | Tensor, masks: Masks, *, modality: str = "video"
) -> np.ndarray:
    """Return the share of each sample's magnitude that lies in each region, (N, regions)."""
    values = attribution.values[modality] if isinstance(attribution, Attribution) else attribution
    strength = values.detach().abs()
    total = strength.flatten(1).sum(1).clamp_min(1e-30)
    inside = [
        torch.where(fitted(mask, strength, modality), strength, 0).flatten(1).sum(1) / total
        for mask in masks.values()
    ]
    return torch.stack(inside, dim=1).cpu().numpy()


def by_class(
    values: np.ndarray,
    labels: Sequence[int] | Tensor | np.ndarray,
    classes: Sequence[str],
    names: Sequence,
    *,
    groups: Sequence | np.ndarray | None = None,
    kind: str = "region",
) -> pd.DataFrame:
    """Average numbers of each sample, such as shares or coefficients, over each emotion.

    Parameters
    ----------
    values
        Shape (N, K).
    labels, classes
        Class of each sample (N,), and what the classes are called.
    names
        What the K columns are, put into the column `kind`.
    groups
        Clip of each sample: clips are drawn for the interval, not their segments.

    Returns
    -------
    DataFrame
        One row a class and name: ``emotion``, `kind`, ``mean`` with its 95 % interval ``low`` to
        ``high``, and ``n`` samples. The last emotion is "all".
    """
    labels, values = np.asarray(labels), np.asarray(values)
    groups = np.arange(len(values)) if groups is None else np.asarray(groups)
    tables = []
    for number, emotion in [*enumerate(classes), (None, "all")]:
        chosen_rows = np.ones(len(labels), bool) if number is None else labels == number
        if not chosen_rows.any():
            continue
        mean, low, high = mean_and_interval(values[chosen_rows], groups[chosen_rows])
        columns = {"emotion": emotion, kind: list(names), "mean": mean, "low": low, "high": high}
        tables.append(pd.DataFrame(columns | {"n": int(chosen_rows.sum())}))
    return pd.concat(tables, ignore_index=True)


def mean_and_interval(
    values: np.ndarray,
    groups: Sequence | np.ndarray | None = None,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean of the rows of `values` (N, K), and its 95 % interval by drawing groups.

    Parameters
    ----------
    groups
        What is drawn with replacement, of each row; rows by default.
    draws, seed
        Of the bootstrap.

    Returns
    -------
    mean, low, high : ndarray
        Shape (K,).
    """
    values = np.asarray(values, float)
    rows = np.arange(len(values)) if groups is None else np.asarray(groups)
    _, which = np.unique(rows, return_inverse=True)
    count = int(which.max()) + 1
    sums, sizes = np.zeros((count, values.shape[1])), np.bincount(which).astype(float)
    np.add.at(sums, which, values)
    often = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), draws)
    drawn = (often @ sums) / (often @ sizes)[:, None]
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return values.mean(0), low, high
