"""How a network is asked: its scores, the class explained, masks that fit, portions of samples."""

import contextlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from emolib import devices

Inputs = Mapping[str, Tensor]
Masks = Mapping[str, np.ndarray]


def score_of(model: nn.Module, output: str) -> Callable[[Inputs], Tensor]:
    """Return what gives the logits or the probabilities (B, C) of named inputs."""
    if output not in ("logit", "probability"):
        raise ValueError(f"output {output!r}: choose 'logit' or 'probability'")

    def score(inputs: Inputs) -> Tensor:
        logits = model(**inputs)  # (B, C)
        return logits if output == "logit" else logits.softmax(dim=1)

    return score


def chosen(scores: Tensor, target: Tensor) -> Tensor:
    """Return the score of each sample's own class: ``(B, C), (B,)`` → ``(B,)``."""
    return scores.gather(1, target[:, None])[:, 0]


def target_of(score: Callable, inputs: Inputs, target) -> Tensor:
    """Return the class to explain of each sample: as asked, or the network's own answer."""
    first = next(iter(inputs.values()))
    if target is None:
        with torch.no_grad():
            return torch.cat([score(part).argmax(dim=1) for part in portions(inputs, 256)])
    target = torch.as_tensor(target, device=first.device)
    return target.expand(len(first)) if target.ndim == 0 else target


def portions(inputs: Inputs, size: int) -> Iterator[dict[str, Tensor]]:
    """Yield the inputs, `size` samples at a time."""
    for start in range(0, len(next(iter(inputs.values()))), size):
        yield {name: value[start : start + size] for name, value in inputs.items()}


def fitted(region, value: Tensor, modality: str) -> Tensor:
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
def evaluating(model: nn.Module) -> Iterator[None]:
    """Use a model in evaluation mode; recurrent layers stay differentiable on a GPU."""
    recurrent = any(isinstance(module, nn.RNNBase) for module in model.modules())
    # cuDNN has no backward pass for recurrent layers in evaluation mode.
    with devices.evaluating(model), torch.backends.cudnn.flags(enabled=not recurrent):
        yield
