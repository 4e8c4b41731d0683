"""The network the five papers should have been: what held of them, and what is known to work.

A voice is a spectrogram whose bands a linear layer gathers into cepstra (it begins as the cosine
transform of Ding's and Lu's MFCC, and may leave it), two LSTMs, the first of which adds to what it
heard, and a look back over time that weighs every moment (attentive statistics: Okabe et al. 2018).
The two LSTMs are those of ResLSTM-SA (Krasnoproshin 2026), the best small network that others have
published; ``design="reslstm"`` is that network itself, rebuilt from its description to be trained
under the same rules, and ``design="convolutional"`` is the one that lost against both on the
validation actors. A face is Mostafa's task with the residual network of `emolib.models.layers`.
Both together decide by the product of their answers, Lu's rule squared: it has nothing to train.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emolib.models.layers import (
    AUDIO_VISUAL,
    choose,
    conv_bn,
    example_clips,
    fuse,
    given,
    residual_cnn,
)

IMAGE = 48  # pixels on a side
BANDS = 64
POOLINGS = ("attention", "mean")
#: By how much the convolutions behind the first shrink height (bands) and width (time).
STRIDES = ((2, 1), (2, 2), (2, 1))


# --- voices ---------------------------------------------------------------------------------------


def cosines(n: int, bands: int = BANDS) -> Tensor:
    """Return the first rows of the orthonormal DCT-II, (n, bands): cepstra of decibels."""
    row, column = torch.arange(n)[:, None], torch.arange(bands)[None]
    values = torch.cos(math.pi * row * (2 * column + 1) / (2 * bands)) * math.sqrt(2 / bands)
    values[0] /= math.sqrt(2)
    return values


class AttentiveStatistics(nn.Module):
    """Mean and deviation over time, each moment weighed by how telling it looks."""

    def __init__(self, width: int, hidden: int = 16):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, 1))

    def forward(self, steps: Tensor) -> Tensor:
        """Return ``(B, 2·width)`` for ``(B, T, width)``."""
        weights = self.score(steps).softmax(dim=1)  # (B, T, 1)
        mean = (weights * steps).sum(dim=1)
        variance = (weights * (steps - mean[:, None]) ** 2).sum(dim=1)
        return torch.cat([mean, (variance + 1e-5).sqrt()], dim=1)


class Statistics(nn.Module):
    """Mean and deviation over time, every moment alike."""

    def forward(self, steps: Tensor) -> Tensor:
        """Return ``(B, 2·width)`` for ``(B, T, width)``."""
        spread = (steps.var(dim=1, correction=0) + 1e-5).sqrt()
        return torch.cat([steps.mean(dim=1), spread], dim=1)


class Voice(nn.Module):
    """Our voice network: ``(B, 1, 64, T)`` → logits, 45,321 parameters for eight emotions.

    Parameters
    ----------
    cepstra
        Numbers a frame that the bands are gathered into, and width of the first LSTM.
    hidden
        Width of the second LSTM.
    pooling
        "attention" or "mean", over time.
    voice_dropout
        Rate before the dense layer; half of it before the first LSTM.
    """

    def __init__(
        self,
        n_classes: int = 8,
        *,
        cepstra: int = 40,
        hidden: int = 64,
        pooling: str = "attention",
        voice_dropout: float = 0.3,
    ):
        super().__init__()
        choose("pooling", pooling, POOLINGS)
        self.gather = nn.Linear(BANDS, cepstra, bias=False)
        self.gather.weight.data.copy_(cosines(cepstra))
        self.heard = nn.BatchNorm1d(cepstra)
        self.quiet = nn.Dropout(voice_dropout / 2)
        self.same = nn.LSTM(cepstra, cepstra, batch_first=True)
        self.between = nn.BatchNorm1d(cepstra)
        self.last = nn.LSTM(cepstra, hidden, batch_first=True)
        self.pool = AttentiveStatistics(hidden) if pooling == "attention" else Statistics()
        self.classify = nn.Sequential(
            nn.BatchNorm1d(2 * hidden), nn.Dropout(voice_dropout), nn.Linear(2 * hidden, n_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(B, n_classes)``."""
        steps = self.gather(x.squeeze(1).transpose(1, 2))  # (B, T, cepstra)
        steps = self.quiet(over_channels(self.heard, steps))
        steps = over_channels(self.between, steps + self.same(steps)[0])
        states, _ = self.last(steps)  # (B, T, hidden)
        return self.classify(self.pool(states))


