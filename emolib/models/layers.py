"""What several of the five networks share: checks, frames, fusion, attention, convolution."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emolib.errors import EmolibError
from emolib.media import MODALITIES

AUDIO_VISUAL = ("audio", "video", "both")  # what networks without text choose from


class ModelError(EmolibError, ValueError):
    """An option or an input that a network cannot work with; the message says what it takes."""


def choose(option: str, value: object, known: Sequence) -> None:
    """Raise a ModelError that names the choices unless `value` is one of `known`."""
    if value not in known:
        raise ModelError(f"{option}={value!r}: choose one of {', '.join(map(repr, known))}")


def given(
    modality: str,
    shapes: Mapping[str, Sequence[int | None]],
    *,
    complete: bool = False,
    **tensors: Tensor | None,
) -> dict[str, Tensor]:
    """Return the inputs that a network was built for and was given, at least one.

    Parameters
    ----------
    modality
        What it was built for, a key of `MODALITIES`; other inputs are left aside.
    shapes
        The sizes of each input behind the batch axis; None stands for any size.
    complete
        Whether the network cannot do without any of its inputs.
    **tensors
        What ``forward`` was given: an input by its name, or None.

    Raises
    ------
    ModelError
        If an input that is needed is missing, or one has another shape.
    """
    wanted = MODALITIES[modality]
    there = {name: value for name in wanted if (value := tensors[name]) is not None}
    missing = [f"{name}=" for name in wanted if name not in there]
    if missing and (complete or not there):
        needed = "all" if complete else "at least one"
        raise ModelError(
            f"{' and '.join(missing)} missing: this network was built with modality={modality!r} "
            f"and needs {needed} of {', '.join(wanted)}"
        )
    for name, value in there.items():
        shape = shapes[name]
        fits = len(shape) == value.dim() - 1 and all(
            want in (None, size) for want, size in zip(shape, value.shape[1:], strict=True)
        )
        if not fits:
            sizes = ", ".join("any" if want is None else str(want) for want in shape)
            raise ModelError(f"{name} has shape {tuple(value.shape)}, expected (B, {sizes})")
    return there


def per_frame(network: nn.Module, video: Tensor) -> Tensor:
    """Apply `network` to each frame alone: ``(B, F, …)`` → ``(B, F, …)``.

    Frames become a longer batch, so that one call sees them all and, in training, batch
    normalisation takes its statistics over all frames of all clips.
    """
    batch, frames = video.shape[:2]
    features = network(video.flatten(0, 1))  # (B·F, …)
    return features.unflatten(0, (batch, frames))  # (B, F, …)


def example_clips(
    modality: str, sound: tuple[int, ...], pictures: tuple[int, ...]
) -> dict[str, Tensor]:
    """Return random sound and pictures of these shapes, batch first, for a network of a modality.

    Clips differ in their mean, or averaging over time and space would leave little of them.
    """
    draws = {
        "audio": lambda: torch.randn(*sound[:2], *[1] * (len(sound) - 2)) + torch.randn(sound),
        "video": lambda: (
            torch.rand(sound[0], *[1] * (len(pictures) - 4), pictures[-3], 1, 1)
            * torch.rand(pictures)
        ),
    }
    return {name: draws[name]() for name in MODALITIES[modality]}


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


def conv_bn(
    c_in: int, c_out: int, kernel: int, stride: int | tuple[int, int] = 1, groups: int = 1
) -> list[nn.Module]:
    """Return a padded 2D convolution without bias and the batch normalisation that has one."""
    layer = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(c_out)]


class DepthwiseSeparable(nn.Sequential):
    """A k×k convolution per channel, then 1×1 across channels, each with BN and activation.

    Both are free of bias, because the batch normalisation behind each has one, so that a layer
    costs k²·C_in + C_in·C_out weights instead of k²·C_in·C_out.
    """

    def __init__(
        self, c_in: int, c_out: int, *, kernel: int = 3, stride: int = 1, activation: str = "relu"
    ):
        activate = ACTIVATIONS[activation]
        super().__init__(
            *conv_bn(c_in, c_in, kernel, stride, groups=c_in),
            activate(),
            *conv_bn(c_in, c_out, 1),
            activate(),
        )


# --- a small face network of ours: beside Mostafa's, and among our own ---------------------------

# Channels and blocks of the stages at 24², 12², 6² and 3² pixels.
STAGES = {
    "basic": ((24, 48, 96, 160), (1, 1, 1, 2)),
    "inverted": ((32, 64, 112, 192), (1, 2, 2, 3)),
}


class Squeeze(nn.Module):
    """Squeeze-and-excitation: one weight a channel, from what all channels show together."""

    def __init__(self, channels: int, reduction: int = 4):
        super().__init__()
        self.reduce = nn.Linear(channels, channels // reduction)
        self.expand = nn.Linear(channels // reduction, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` ``(B, C, H, W)`` with its channels weighted."""
        weight = torch.sigmoid(self.expand(F.relu(self.reduce(x.mean(dim=(2, 3))))))  # (B, C)
        return x * weight[:, :, None, None]


