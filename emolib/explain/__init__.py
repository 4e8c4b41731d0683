"""Which pixels and which coefficients an answer rests on, and whether to believe the map.

Integrated gradients (Sundararajan et al. 2017, through captum), the occlusion of named regions,
and three tests of an attribution: completeness, parameter randomisation (Adebayo et al. 2018) and
deletion. Regions are boolean masks over the last axes of a modality: ``(H, W)`` for faces,
``(n_mfcc,)`` for coefficients; a leading batch axis gives every sample its own.
"""

# ruff: noqa: PD011 - the `values` of an attribution are tensors, not a DataFrame's

import contextlib
import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from emolib import devices
from emolib.explain.chance import Learned, UnlearnedError, learned

__all__ = ["Attribution", "Learned", "Shares", "UnlearnedError", "baseline", "deletion_curve"]
__all__ += ["integrated_gradients", "learned", "mfcc_halves", "occlude", "occlusion_test"]
__all__ += ["region_scores", "regions", "regions_of", "sanity_check"]

Inputs = Mapping[str, Tensor]
Masks = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Attribution:
    """Contributions of every input value to one output of each sample.

    ``values`` has the shapes of the inputs. They should sum to ``difference``, the output minus
    the output at the baseline (axiom of completeness); ``completeness_gap`` is by how much they
    fail to, ``(B,)``, in the unit of the output.
    """

    values: dict[str, Tensor]
    target: Tensor
    difference: Tensor
    completeness_gap: Tensor

    @property
    def relative_gap(self) -> float:
        """Largest completeness gap, as a share of the mean absolute difference explained."""
        scale = self.difference.abs().mean().clamp_min(1e-12)
        return float(self.completeness_gap.max() / scale)


# --- attribution ---------------------------------------------------------------------------------


def baseline(inputs: Inputs, kind: str = "zeros") -> dict[str, Tensor]:
    """Return the reference that stands for "no information": ``"zeros"`` or ``"mean"``.

    Zeros are a black face, but also a *loud* voice: raw MFCC of silence are far from zero. The
    mean over the samples given, of each pixel and coefficient, is the other common choice.
    Token ids are kept as they are, for there is no path between two words.
    """
    choices = {
        "zeros": torch.zeros_like,
        "mean": lambda value: value.mean(dim=0, keepdim=True).expand_as(value).clone(),
    }
    if kind not in choices:
        raise ValueError(f"baseline {kind!r}: choose {' or '.join(choices)}, or give tensors")
    return {
        name: choices[kind](value) if value.is_floating_point() else value
        for name, value in inputs.items()
    }


def integrated_gradients(
    model: nn.Module,
    inputs: Inputs,
    target: int | Sequence[int] | Tensor | None = None,
    *,
    baselines: str | Inputs | None = None,
    steps: int = 64,
    output: str = "logit",
    batch_size: int = 256,
) -> Attribution:
    """Attribute one output to all inputs along the straight path from a baseline.

    Parameters
    ----------
    model
        Network with named modalities; used in evaluation mode and left as it was.
    inputs
        Named tensors, batch first. Integer tensors (token ids) are held fixed.
    target
        Class to explain: one for all, one each, or None for the model's own answer.
    baselines
        "zeros" (the default), "mean", or tensors like `inputs`.
    steps
        Points on the path (Gauss–Legendre). If the gap is too large, take more.
    output
        "logit", or "probability" (after the softmax).
    batch_size
        Samples that pass through the network at once; lower it if memory is short.

    Examples
    --------
    >>> from emolib import models
    >>> attribution = integrated_gradients(models.build("ding"), models.example_inputs("ding"))
    >>> attribution.values["video"].shape
    torch.Size([2, 1, 64, 64])
    """
    from captum.attr import IntegratedGradients

    if baselines is None or isinstance(baselines, str):
        baselines = baseline(inputs, baselines or "zeros")
    moving = [name for name, value in inputs.items() if value.is_floating_point()]
    fixed = [name for name in inputs if name not in moving]
    score = _score(model, output)

    def forward(*tensors: Tensor) -> Tensor:
        return score(dict(zip(moving + fixed, tensors, strict=True)))

    with _evaluating(model):
        target = _target(score, inputs, target)
        values = IntegratedGradients(forward).attribute(
            tuple(inputs[name] for name in moving),
            tuple(baselines[name].to(inputs[name].dtype) for name in moving),
            target=target,
            additional_forward_args=tuple(inputs[name] for name in fixed) or None,
            n_steps=steps,
            internal_batch_size=max(batch_size, len(target)),
        )
        with torch.no_grad():
            # The path of the held inputs has no length, so they stand at their own values.
            start = {name: baselines[name] if name in moving else inputs[name] for name in inputs}
            difference = _chosen(score(inputs), target) - _chosen(score(start), target)
    explained = sum(value.detach().flatten(1).sum(dim=1) for value in values)
    return Attribution(
        values={name: value.detach() for name, value in zip(moving, values, strict=True)},
        target=target,
        difference=difference,
        completeness_gap=(explained - difference).abs(),
    )


# --- regions -------------------------------------------------------------------------------------


class Shares(NamedTuple):
    """What the regions of each modality contribute to a network's answers.

    ``table`` has the columns ``modality, region, share, area, density`` of `region_scores`;
    ``relative_gap`` is that of the `Attribution`, over so many ``samples``.
    """

    table: pd.DataFrame
    relative_gap: float
    samples: int


