"""What several of the five networks share: checks, frames, fusion, attention, convolution."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def expect(name: str, value: Tensor | None, shape: Sequence[int | None], remedy: str) -> Tensor:
    """Return `value` if it is there and has the shape ``(B, *shape)``.

    Parameters
    ----------
    name
        The modality, for the message.
    value
        The tensor that ``forward`` was given, or None.
    shape
        Sizes behind the batch axis; None stands for any size.
    remedy
        What to do when the modality is missing.

    Raises
    ------
    ValueError
        If `value` is None or has another shape; the message says what was expected.
    """
    if value is None:
        raise ValueError(f"{name}= is missing: {remedy}")
    sizes = tuple(value.shape[1:])
    fits = len(sizes) == len(shape) and all(
        want is None or size == want for size, want in zip(sizes, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join(["B", *("any" if want is None else str(want) for want in shape)])
        raise ValueError(f"{name} has shape {tuple(value.shape)}, expected ({wanted})")
    return value


def per_frame(network: nn.Module, video: Tensor) -> Tensor:
    """Apply `network` to each frame alone: ``(B, F, …)`` → ``(B, F, …)``.

    Frames become a longer batch, so that one call sees them all and, in training, batch
    normalisation takes its statistics over all frames of all clips.
    """
    batch, frames = video.shape[:2]
    features = network(video.flatten(0, 1))  # (B·F, …)
    return features.unflatten(0, (batch, frames))  # (B, F, …)


def choose(option: str, value: object, known: Sequence) -> None:
    """Raise a ValueError that names the choices unless `value` is one of `known`."""
    if value not in known:
        raise ValueError(f"{option}={value!r}: choose one of {', '.join(map(repr, known))}")


# Decision-level fusion (lu, eq. 7 and 8; mostafa, late fusion) on log-probabilities (B, C).
FUSIONS = {
    "geometric": lambda log_p, log_q: F.log_softmax((log_p + log_q) / 2, dim=-1),
    "arithmetic": lambda log_p, log_q: torch.logaddexp(log_p, log_q) - math.log(2),
    "product": lambda log_p, log_q: F.log_softmax(log_p + log_q, dim=-1),
}


def fuse(log_p: Tensor, log_q: Tensor, rule: str) -> Tensor:
    """Return the log-probabilities of two streams' fused decision; they sum to one.

    Working on logarithms keeps a probability of 1e-40 from becoming an impossible class. The
    geometric mean and the product do not sum to one by themselves and are renormalised; the
    product is the geometric mean squared, so both always choose the same class and differ only
    in how sure they are.

    Parameters
    ----------
    log_p, log_q
        Log-probabilities ``(B, n_classes)`` of each stream.
    rule
        "geometric" √(pq), "arithmetic" (p + q)/2, or "product" pq.

    Examples
    --------
    >>> p, q = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
    >>> fuse(p, q, "geometric").exp()
    tensor([[0.7500, 0.2500]])
    """
    choose("fusion", rule, tuple(FUSIONS))
    return FUSIONS[rule](log_p, log_q)


def attend(
    query: Tensor, key: Tensor, value: Tensor, present: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return softmax(QKᵀ/√d)V and its weights (yang, eq. 7; ishtiaq, every attention layer).

    Parameters
    ----------
    query
        ``(..., L, d)``.
    key, value
        ``(..., S, d)`` and ``(..., S, e)``.
    present
        Bool, broadcast to ``(..., L, S)``; False positions get no weight.

    Returns
    -------
    Tensor, Tensor
        Attended values ``(..., L, e)`` and weights ``(..., L, S)`` that sum to one over S.
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])  # (..., L, S)
    if present is not None:
        scores = scores.masked_fill(~present, float("-inf"))
    weights = scores.softmax(dim=-1)
    return weights @ value, weights


def lose_a_modality(present: Tensor, rate: float) -> Tensor:
    """Return `present` with one modality taken from about `rate` of the samples.

    Modality dropout: the network meets, in training, what it will meet when a camera or a
    microphone fails. No sample loses its last modality.

    Parameters
    ----------
    present
        Bool ``(B, M)``, which of M modalities a sample has.
    rate
        Probability in [0, 1] that a sample with several modalities loses one of them.
    """
    chance = torch.rand(present.shape, device=present.device).masked_fill(~present, -1.0)
    lost = torch.zeros_like(present).scatter(1, chance.argmax(dim=1, keepdim=True), True)
    hit = torch.rand(len(present), 1, device=present.device) < rate
    return present & ~(lost & hit & (present.sum(dim=1, keepdim=True) > 1))


ACTIVATIONS = {"relu": nn.ReLU, "mish": nn.Mish, "swish": nn.SiLU, "gelu": nn.GELU}


class DepthwiseSeparable(nn.Sequential):
    """A k×k convolution per channel, then 1×1 across channels, each with BN and activation.

    Both are free of bias, because the batch normalisation behind each has one, so that a layer
    costs k²·C_in + C_in·C_out weights instead of k²·C_in·C_out.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        activation: str = "relu",
    ):
        activate = ACTIVATIONS[activation]
        super().__init__(
            nn.Conv2d(c_in, c_in, kernel, stride, kernel // 2, groups=c_in, bias=False),
            nn.BatchNorm2d(c_in),
            activate(),
            nn.Conv2d(c_in, c_out, 1, bias=False),
            nn.BatchNorm2d(c_out),
            activate(),
        )
