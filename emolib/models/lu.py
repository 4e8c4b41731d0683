"""Lu, Lu, Lin: Lightweight Multimodal Emotion Recognition for Companion Robots.

One sample is one clip: 15 RGB faces of 224×224 pixels, one from the middle of each fifteenth of
the clip, and its MFCC. Section III of the paper, top to bottom: A, the face (GhostNet with
triplet attention, then a frame attention network); B, speech (a 1D CNN over the 40 MFCC); C, the
decision-level fusion of both.
"""

import inspect
import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emolib.models.layers import (
    AUDIO_VISUAL,
    ModelError,
    choose,
    conv_bn,
    example_clips,
    fuse,
    given,
    per_frame,
)

FRAMES, IMAGE = 15, 224  # Section III-A.1

# Table I, one row per G-bneck: kernel, expansion, attention marked, stride, output channels. The
# maps behind the rows of stride 2 have 56², 28², 14² and 7² pixels.
_, *_ROWS = Path(__file__).with_name("lu_table_1.csv").read_text().splitlines()
TABLE_I = tuple(tuple(map(int, row.split(","))) for row in _ROWS)
STEM, HEAD = 16, 576  # channels of Table I's first and last row

# The facial networks of the ablation in Tables VII and VIII; F4 is the paper's choice.
FACE = {
    "F1": {"tam": "none", "fan": "off"},
    "F2": {"tam": "marked", "fan": "off"},
    "F3": {"tam": "none", "fan": "on"},
    "F4": {"tam": "marked", "fan": "on"},
}

# Table II, one row per Conv1D: kernel, stride. The channels are S1, S2 (the paper's choice) and
# S3 of the same ablation.
TABLE_II = ((5, 1), (7, 2), (5, 1), (7, 2), (5, 1), (7, 2), (5, 1), (7, 2))
SPEECH = {
    "S1": (128,) * 4 + (64,) * 4,
    "S2": (128,) * 6 + (64,) * 2,
    "S3": (128,) * 8,
}


# --- III-A.2 facial features: GhostNet with triplet attention -----------------------------------


class GhostModule(nn.Module):
    """Half of the maps by a 1×1 convolution (eq. 2), the other half a cheap filter of those.

    The cheap operation Φ of eq. 3 is depthwise: one k×k filter a map. (Eq. 10 prices it as if
    every base map met every output map, which would undo the saving.)
    """

    def __init__(self, c_in: int, c_out: int, *, cheap_kernel: int = 3, relu: bool = True):
        super().__init__()
        self.c_out = c_out
        c_1 = math.ceil(c_out / 2)  # base maps; ratio s = 2
        activation = [nn.ReLU()] if relu else []
        self.primary = nn.Sequential(*conv_bn(c_in, c_1, 1), *activation)
        self.cheap = nn.Sequential(*conv_bn(c_1, c_1, cheap_kernel, groups=c_1), *activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, c_out, H, W)`` for ``(B, c_in, H, W)``."""
        base = self.primary(x)  # (B, c_1, H, W)
        ghost = self.cheap(base)  # (B, c_1, H, W)
        return torch.cat([base, ghost], dim=1)[:, : self.c_out]


# The order of the axes (B, C, H, W) that brings the axis a branch pools to position 1 and the
# longest one, C, to the end, where convolutions are fast: a row of two pixels leaves a vector
# unit nearly empty.
BRANCHES = {"HC": (0, 3, 2, 1), "WC": (0, 2, 3, 1), "HW": (0, 1, 2, 3)}


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the order that restores what `axes` has turned (the overlines of eq. 4)."""
    return tuple(axes.index(axis) for axis in range(len(axes)))