def regions(
    key: str,
    corpus: str = "synthetic",
    modality: str = "both",
    *,
    epochs: int = 3,
    samples: int = 64,
    seed: int = 0,
    progress: bool = True,
    root: str | Path | None = None,
) -> Shares:
    """Train a paper's network briefly, then say which regions its answers rest on.

    Integrated gradients, relative to the mean, of test samples of actors that the training has
    not seen. The network and its samples are those of `papers.engine.trained`.

    Parameters
    ----------
    key, corpus, modality
        The paper, and what its network sees.
    epochs, seed
        Of the training before.
    samples
        How many test samples to explain, evenly spaced among them all.
    root
        Of the corpus.
    """
    from emolib.papers import engine

    dataset, fit, test = engine.trained(
        key, corpus, modality, epochs=epochs, seed=seed, progress=progress, root=root
    )
    chosen = test.take(torch.arange(0, len(test), max(1, len(test) // samples)))
    inputs = dataset.prepare(chosen.inputs, None)
    attribution = integrated_gradients(fit.model, inputs, chosen.labels, baselines="mean")
    scores = [
        region_scores(attribution, regions_of(name, value), modality=name).assign(modality=name)
        for name, value in attribution.values.items()
    ]
    table = pd.concat(scores, ignore_index=True)
    columns = ["modality", "region", "share", "area", "density"]
    return Shares(table[columns], attribution.relative_gap, len(chosen))


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
    mask = _fit(region, value, modality)
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
        mask = _fit(region, values, modality).expand_as(values)
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

    Returns
    -------
    DataFrame
        One row a region, the first with nothing covered: ``accuracy`` (share),
        ``accuracy_change``, ``probability`` (mean of the true class), ``probability_change``,
        and ``answers_changed`` (share of samples that get another answer).
    """
    labels = torch.as_tensor(labels)
    score = _score(model, "probability")
    cases = [("nothing", "none", dict(inputs))] + [
        (modality, name, occlude(inputs, mask, modality=modality, fill=fill))
        for modality, masks in regions.items()
        for name, mask in masks.items()
    ]
    rows: list[tuple] = []
    with _evaluating(model), torch.no_grad():
        for modality, name, case in cases:
            probabilities = score(case).cpu()
            answers = probabilities.argmax(dim=1)
            if not rows:
                before = answers
            right, changed = (answers == labels).float(), (answers != before).float()
            means = (one.mean() for one in (right, _chosen(probabilities, labels), changed))
            rows.append((modality, name, *map(float, means)))
    columns = ["modality", "region", "accuracy", "probability", "answers_changed"]
    table = pd.DataFrame(rows, columns=columns)
    for quantity in ("accuracy", "probability"):
        table[f"{quantity}_change"] = table[quantity] - table[quantity].iloc[0]
    return table


# --- may we believe it? --------------------------------------------------------------------------


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
    values = attribution.values[modality].flatten(1)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(values.shape, generator=generator).to(values.device)
    # Rank of each value in its sample: 0 goes first.
    ranks = {
        "attributed": values.argsort(dim=1, descending=True).argsort(dim=1),
        "random": noise.argsort(dim=1),
    }
    shape, count = inputs[modality].shape, values.shape[1]
    score = _score(model, "probability")
    rows = []
    with _evaluating(model), torch.no_grad():
        for step in range(steps + 1):
            row = {"deleted": step / steps}
            for order, rank in ranks.items():
                gone = (rank < round(count * step / steps)).reshape(shape)
                covered = occlude(inputs, gone, modality=modality, fill=fill)
                row[order] = float(_chosen(score(covered), attribution.target).mean())
            rows.append(row)
    return pd.DataFrame(rows)


# --- inside --------------------------------------------------------------------------------------


def _score(model: nn.Module, output: str) -> Callable[[Inputs], Tensor]:
    if output not in ("logit", "probability"):
        raise ValueError(f"output {output!r}: choose 'logit' or 'probability'")

    def score(inputs: Inputs) -> Tensor:
        logits = model(**inputs)  # (B, C)
        return logits if output == "logit" else logits.softmax(dim=1)

    return score


def _chosen(scores: Tensor, target: Tensor) -> Tensor:
    """Return the score of each sample's own class: ``(B, C), (B,)`` → ``(B,)``."""
    return scores.gather(1, target[:, None])[:, 0]


def _target(score: Callable, inputs: Inputs, target) -> Tensor:
    first = next(iter(inputs.values()))
    if target is None:
        with torch.no_grad():
            return score(inputs).argmax(dim=1)
    target = torch.as_tensor(target, device=first.device)
    return target.expand(len(first)) if target.ndim == 0 else target


def _fit(region, value: Tensor, modality: str) -> Tensor:
    """Return a mask that broadcasts over `value`, for all samples or one for each."""
    mask = torch.as_tensor(region, dtype=torch.bool, device=value.device)
    tail = tuple(mask.shape)
    if tail == tuple(value.shape[value.ndim - mask.ndim :]):
        return mask
    own = tail[1:]  # one mask for each sample, over the last axes
    if tail[0] == value.shape[0] and own == tuple(value.shape[value.ndim - len(own) :]):
        return mask.reshape(tail[0], *[1] * (value.ndim - 1 - len(own)), *own)
    raise ValueError(
        f"a mask of shape {tail} does not fit {modality} of shape {tuple(value.shape)}: "
        "give one over its last axes, or one for each sample"
    )


@contextlib.contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Use a model in evaluation mode; recurrent layers stay differentiable on a GPU."""
    recurrent = any(isinstance(module, nn.RNNBase) for module in model.modules())
    # cuDNN has no backward pass for recurrent layers in evaluation mode.
    with devices.evaluating(model), torch.backends.cudnn.flags(enabled=not recurrent):
        yield


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
