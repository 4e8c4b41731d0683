"""Four ways to say what an answer rests on, all through captum and all of one form.

Integrated gradients (Sundararajan et al. 2017) add up to what they explain; occlusion, Grad-CAM
and SmoothGrad do not, and stand beside them for comparison. Samples pass in portions, so that
memory does not grow with their number.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emolib.explain._asking import Inputs, chosen, evaluating, portions, score_of, target_of

#: Samples that pass through a network at once.
PORTION = 64
#: Share of the difference explained by which integrated gradients may miss it.
COMPLETE = 0.01
#: How wide the blur of a baseline is, as a share of a picture's side.
BLUR = 0.15


@dataclasses.dataclass(frozen=True, eq=False)
class Attribution:
    """Contributions of every input value to one output of each sample.

    ``values`` has the shapes of the inputs. They should sum to ``difference``, the output minus
    the output at the baseline (axiom of completeness); ``completeness_gap`` is by how much they
    fail to, ``(B,)``, in the unit of the output. Of methods that promise no sum both are NaN.
    ``steps`` are the points on the path from the baseline, most of any sample.
    """

    values: dict[str, Tensor]
    target: Tensor
    difference: Tensor
    completeness_gap: Tensor
    steps: int = 0

    @property
    def relative_gap(self) -> float:
        """Largest completeness gap, as a share of the mean absolute difference explained."""
        scale = self.difference.abs().mean().clamp_min(1e-12)
        return float(self.completeness_gap.max() / scale)


# --- baselines -----------------------------------------------------------------------------------


def baseline(inputs: Inputs, kind: str = "zeros") -> dict[str, Tensor]:
    """Return the reference that stands for "no information", of the shapes of the inputs.

    Token ids are kept as they are, for there is no path between two words.

    Parameters
    ----------
    inputs
        Named tensors, batch first.
    kind
        "zeros": of pixels in [0, 1] a black face, of those in [−1, 1] a grey one; but also a
        *loud* voice, for raw MFCC of silence are far from zero. Of standardised values it is the
        mean of the training. "black": the lowest value that any of the samples has. "mean": the
        mean of the samples given, of each pixel and coefficient: a mean face, mean MFCC. "blur":
        each sample's own picture or map without detail.

    Raises
    ------
    ValueError
        If there is no such baseline.
    """
    choices: dict[str, Callable[[Tensor], Tensor]] = {
        "zeros": torch.zeros_like,
        "black": lambda value: torch.full_like(value, float(value.min())),
        "mean": lambda value: value.mean(dim=0, keepdim=True).expand_as(value).clone(),
        "blur": blurred,
    }
    if kind not in choices:
        *others, last = choices
        raise ValueError(
            f"baseline {kind!r}: choose {', '.join(others)} or {last}, or give tensors"
        )
    return {
        name: choices[kind](value) if value.is_floating_point() else value
        for name, value in inputs.items()
    }


def blurred(value: Tensor, share: float = BLUR) -> Tensor:
    """Return values (B, …) smoothed along their last two axes, or along the only one.

    Parameters
    ----------
    share
        Standard deviation of the Gauss, as a share of each axis.
    """
    flat = value.reshape(-1, 1, *value.shape[max(1, value.ndim - 2) :])
    for axis in range(2, flat.ndim):
        side = flat.shape[axis]
        at = torch.arange(side, dtype=flat.dtype, device=flat.device)
        weights = torch.exp(-(((at[:, None] - at) / (share * side)) ** 2) / 2)
        weights = weights / weights.sum(1, keepdim=True)  # what lies beyond the edge is not seen
        flat = torch.movedim(torch.movedim(flat, axis, -1) @ weights.T, -1, axis)
    return flat.reshape(value.shape)


# --- integrated gradients ------------------------------------------------------------------------


def integrated_gradients(
    model: nn.Module,
    inputs: Inputs,
    target: int | Sequence[int] | Tensor | None = None,
    *,
    baselines: str | Inputs | None = None,
    steps: int = 64,
    tolerance: float | None = None,
    most: int = 4096,
    output: str = "logit",
    batch_size: int = PORTION,
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
        "zeros" (the default), "black", "mean", "blur", or tensors like `inputs`.
    steps
        Points on the path (Gauss–Legendre).
    tolerance
        Samples whose gap is larger, as a share of the mean absolute difference explained, get
        twice the steps until it is not; `COMPLETE` is 1 %. None takes `steps` and says the gap.
    most
        Steps at which a sample that still misses the sum is left as it is.
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
    if baselines is None or isinstance(baselines, str):
        baselines = baseline(inputs, baselines or "zeros")
    score = score_of(model, output)
    with evaluating(model):
        classes = target_of(score, inputs, target)
        found = _along_the_path(score, inputs, baselines, classes, steps, batch_size)
        while tolerance is not None and steps < most:
            missed = found.completeness_gap > tolerance * found.difference.abs().mean()
            if not missed.any():
                break
            steps *= 2
            again = _along_the_path(
                score,
                {name: value[missed] for name, value in inputs.items()},
                {name: value[missed] for name, value in baselines.items()},
                classes[missed],
                steps,
                batch_size,
            )
            for name, value in again.values.items():
                found.values[name][missed] = value
            found.completeness_gap[missed] = again.completeness_gap
    return dataclasses.replace(found, steps=steps)


def _along_the_path(
    score: Callable[[Inputs], Tensor],
    inputs: Inputs,
    baselines: Inputs,
    target: Tensor,
    steps: int,
    size: int,
) -> Attribution:
    """Integrate the gradients of portions of the samples, each with so many steps."""
    from captum.attr import IntegratedGradients

    moving = [name for name, value in inputs.items() if value.is_floating_point()]
    fixed = [name for name in inputs if name not in moving]

    def forward(*tensors: Tensor) -> Tensor:
        return score(dict(zip(moving + fixed, tensors, strict=True)))

    parts: list[tuple[tuple[Tensor, ...], Tensor]] = []
    pieces = zip(portions(inputs, size), portions(baselines, size), target.split(size), strict=True)
    for here, start, classes in pieces:
        values = IntegratedGradients(forward).attribute(
            tuple(here[name] for name in moving),
            tuple(start[name].to(here[name].dtype) for name in moving),
            target=classes,
            additional_forward_args=tuple(here[name] for name in fixed) or None,
            n_steps=steps,
            internal_batch_size=max(size, len(classes)),
        )
        with torch.no_grad():
            # The path of the held inputs has no length, so they stand at their own values.
            origin = {name: start[name] if name in moving else here[name] for name in here}
            difference = chosen(score(here), classes) - chosen(score(origin), classes)
        parts.append((tuple(value.detach() for value in values), difference))
    joined = [torch.cat(column) for column in zip(*(values for values, _ in parts), strict=True)]
    difference = torch.cat([one for _, one in parts])
    explained = sum(value.flatten(1).sum(dim=1) for value in joined)
    return Attribution(
        values=dict(zip(moving, joined, strict=True)),
        target=target,
        difference=difference,
        completeness_gap=(explained - difference).abs(),
        steps=steps,
    )


# --- beside them ---------------------------------------------------------------------------------


def occlusion(
    model: nn.Module,
    inputs: Inputs,
    target: int | Sequence[int] | Tensor | None = None,
    *,
    baselines: str | Inputs = "mean",
    share: float = 1 / 8,
    output: str = "logit",
    batch_size: int = PORTION,
) -> Attribution:
    """Cover one patch after the other, and see by how much the output falls (Zeiler 2014).

    Parameters
    ----------
    model, inputs, target, output, batch_size
        As for `integrated_gradients`.
    baselines
        What covers a patch.
    share
        Side of a patch as a share of each of the last two axes; it moves by half of itself. All
        frames and channels are covered at once.
    """
    from captum.attr import Occlusion

    if isinstance(baselines, str):
        baselines = baseline(inputs, baselines)
    given = baselines

    def attribute(forward, here, start, classes):
        tail = [_patch(value.shape[1:], share) for value in here]
        return Occlusion(forward).attribute(
            here,
            sliding_window_shapes=tuple(window for window, _ in tail),
            strides=tuple(stride for _, stride in tail),
            baselines=start,
            target=classes,
        )

    return _one_at_a_time(model, inputs, given, target, output, batch_size, attribute)


def smooth_grad(
    model: nn.Module,
    inputs: Inputs,
    target: int | Sequence[int] | Tensor | None = None,
    *,
    noise: float = 0.15,
    draws: int = 16,
    seed: int = 0,
    output: str = "logit",
    batch_size: int = PORTION,
) -> Attribution:
    """Average the gradients at noisy copies of each sample (Smilkov et al. 2017).

    Parameters
    ----------
    model, inputs, target, output, batch_size
        As for `integrated_gradients`.
    noise
        Standard deviation of the noise, as a share of the span from the smallest to the largest
        value of an input.
    draws
        Noisy copies of each sample.
    seed
        Of the noise.
    """
    from captum.attr import NoiseTunnel, Saliency

    def attribute(forward, here, start, classes):
        return NoiseTunnel(Saliency(forward)).attribute(
            here,
            nt_type="smoothgrad",
            nt_samples=draws,
            nt_samples_batch_size=1,
            stdevs=tuple(noise * float(value.max() - value.min()) for value in here),
            target=classes,
            abs=False,
        )

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _one_at_a_time(model, inputs, inputs, target, output, batch_size, attribute)


def grad_cam(
    model: nn.Module,
    inputs: Inputs,
    target: int | Sequence[int] | Tensor | None = None,
    *,
    output: str = "logit",
    batch_size: int = PORTION,
) -> Attribution:
    """Weigh the maps of each branch's last convolution by their gradients (Selvaraju 2017).

    A map is as coarse as that convolution's and is brought to the size of the input. Only what
    speaks for the class is shown.

    Parameters
    ----------
    model, inputs, target, output, batch_size
        As for `integrated_gradients`.

    Raises
    ------
    ValueError
        If a modality reaches no convolution of its own that leaves more than one place.
    """
    from captum.attr import LayerGradCam

    layers = _last_convolutions(model, {name: value[:2] for name, value in inputs.items()})

    def attribute(forward, here, start, classes):
        moving = [name for name, value in inputs.items() if value.is_floating_point()]
        maps = []
        for name, value in zip(moving, here, strict=True):
            raw = LayerGradCam(forward, layers[name]).attribute(
                here, target=classes, relu_attributions=True
            )
            maps.append(_as_large(raw.detach(), value))
        return tuple(maps)

    return _one_at_a_time(model, inputs, inputs, target, output, batch_size, attribute)


def _one_at_a_time(
    model: nn.Module, inputs: Inputs, start: Inputs, target, output: str, size: int, attribute
) -> Attribution:
    """Attribute portions of the samples by a method that promises no sum."""
    score = score_of(model, output)
    moving = [name for name, value in inputs.items() if value.is_floating_point()]
    with evaluating(model):
        classes = target_of(score, inputs, target)
        parts = []
        pieces = zip(
            portions(inputs, size), portions(start, size), classes.split(size), strict=True
        )
        for here, origin, wanted in pieces:
            held = {name: value for name, value in here.items() if name not in moving}

            def forward(*tensors: Tensor, held=held) -> Tensor:
                # Captum may ask about several copies of the portion at once.
                many = len(tensors[0])
                rest = {
                    name: value.repeat(many // len(value), *[1] * (value.ndim - 1))
                    for name, value in held.items()
                }
                return score(dict(zip(moving, tensors, strict=True)) | rest)

            values = attribute(
                forward,
                tuple(here[name] for name in moving),
                tuple(origin[name].to(here[name].dtype) for name in moving),
                wanted,
            )
            parts.append([value.detach() for value in values])
    joined = {
        name: torch.cat(each) for name, each in zip(moving, zip(*parts, strict=True), strict=True)
    }
    none = torch.full((len(classes),), math.nan)
    return Attribution(joined, classes, none, none)


def _patch(shape: Sequence[int], share: float) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the window and the stride that cover a part of a sample's last two axes."""
    free = min(2, len(shape))
    whole = tuple(shape[: len(shape) - free])
    window = tuple(max(1, round(side * share)) for side in shape[len(shape) - free :])
    return whole + window, whole + tuple(max(1, side // 2) for side in window)


def _last_convolutions(model: nn.Module, inputs: Inputs) -> dict[str, nn.Module]:
    """Return for each modality the last convolution with several places that it alone reaches."""
    seen: list[tuple[nn.Module, Tensor]] = []
    hooks = [
        module.register_forward_hook(lambda module, _, out: seen.append((module, out)))
        for module in model.modules()
        if isinstance(module, nn.Conv1d | nn.Conv2d)
    ]
    moving = {n: v.clone().requires_grad_() for n, v in inputs.items() if v.is_floating_point()}
    try:
        with evaluating(model), torch.enable_grad():
            model(**{**inputs, **moving})
    finally:
        for hook in hooks:
            hook.remove()
    counts: dict[nn.Module, int] = {}
    for module, _ in seen:
        counts[module] = counts.get(module, 0) + 1
    found: dict[str, nn.Module] = {}
    for module, out in seen:
        usable = out[0, 0].numel() > 1 and out.shape[1] > 1 and counts[module] == 1
        if not usable or not out.requires_grad:
            continue
        reached = torch.autograd.grad(
            out.sum(), list(moving.values()), retain_graph=True, allow_unused=True
        )
        names = [name for name, one in zip(moving, reached, strict=True) if one is not None]
        if len(names) == 1:
            found[names[0]] = module
    if missing := [name for name in moving if name not in found]:
        raise ValueError(
            f"Grad-CAM needs a convolution that sees {missing[0]} alone and leaves several places: "
            "choose another method"
        )
    return found


def _as_large(raw: Tensor, value: Tensor) -> Tensor:
    """Bring maps (n, 1, …) of a layer to the size of an input (B, …), frames apart."""
    frames = len(raw) // len(value)  # a network that looks at frames one by one stacks them
    tail = value.shape[1:]
    if raw.ndim == 3:  # along one axis
        side = tail[-1] if tail[-1] > 1 else tail[-2]
        large = F.interpolate(raw, side, mode="linear", align_corners=False)
        if len(tail) == 1:
            return large[:, 0].clone()
        large = large if tail[-1] > 1 else large.transpose(1, 2)
    else:
        large = F.interpolate(raw, tail[-2:], mode="bilinear", align_corners=False)
    # (B, frames, 1, …) over channels, or (B, 1, …) over rows
    places = large.shape[2:] if raw.ndim > 3 else large.shape[1:]
    fill = [1] * (value.ndim - 1 - len(places))
    if frames > 1 and fill:
        fill[0] = frames
    return large.reshape(len(value), *fill, *places).expand_as(value).clone()


#: Name → method, all called ``method(model, inputs, target, …)``.
METHODS: Mapping[str, Callable[..., Attribution]] = {
    "integrated gradients": integrated_gradients,
    "occlusion": occlusion,
    "Grad-CAM": grad_cam,
    "SmoothGrad": smooth_grad,
}