class TripletAttention(nn.Module):
    """Triplet attention, eq. 4: each pair of (C, H, W) is weighted by what the third axis shows.

    Every branch keeps the maximum and the mean over the third axis (Z-pool), convolves these two
    maps with a 7×7 kernel ψ, and gates the input with the sigmoid: 98 weights and 2 of batch
    normalisation a branch, 300 in all, whatever the number of channels. All three gates multiply
    the same x, so x is multiplied once, by their mean.

    Parameters
    ----------
    residual
        Section III-A.2 says the average of the branches is "then fused with the original input
        x through a residual connection", which eq. 4 and the module's source do not have. False
        follows the equation, and takes the bottleneck's shortcut for the connection meant.
    """

    def __init__(self, *, residual: bool = False):
        super().__init__()
        self.residual = residual
        self.psi = nn.ModuleDict({branch: nn.Sequential(*conv_bn(2, 1, 7)) for branch in BRANCHES})

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """Return the three gates in [0, 1]: "HC" ``(B, 1, H, C)``, "WC" ``(B, 1, W, C)``, …."""
        gates = {}
        for branch, axes in BRANCHES.items():
            third = axes[1]
            pooled = torch.cat(
                [x.amax(third, keepdim=True), x.mean(third, keepdim=True)], third
            ).permute(axes)  # Z-pool  (B, 2, ·, ·)
            gates[branch] = torch.sigmoid(self.psi[branch](pooled))
        return gates

    def forward(self, x: Tensor) -> Tensor:
        """Return the attended maps, of the shape of `x` ``(B, C, H, W)``."""
        gates = self.maps(x)
        gate = sum(gates[branch].permute(_inverse(axes)) / 3 for branch, axes in BRANCHES.items())
        return x + x * gate if self.residual else x * gate