def over_channels(norm: nn.BatchNorm1d, steps: Tensor) -> Tensor:
    """Apply a batch normalisation to the channels of ``(B, T, C)``."""
    return norm(steps.transpose(1, 2)).transpose(1, 2)


class Residual(nn.Module):
    """One 3×3 convolution beside a 1×1 that lets the input pass; both shrink by `stride`."""

    def __init__(self, c_in: int, c_out: int, stride: tuple[int, int]):
        super().__init__()
        self.body = nn.Sequential(*conv_bn(c_in, c_out, 3, stride))
        self.shortcut = nn.Sequential(nn.AvgPool2d(stride), nn.Conv2d(c_in, c_out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, c_out, H/stride, W/stride)`` for ``(B, c_in, H, W)``."""
        return F.relu(self.body(x) + self.shortcut(x))


class ConvolutionalVoice(nn.Module):
    """A spectrogram and its two changes in time through four convolutions, (B, 1, 64, T) → logits.

    Parameters
    ----------
    widths
        Channels of the first convolution and of the residual ones.
    bins
        Bands that are kept apart at the end, low from high.
    voice_dropout
        Rate before the pooling and before the dense layer.
    """

    def __init__(self, n_classes: int = 8, *, widths: Sequence[int] = (16, 24, 40, 56),
                 bins: int = 2, voice_dropout: float = 0.2):  # fmt: skip
        super().__init__()
        self.bins = bins
        self.first = nn.Sequential(*conv_bn(3, widths[0], 5, 2), nn.ReLU())
        steps = zip(widths, widths[1:], STRIDES, strict=False)
        self.blocks = nn.Sequential(*(Residual(*step) for step in steps))
        self.pool = AttentiveStatistics(widths[-1] * bins)
        self.dropout = nn.Dropout(voice_dropout)
        self.classify = nn.Linear(2 * widths[-1] * bins, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(B, n_classes)``."""
        maps = self.blocks(self.first(with_deltas(x)))  # (B, C, 64/16, T/4)
        parts = maps.unflatten(2, (self.bins, -1)).mean(dim=3)  # (B, C, bins, T/4)
        steps = self.dropout(parts.flatten(1, 2).transpose(1, 2))  # (B, T/4, C·bins)
        return self.classify(self.dropout(self.pool(steps)))


def with_deltas(x: Tensor) -> Tensor:
    """Return a spectrogram ``(B, 1, H, T)`` with its first and second change in time, (B, 3, H, T).

    A change is half the difference between the next frame and the one before; the edge stands for
    what would lie beyond it.
    """

    def change(values: Tensor) -> Tensor:
        later = torch.cat([values[..., 1:], values[..., -1:]], dim=-1)
        earlier = torch.cat([values[..., :1], values[..., :-1]], dim=-1)
        return (later - earlier) / 2

    first = change(x)
    return torch.cat([x, first, change(first)], dim=1)


class ResLSTM(nn.Module):
    """ResLSTM-SA as its authors describe it: ``(B, 1, features, T)`` → logits.

    An LSTM whose output is added to its input, a second one, one vector of soft attention over
    time. With 46 features (34 cepstral coefficients, 12 of chroma), `hidden` 64 and eight emotions
    it has 46,772 weights that are trained or kept.
    """

    def __init__(self, n_classes: int = 8, *, features: int = 46, hidden: int = 64,
                 voice_dropout: float = 0.2):  # fmt: skip
        super().__init__()
        self.same = nn.LSTM(features, features, batch_first=True)
        self.first_norm = nn.BatchNorm1d(features)
        self.narrow = nn.LSTM(features, hidden, batch_first=True)
        self.score = nn.Linear(hidden, 1, bias=False)
        self.second_norm = nn.BatchNorm1d(hidden)
        self.dropout = nn.Dropout(voice_dropout)
        self.classify = nn.Linear(hidden, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(B, n_classes)``."""
        steps = x.squeeze(1).transpose(1, 2)  # (B, T, features)
        steps = steps + self.same(steps)[0]
        steps = over_channels(self.first_norm, steps)
        states, _ = self.narrow(steps)  # (B, T, hidden)
        weights = self.score(states).softmax(dim=1)
        seen = (weights * states).sum(dim=1)
        return self.classify(self.dropout(self.second_norm(seen)))


VOICES: dict[str, Any] = {"ours": Voice, "convolutional": ConvolutionalVoice, "reslstm": ResLSTM}


# --- the whole ------------------------------------------------------------------------------------


class Own(nn.Module):
    """Our voice network, our face network, or both with their answers multiplied.

    Parameters
    ----------
    n_classes
        Columns of the logits.
    modality
        "audio", "video" (the face) or "both".
    design
        The voice network: "ours" (`Voice`), "convolutional" (`ConvolutionalVoice`) or "reslstm"
        (`ResLSTM`).
    options
        Of the voice network, and of the face network, `emolib.models.layers.residual_cnn`.
    """

    def __init__(
        self, n_classes: int = 8, *, modality: str = "both", design: str = "ours", **options: Any
    ):
        super().__init__()
        choose("modality", modality, AUDIO_VISUAL)
        choose("design", design, tuple(VOICES))
        self.modality = modality
        own = VOICES[design].__init__.__kwdefaults__
        of_voice = {name: value for name, value in options.items() if name in own}
        of_face = {name: value for name, value in options.items() if name not in own}
        if modality != "video":
            self.voice = VOICES[design](n_classes, **of_voice)
        if modality != "audio":
            self.face = residual_cnn(n_classes, **of_face)

    def forward(
        self, audio: Tensor | None = None, video: Tensor | None = None, text: Tensor | None = None
    ) -> Tensor:
        """Return logits; of both modalities the log-probabilities of their product.

        Parameters
        ----------
        audio
            What the voice network hears, ``(B, 1, features, T)``: 64 mel bands; of the network of
            others 46 numbers a frame.
        video
            Grey face in [-1, 1], ``(B, 1, 48, 48)``.
        text
            Ignored, as is the modality that a unimodal network was built without.

        Raises
        ------
        ModelError
            If nothing that the network was built for is there, or has another shape. A network
            of both modalities decides by one of them where the other is missing.
        """
        shapes = {"audio": (1, None, None), "video": (1, None, None)}
        inputs = given(self.modality, shapes, audio=audio, video=video)
        logits = [
            network(inputs[name])
            for name, network in (("audio", "voice"), ("video", "face"))
            if name in inputs
            for network in [getattr(self, network)]
        ]
        if self.modality != "both":
            return logits[0]
        shares = [F.log_softmax(one, dim=-1) for one in logits]
        return fuse(shares[0], shares[1], "product") if len(shares) == 2 else shares[0]


PARTS = (
    Voice,
    ConvolutionalVoice,
    ResLSTM,
    residual_cnn,
)  # to which `Own` passes further options on


def example_inputs(
    batch: int = 2, *, modality: str = "both", design: str = "ours", features: int = 46
) -> dict[str, Tensor]:
    """Return random inputs: ``audio (B, 1, 64, 64)`` and ``video (B, 1, 48, 48)``.

    The network of others takes ``audio (B, 1, features, 64)``.
    """
    rows = features if design == "reslstm" else 64
    inputs = example_clips(modality, (batch, 1, rows, 64), (batch, 1, IMAGE, IMAGE))
    if "video" in inputs:
        inputs["video"] = 2 * inputs["video"] - 1
    return inputs