class ResidualBlock(nn.Module):
    """A block that adds to what it was given, instead of replacing it.

    Parameters
    ----------
    block
        "basic": two full 3×3 convolutions (fast on a processor, whose vector units like them);
        "inverted": 1×1 to three times the channels, depthwise 3×3, 1×1 back (fewer
        multiplications for the same width).
    stride
        1, or 2 to halve the map.
    activation
        Name in `emolib.models.layers.ACTIVATIONS`.
    squeeze
        Weigh the channels before adding.
    shortcut
        False leaves the addition out, which is what the ablation is for.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        *,
        block: str,
        stride: int,
        activation: str,
        squeeze: bool,
        shortcut: bool,
    ):
        super().__init__()
        act = ACTIVATIONS[activation]
        if block == "basic":
            self.body = nn.Sequential(
                *conv_bn(c_in, c_out, 3, stride), act(), *conv_bn(c_out, c_out, 3)
            )
        else:
            wide = 3 * c_in
            self.body = nn.Sequential(
                *conv_bn(c_in, wide, 1),
                act(),
                *conv_bn(wide, wide, 3, stride, groups=wide),
                act(),
                *conv_bn(wide, c_out, 1),
            )
        if squeeze:
            self.body.append(Squeeze(c_out))
        # An inverted block ends linear (its narrow end would lose what a ReLU cuts off).
        self.activate = act() if block == "basic" else nn.Identity()
        self.shortcut: nn.Module | None = None
        if shortcut and stride == 1 and c_in == c_out:
            self.shortcut = nn.Identity()
        elif shortcut:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride) if stride > 1 else nn.Identity(),
                *conv_bn(c_in, c_out, 1),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, c_out, H/stride, W/stride)`` for ``(B, c_in, H, W)``."""
        y = self.body(x)
        return self.activate(y if self.shortcut is None else y + self.shortcut(x))


def residual_cnn(
    n_classes: int = 7,
    *,
    block: str = "basic",
    channels: Sequence[int] | None = None,
    blocks: Sequence[int] | None = None,
    activation: str = "relu",
    squeeze: bool = False,
    shortcut: bool = True,
    separable_stem: bool = False,
    dropout: float = 0.2,
) -> nn.Sequential:
    """Return our face network: ``(B, 1, 48, 48)`` → logits, ≤ 1.2 M parameters, ≤ 23.5 MMAC.

    It spends its multiplications where the paper's network does not: no full convolution at
    48×48, where a fifth of the paper's cost lies, and about the same at each later resolution.

    Parameters
    ----------
    block, activation, squeeze, shortcut
        See `ResidualBlock`.
    channels, blocks
        Width and number of blocks of the stages; by default those of `STAGES`.
    separable_stem
        Start with a depthwise-separable layer at 48×48 in front of the strided convolution.
    dropout
        Rate before the dense layer. Batch normalisation regularises the rest; rates of 0.5
        behind every block, as in the paper, starve a network this slim.
    """
    choose("block", block, tuple(STAGES))
    choose("activation", activation, tuple(ACTIVATIONS))
    channels = STAGES[block][0] if channels is None else channels
    blocks = STAGES[block][1] if blocks is None else blocks
    residual_block = partial(
        ResidualBlock, block=block, activation=activation, squeeze=squeeze, shortcut=shortcut
    )
    act, c_in = ACTIVATIONS[activation], 1
    layers: list[nn.Module] = []
    if separable_stem:
        layers.append(DepthwiseSeparable(1, 16, activation=activation))  # (B, 16, 48, 48)
        c_in = 16
    layers += [*conv_bn(c_in, channels[0], 3, stride=2), act()]  # (B, 24, 24, 24)
    c_in = channels[0]
    for stage, (c_out, repeats) in enumerate(zip(channels, blocks, strict=True)):
        for i in range(repeats):
            stride = 2 if stage > 0 and i == 0 else 1
            layers.append(residual_block(c_in, c_out, stride=stride))
            c_in = c_out
    return nn.Sequential(
        *layers,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),  # (B, 160)
        nn.Dropout(dropout),
        nn.Linear(c_in, n_classes),
    )