class SqueezeExcitation(nn.Module):
    """GhostNet's own attention, which triplet attention replaces: one weight a channel."""

    def __init__(self, channels: int):
        super().__init__()
        squeezed = _divisible(channels / 4)
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` ``(B, C, H, W)`` with its channels weighted."""
        pooled = x.mean(dim=(2, 3), keepdim=True)  # (B, C, 1, 1)
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(pooled))))


def _divisible(channels: float, by: int = 4) -> int:
    """Round to a multiple of `by`, never down by more than a tenth (GhostNet's rule)."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded if rounded >= 0.9 * channels else rounded + by


class GhostBottleneck(nn.Module):
    """Two ghost modules, a strided depthwise convolution between them if the map shrinks (Fig. 2).

    Parameters
    ----------
    attention
        The attention module between the two ghost modules, or None.
    attend_first
        Put the attention before the depthwise convolution instead of behind it.
    """

    def __init__(
        self,
        c_in: int,
        expansion: int,
        c_out: int,
        *,
        kernel: int,
        stride: int,
        cheap_kernel: int = 3,
        attention: nn.Module | None = None,
        attend_first: bool = False,
    ):
        super().__init__()
        self.expand = GhostModule(c_in, expansion, cheap_kernel=cheap_kernel)
        middle = [attention] if attention else []
        if stride > 1:
            shrink = nn.Sequential(*conv_bn(expansion, expansion, kernel, stride, groups=expansion))
            middle.insert(len(middle) if attend_first else 0, shrink)
        self.middle = nn.Sequential(*middle)
        self.project = GhostModule(expansion, c_out, cheap_kernel=cheap_kernel, relu=False)
        self.shortcut: nn.Module = nn.Identity()
        if c_in != c_out or stride > 1:
            spatial = conv_bn(c_in, c_in, kernel, stride, groups=c_in)
            self.shortcut = nn.Sequential(*spatial, *conv_bn(c_in, c_out, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, c_out, H/stride, W/stride)`` for ``(B, c_in, H, W)``."""
        return self.project(self.middle(self.expand(x))) + self.shortcut(x)


def ghostnet(
    *,
    tam: str = "marked",
    tam_position: str = "after",
    tam_residual: bool = False,
    attention: str = "triplet",
    cheap_kernel: int | Literal["K"] = 3,
) -> nn.Sequential:
    """Return Table I: ``(B, 3, 224, 224)`` → ``(B, 576)``, global average pooling included.

    The parameters are those of `FaceNetwork`.
    """
    choose("tam", tam, ("none", "marked", "all"))
    choose("tam_position", tam_position, ("before", "after"))
    choose("attention", attention, ("triplet", "se"))
    layers: list[nn.Module] = [nn.Sequential(*conv_bn(3, STEM, 3, stride=2), nn.ReLU())]  # 112²
    c_in = STEM
    for kernel, expansion, marked, stride, c_out in TABLE_I:
        attentive = tam == "all" or (tam == "marked" and marked)
        module = (
            TripletAttention(residual=tam_residual)
            if attention == "triplet"
            else SqueezeExcitation(expansion)
        )
        layers.append(
            GhostBottleneck(
                c_in,
                expansion,
                c_out,
                kernel=kernel,
                stride=stride,
                cheap_kernel=cheap_kernel if isinstance(cheap_kernel, int) else kernel,
                attention=module if attentive else None,
                attend_first=tam_position == "before",
            )
        )
        c_in = c_out
    layers += [
        nn.Sequential(*conv_bn(c_in, HEAD, 1), nn.ReLU()),  # (B, 576, 7, 7)
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),  # (B, 576)
    ]
    return nn.Sequential(*layers)


# --- III-A.2 frame attention network -------------------------------------------------------------


class FrameAttention(nn.Module):
    """Weigh the frames of a clip by themselves, then by their relation to the whole (FAN, [35]).

    ====================  ===========================================
    self-attention        α_i = σ(f_i·q⁰),  f' = Σ α_i f_i / Σ α_i
    relation attention    β_i = σ([f_i : f']·q¹),
                          f = Σ α_i β_i [f_i : f'] / Σ α_i β_i
    ====================  ===========================================

    Parameters
    ----------
    width
        Length of a frame's feature vector.
    relation
        False stops behind the first row of the table and returns f'.
    """

    def __init__(self, width: int = HEAD, *, relation: bool = True):
        super().__init__()
        self.query = nn.Linear(width, 1)  # q⁰
        self.relation = nn.Linear(2 * width, 1) if relation else None  # q¹
        self.width = 2 * width if relation else width

    def weights(self, frames: Tensor) -> dict[str, Tensor]:
        """Return "alpha" and, with relation attention, "beta", each ``(B, F)`` in [0, 1].

        "frame" is the share that each frame has in the clip's feature: it sums to one over F.
        """
        return self._attend(frames)[1]

    def forward(self, frames: Tensor) -> Tensor:
        """Return one feature a clip: ``(B, F, width)`` → ``(B, 2·width)``, or ``(B, width)``."""
        return self._attend(frames)[0]

    def _attend(self, frames: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        # α_i / Σ α_i is the softmax of log α_i, which is no 0/0 where a sigmoid vanishes.
        log_alpha = F.logsigmoid(self.query(frames))  # (B, F, 1)
        share = log_alpha.softmax(dim=1)
        clip = (share * frames).sum(dim=1)  # f'  (B, width)
        weights = {"alpha": log_alpha.exp().squeeze(-1)}
        if self.relation is not None:
            context = clip.unsqueeze(1).expand_as(frames)
            pairs = torch.cat([frames, context], dim=-1)  # [f_i : f']  (B, F, 2·width)
            log_beta = F.logsigmoid(self.relation(pairs))  # (B, F, 1)
            share = (log_alpha + log_beta).softmax(dim=1)
            clip = (share * pairs).sum(dim=1)  # f  (B, 2·width)
            weights["beta"] = log_beta.exp().squeeze(-1)
        return clip, weights | {"frame": share.squeeze(-1)}


class FaceNetwork(nn.Module):
    """The facial stream: GhostNet on every frame (Table I), frame attention, one dense layer.

    Parameters
    ----------
    tam
        Which bottlenecks have attention: the nine "marked" in Table I, "all" eleven (as the
        text says), or "none".
    tam_position
        "after" the strided depthwise convolution, where GhostNet has its squeeze-and-excitation,
        or "before" it, on the larger map. The two differ in the three marked strided rows only.
    tam_residual
        See `TripletAttention`.
    attention
        "triplet", or "se" for GhostNet's squeeze-and-excitation in the same places.
    cheap_kernel
        Kernel of the cheap operation Φ: 3 (GhostNet's), or "K" for the row's K of Table I.
    fan
        "on"; "self" for self-attention alone; "off" for the plain mean over frames.
    dropout
        Rate before the dense layer.
    """

    def __init__(
        self, n_classes: int = 8, *, fan: str = "on", dropout: float = 0.2, **spatial: Any
    ):
        super().__init__()
        choose("fan", fan, ("on", "self", "off"))
        self.spatial = ghostnet(**spatial)
        self.temporal = None if fan == "off" else FrameAttention(relation=fan == "on")
        width = HEAD if self.temporal is None else self.temporal.width
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(width, n_classes)

    def forward_features(self, video: Tensor) -> Tensor:
        """Return GhostNet's feature of every frame: ``(B, F, 3, H, W)`` → ``(B, F, 576)``."""
        return per_frame(self.spatial, video)

    def forward(self, video: Tensor) -> Tensor:
        """Return logits ``(B, n_classes)`` for a clip of any number of frames."""
        return self.forward_head(self.forward_features(video))

    def forward_head(self, frames: Tensor) -> Tensor:
        """Return logits for the frames' features ``(B, F, 576)``."""
        clip = frames.mean(dim=1) if self.temporal is None else self.temporal(frames)
        return self.classify(self.dropout(clip))

    def attention(self, video: Tensor) -> dict[str, Tensor | list[dict[str, Tensor]]]:
        """Return what the network attends to in a clip, for looking at.

        Returns
        -------
        dict
            "triplet": for each triplet attention, in order, its three gates (see
            `TripletAttention.maps`) with the leading axes ``(B, F)``; with frame attention also
            "alpha", "beta" and "frame" (see `FrameAttention.weights`), each ``(B, F)``.
        """
        triplet: list[dict[str, Tensor]] = []
        clips = video.shape[:2]

        def record(module: TripletAttention, inputs: tuple[Tensor]) -> None:
            gates = module.maps(inputs[0]).items()  # each (B·F, 1, ·, ·)
            triplet.append({name: gate.squeeze(1).unflatten(0, clips) for name, gate in gates})

        with ExitStack() as hooks:
            for module in self.modules():
                if isinstance(module, TripletAttention):
                    hooks.enter_context(module.register_forward_pre_hook(record))
            frames = self.forward_features(video)
        weights = {} if self.temporal is None else self.temporal.weights(frames)
        return {"triplet": triplet, **weights}


# --- III-B.2 speech: the depth-optimised 1D CNN --------------------------------------------------


class SpeechNetwork(nn.Module):
    """Eight blocks of Conv1d, BN, PReLU and dropout, then two dense layers (Table II, eq. 6).

    Parameters
    ----------
    speech
        Channels of the eight blocks: "S2" (the paper's choice, the last two 64 wide), "S1" (the
        last four) or "S3" (none), as in Tables VII and VIII.
    speech_head
        Table II feeds 64 values into a dense layer while the last block gives 3×64. "gap"
        averages over the 3; "flatten" keeps all 192.
    kernels
        Kernels of the odd and the even blocks; Table II has (5, 7).
    width
        Factor on the channels of all blocks.
    convolve
        Section III-B.1 averages the MFCC over time and Table II convolves over the
        "coefficients" that are left, although eq. 6 and the text speak of temporal patterns.
        "time" takes them at their word: coefficients become channels, and time is convolved.
    n_mfcc
        Coefficients.
    dropout
        Rate in every block.
    """

    def __init__(
        self,
        n_classes: int = 8,
        *,
        speech: str = "S2",
        speech_head: str = "gap",
        kernels: Sequence[int] = (5, 7),
        width: float = 1.0,
        convolve: str = "coefficients",
        n_mfcc: int = 40,
        dropout: float = 0.2,
    ):
        super().__init__()
        choose("speech", speech, tuple(SPEECH))
        choose("speech_head", speech_head, ("gap", "flatten"))
        choose("convolve", convolve, ("coefficients", "time"))
        if (speech_head, convolve) == ("flatten", "time"):
            raise ModelError(
                "speech_head='flatten' needs a fixed length, which convolve='time' has not: "
                "use speech_head='gap'"
            )
        self.convolve, self.n_mfcc = convolve, n_mfcc
        blocks: list[nn.Module] = []
        c_in, length = (1, n_mfcc) if convolve == "coefficients" else (n_mfcc, 0)
        channels = [round(width * c) for c in SPEECH[speech]]
        for i, ((_, stride), c_out) in enumerate(zip(TABLE_II, channels, strict=True)):
            kernel = kernels[i % 2]
            blocks.append(
                nn.Sequential(
                    nn.Conv1d(c_in, c_out, kernel, stride, kernel // 2),
                    nn.BatchNorm1d(c_out),
                    nn.PReLU(),
                    nn.Dropout(dropout),
                )
            )
            c_in, length = c_out, math.ceil(length / stride)  # 40 → 20 → 10 → 5 → 3
        pool = [nn.AdaptiveAvgPool1d(1)] if speech_head == "gap" else []
        self.features = nn.Sequential(*blocks, *pool, nn.Flatten())  # (B, 64)
        features = c_in if speech_head == "gap" else c_in * length
        self.classify = nn.Sequential(
            nn.Linear(features, 128), nn.ReLU(), nn.Dropout(dropout), nn.Linear(128, n_classes)
        )
        # He's initialisation keeps the signal's size through eight layers, also before batch
        # normalisation has seen any data.
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward_features(self, audio: Tensor) -> Tensor:
        """Return what the dense layers see: ``(B, n_mfcc, T)`` → ``(B, 64)``."""
        if self.convolve == "coefficients":
            audio = audio.mean(dim=2).unsqueeze(1)  # (B, 1, 40)
        return self.features(audio)

    def forward(self, audio: Tensor) -> Tensor:
        """Return logits ``(B, n_classes)`` for MFCC ``(B, n_mfcc, T)`` of any length T."""
        return self.classify(self.forward_features(audio))


# --- III-C decision-level fusion -----------------------------------------------------------------


class Lu(nn.Module):
    """Both streams and the fusion of their decisions (Fig. 1, eq. 7 and 8).

    Parameters
    ----------
    n_classes
        8 for RAVDESS, 6 for CREMA-D (Table II keeps 8 outputs there too).
    modality
        "both", or one stream alone.
    fusion
        "geometric" mean (eq. 8, adopted by the paper) or "arithmetic" mean (eq. 7).
    n_mfcc
        Coefficients of the speech.
    dropout
        One rate for all dropout layers; the paper searched 0.1 to 0.5.
    options
        Of `SpeechNetwork`: speech, speech_head, kernels, width, convolve; and of `FaceNetwork`:
        tam, tam_position, tam_residual, attention, cheap_kernel, fan.
    """

    def __init__(
        self,
        n_classes: int = 8,
        *,
        modality: str = "both",
        fusion: str = "geometric",
        n_mfcc: int = 40,
        dropout: float = 0.2,
        **options: Any,
    ):
        super().__init__()
        choose("modality", modality, AUDIO_VISUAL)
        choose("fusion", fusion, ("geometric", "arithmetic"))
        self.modality, self.fusion, self.n_mfcc = modality, fusion, n_mfcc
        own = inspect.signature(SpeechNetwork).parameters
        speech = {name: value for name, value in options.items() if name in own}
        face = {name: value for name, value in options.items() if name not in own}
        if modality in ("video", "both"):
            self.visual = FaceNetwork(n_classes, dropout=dropout, **face)
        if modality in ("audio", "both"):
            self.audio = SpeechNetwork(n_classes, n_mfcc=n_mfcc, dropout=dropout, **speech)

    def forward(
        self, audio: Tensor | None = None, video: Tensor | None = None, text: Tensor | None = None
    ) -> Tensor:
        """Return logits; of both streams, the log-probabilities of their fused decision.

        Log-probabilities are logits too: a softmax leaves them as they are, so the
        cross-entropy of the fused decision and its arg max need no special case.

        Parameters
        ----------
        audio
            MFCC ``(B, n_mfcc, T)``; averaged over time here (Section III-B.1), T may be 1.
        video
            Faces in [0, 1] or normalised, ``(B, F, 3, H, W)``; the paper's F is 15 and H, W 224.
        text
            Ignored, as is the modality that a unimodal network was built without.

        Raises
        ------
        ModelError
            If nothing that the network was built for is there, or has another shape. A network
            of both modalities decides by one of them where the other is missing.
        """
        decisions = self.streams(audio, video)
        if len(decisions) == 1:
            return next(iter(decisions.values()))
        return fuse(
            F.log_softmax(decisions["video"], dim=-1),  # Y_F
            F.log_softmax(decisions["audio"], dim=-1),  # Y_S
            self.fusion,
        )

    def streams(
        self, audio: Tensor | None = None, video: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the logits of each stream that has its input: "audio" and "video"."""
        shapes = {"audio": (self.n_mfcc, None), "video": (None, 3, None, None)}
        inputs = given(self.modality, shapes, audio=audio, video=video)
        decisions = {}
        if "video" in inputs:
            decisions["video"] = self.visual(inputs["video"])
        if "audio" in inputs:
            decisions["audio"] = self.audio(inputs["audio"])
        return decisions


PARTS = (SpeechNetwork, FaceNetwork, ghostnet)  # which `Lu` passes its further options on to


def example_inputs(
    batch: int = 2,
    *,
    modality: str = "both",
    n_mfcc: int = 40,
    steps: int = 100,
    frames: int = FRAMES,
    size: int = IMAGE,
) -> dict[str, Tensor]:
    """Return random inputs: ``audio (B, n_mfcc, steps)``, ``video (B, frames, 3, size, size)``."""
    return example_clips(modality, (batch, n_mfcc, steps), (batch, frames, 3, size, size))
