"""Ishtiaq, Hashmi, Ali: Multimodal Emotion Recognition Using Depthwise CNN and GRU Encoders.

One sample is one clip: its mel spectrogram, a sequence of face frames, and its words. Section III
of the paper, top to bottom: A to C, an encoder for each modality (depthwise-separable CNN, then
GRU, whose final hidden state is the embedding); D, the MFusHER transformer that fuses the
embeddings; E, the classifier. ``design="heavy"`` is what the paper compares itself with and never
shows: standard convolutions with max pooling, LSTM and a deeper transformer, of the same widths.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emolib.models.layers import (
    ACTIVATIONS,
    MODALITIES,
    DepthwiseSeparable,
    ModelError,
    attend,
    choose,
    conv_bn,
    given,
    lose_a_modality,
    per_frame,
)

DESIGNS: dict[str, dict[str, Any]] = {
    "light": {"convolution": "separable", "downsample": "stride", "recurrent": "gru", "depth": 2},
    "heavy": {"convolution": "standard", "downsample": "pool", "recurrent": "lstm", "depth": 6},
}
# The paper gives no width at all; these are a reading, and what 85-90 % is tested with.
WIDTHS = (32, 64, 128, 256)
HIDDEN = 128
FRAMES, IMAGE = 6, 64


# --- words ----------------------------------------------------------------------------------------

# Every sentence that actors of RAVDESS (first two) and CREMA-D say.
SENTENCES = tuple(Path(__file__).with_name("sentences.txt").read_text("utf-8").splitlines())
PAD, UNKNOWN = 0, 1


def words(text: str) -> list[str]:
    """Return the words of a text in lower case; an apostrophe belongs to its word.

    Examples
    --------
    >>> words("It's eleven o'clock!")
    ["it's", 'eleven', "o'clock"]
    """
    return re.findall(r"[a-z]+(?:'[a-z]+)*", text.lower().replace("’", "'"))


VOCABULARY = ("<pad>", "<unknown>", *sorted({word for s in SENTENCES for word in words(s)}))


def tokenize(texts: Sequence[str], length: int | None = None) -> Tensor:
    """Return the words' numbers in `VOCABULARY`, ``(B, L)`` int64.

    The tokeniser splits at everything that is not a letter or an inner apostrophe, lowers the
    case, and looks the word up: 0 pads, 1 stands for a word that is not in the vocabulary. A
    text without words becomes a row of zeros, which the network takes for a missing modality.

    Parameters
    ----------
    texts
        Sentences.
    length
        L; by default the number of words of the longest text.

    Raises
    ------
    ModelError
        If a text has more words than `length`.

    Examples
    --------
    >>> tokenize(["Kids are talking by the door", "Dogs bark"]).tolist()
    [[33, 8, 48, 11, 50, 18], [16, 1, 0, 0, 0, 0]]
    """
    number = {word: i for i, word in enumerate(VOCABULARY)}
    rows = [[number.get(word, UNKNOWN) for word in words(text)] for text in texts]
    longest = max((len(row) for row in rows), default=0)
    length = max(longest, 1) if length is None else length
    if longest > length:
        text = next(t for t, row in zip(texts, rows, strict=True) if len(row) > length)
        raise ModelError(f"{text!r} has more than {length} words: raise length=")
    return torch.tensor([row + [PAD] * (length - len(row)) for row in rows], dtype=torch.int64)


# --- III-A lightweight modality encoders ----------------------------------------------------------


class StandardConv(nn.Sequential):
    """The convolution that III-A.1 decomposes, with BN and activation, without bias."""

    def __init__(
        self, c_in: int, c_out: int, *, stride: int | tuple[int, int] = 1, activation: str
    ):
        super().__init__(*conv_bn(c_in, c_out, 3, stride), ACTIVATIONS[activation]())


CONVOLUTIONS = {"separable": DepthwiseSeparable, "standard": StandardConv}
RECURRENT = {"gru": nn.GRU, "lstm": nn.LSTM}


def cnn(
    c_in: int,
    *,
    convolution: str,
    activation: str,
    steps: Sequence[int | tuple[int, int]],
    downsample: str,
    stem: str,
) -> nn.Sequential:
    """Return the CNN backbone (III-A.1): ``(B, c_in, H, W)`` → ``(B, 256, H', W')``.

    A 3×3 depthwise-separable layer has 1/C_out + 1/9 of a standard layer's weights; 1-32-64-
    128-256 has 45,065 instead of 387,360, 88.4 % fewer. One C_out = 256 layer saves 88.5 % and
    none can save 90 %, since 1 - 1/9 is 88.9 %.

    Parameters
    ----------
    steps
        By how much each layer shrinks height and width.
    downsample
        "stride": the 3×3 convolution takes these steps, as in MobileNet, the paper's [15];
        "pool": a max pooling behind the layer does, which keeps the widest maps four times as
        large and makes memory traffic, not arithmetic, what a step waits for.
    stem
        The first layer: MobileNet begins with a standard one, since a depthwise layer on a
        single channel is a single filter.
    """
    choose("convolution", convolution, tuple(CONVOLUTIONS))
    choose("stem", stem, tuple(CONVOLUTIONS))
    choose("activation", activation, tuple(ACTIVATIONS))
    choose("downsample", downsample, ("stride", "pool"))
    layers: list[nn.Module] = []
    kinds = (stem, *[convolution] * (len(WIDTHS) - 1))
    for kind, c_out, step in zip(kinds, WIDTHS, steps, strict=True):
        stride = step if downsample == "stride" else 1
        layers.append(CONVOLUTIONS[kind](c_in, c_out, stride=stride, activation=activation))
        if downsample == "pool":
            layers.append(nn.MaxPool2d(step))
        c_in = c_out
    return nn.Sequential(*layers)


class Temporal(nn.Module):
    """GRU or LSTM over a sequence; its final hidden state, brought to the fusion's width.

    ``pooling="mean"`` takes the mean of all hidden states instead: then what was said first need
    not be remembered to the end.
    """

    def __init__(self, c_in: int, d_model: int, recurrent: str, pooling: str = "last"):
        super().__init__()
        choose("recurrent", recurrent, tuple(RECURRENT))
        choose("pooling", pooling, ("last", "mean"))
        self.pooling = pooling
        self.recurrent = RECURRENT[recurrent](c_in, HIDDEN, batch_first=True)
        self.project = nn.Linear(HIDDEN, d_model)

    def forward(self, steps: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return embeddings ``(B, d_model)``.

        Parameters
        ----------
        steps
            Sequence ``(B, T, c_in)``.
        lengths
            How many steps of each sequence count, ``(B,)``, at least 1; by default all.
        """
        states, _ = self.recurrent(steps)  # (B, T, 128)
        if self.pooling == "mean":
            if lengths is None:
                return self.project(states.mean(dim=1))
            counts = torch.arange(states.shape[1], device=states.device) < lengths[:, None]
            return self.project((states * counts[..., None]).sum(dim=1) / lengths[:, None])
        if lengths is None:
            return self.project(states[:, -1])
        last = (lengths - 1)[:, None, None].expand(-1, 1, HIDDEN)
        return self.project(states.gather(1, last).squeeze(1))


class AudioEncoder(nn.Module):
    """III-B: the CNN sees patterns in frequency, the GRU how they change over time.

    Frequency is halved four times and then averaged; time is halved twice only, so that the
    recurrent layer still has a course of time to follow.
    """

    def __init__(self, d_model: int, *, recurrent: str, pooling: str, **visual):
        super().__init__()
        self.cnn = cnn(1, steps=(2, 2, (2, 1), (2, 1)), **visual)
        self.temporal = Temporal(WIDTHS[-1], d_model, recurrent, pooling)

    def forward(self, audio: Tensor) -> Tensor:
        """Return ``(B, d_model)`` for mel spectrograms ``(B, 1, n_mels, T)``."""
        maps = self.cnn(audio)  # (B, 256, n_mels/16, T/4)
        return self.temporal(maps.mean(dim=2).transpose(1, 2))  # (B, T/4, 256) → (B, d_model)


class VideoEncoder(nn.Module):
    """III-C: the CNN sees each face frame, the GRU how the expression changes."""

    def __init__(self, d_model: int, *, recurrent: str, pooling: str, colours: int, **visual):
        super().__init__()
        self.cnn = cnn(colours, steps=(2,) * 4, **visual)
        self.temporal = Temporal(WIDTHS[-1], d_model, recurrent, pooling)

    def forward(self, video: Tensor) -> Tensor:
        """Return ``(B, d_model)`` for face frames ``(B, F, C, H, W)``."""
        maps = per_frame(self.cnn, video)  # (B, F, 256, H/16, W/16)
        return self.temporal(maps.mean(dim=(3, 4)))  # (B, F, 256) → (B, d_model)


class TextEncoder(nn.Module):
    """Word embeddings and a GRU (a reading: the paper names text and says nothing of it)."""

    def __init__(
        self, d_model: int, *, recurrent: str, pooling: str, n_words: int, width: int = 64
    ):
        super().__init__()
        self.embed = nn.Embedding(n_words, width, padding_idx=PAD)
        self.temporal = Temporal(width, d_model, recurrent, pooling)

    def forward(self, text: Tensor) -> Tensor:
        """Return ``(B, d_model)`` for word numbers ``(B, L)``, zeros at the end."""
        lengths = (text != PAD).sum(dim=1).clamp(min=1)
        return self.temporal(self.embed(text), lengths)


# --- III-D multimodal fusion: the MFusHER transformer ---------------------------------------------


class MultiHead(nn.Module):
    """Multi-head attention whose weights can be looked at."""

    def __init__(self, d_model: int, heads: int):
        super().__init__()
        if d_model % heads:
            raise ModelError(f"d_model={d_model} does not divide into heads={heads}")
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(d_model, d_model) for _ in range(4))

    def forward(self, x: Tensor, context: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(B, L, d_model)`` and weights ``(B, heads, L, S)``.

        Parameters
        ----------
        x, context
            Tokens that ask ``(B, L, d_model)`` and are asked ``(B, S, d_model)``.
        present
            Bool ``(B, S)``: tokens that may be asked.
        """
        query, key, value = (
            layer(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, ·, d)
            for layer, tokens in ((self.query, x), (self.key, context), (self.value, context))
        )
        attended, weights = attend(query, key, value, present[:, None, None, :])
        return self.out(attended.transpose(1, 2).flatten(-2)), weights


class Layer(nn.Module):
    """A transformer layer: tokens look at others, then each passes a GELU network.

    Normalisation stands in front of each part, which trains from scratch without a warm-up.

    Parameters
    ----------
    look_at_each_other
        Attention among the tokens themselves.
    look_at_memory
        Attention to the encoder's tokens.
    """

    def __init__(
        self,
        d_model: int,
        heads: int,
        d_ff: int,
        dropout: float,
        *,
        look_at_each_other: bool = True,
        look_at_memory: bool = False,
    ):
        super().__init__()
        self.each_other = MultiHead(d_model, heads) if look_at_each_other else None
        self.memory = MultiHead(d_model, heads) if look_at_memory else None
        looks = {"each_other": look_at_each_other, "memory": look_at_memory, "feed": True}
        self.norms = nn.ModuleDict(
            {name: nn.LayerNorm(d_model) for name, used in looks.items() if used}
        )
        self.feed = nn.Sequential(nn.Linear(d_model, d_ff), nn.GELU(), nn.Linear(d_ff, d_model))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, present: Tensor, memory: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the tokens ``(B, L, d_model)`` and the weights of the last attention.

        `present` ``(B, S)`` says which tokens of `memory`, or of `x` without it, there are.
        """
        weights = x.new_zeros(0)
        if self.each_other is not None:
            tokens = self.norms["each_other"](x)
            among = present if self.memory is None else present.new_ones(x.shape[:2])
            attended, weights = self.each_other(tokens, tokens, among)
            x = x + self.dropout(attended)
        if self.memory is not None:
            attended, weights = self.memory(self.norms["memory"](x), memory, present)
            x = x + self.dropout(attended)
        return x + self.dropout(self.feed(self.norms["feed"](x))), weights


class MFusHER(nn.Module):
    """Encoder over the modalities' tokens, decoder from a learned query to them.

    Parameters
    ----------
    n_modalities
        Tokens; each gets a learned embedding that says which modality it is.
    depth
        Layers of the encoder, and as many of the decoder (2; the original has more).
    queries
        Learned queries of the decoder, averaged behind it. A single query has no other to look
        at, so its layers go straight to the encoder's tokens.
    """

    def __init__(
        self,
        n_modalities: int,
        d_model: int,
        *,
        depth: int,
        dropout: float,
        heads: int = 4,
        d_ff: int = 1024,
        queries: int = 1,
    ):
        super().__init__()
        self.modality = nn.Parameter(torch.randn(n_modalities, d_model) * 0.02)
        self.query = nn.Parameter(torch.randn(queries, d_model) * 0.02)
        sizes = (d_model, heads, d_ff, dropout)
        self.encoder = nn.ModuleList(Layer(*sizes) for _ in range(depth))
        self.decoder = nn.ModuleList(
            Layer(*sizes, look_at_each_other=queries > 1, look_at_memory=True) for _ in range(depth)
        )
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(d_model), nn.LayerNorm(d_model)

    def forward(self, tokens: Tensor, present: Tensor) -> tuple[Tensor, dict[str, list[Tensor]]]:
        """Return the fused representation ``(B, d_model)`` and all attention weights.

        Parameters
        ----------
        tokens
            One embedding a modality, ``(B, M, d_model)``.
        present
            Bool ``(B, M)``; a missing modality is never looked at.

        Returns
        -------
        Tensor, dict
            "encoder": for each layer ``(B, heads, M, M)``; "decoder": ``(B, heads, queries, M)``.
        """
        weights: dict[str, list[Tensor]] = {"encoder": [], "decoder": []}
        memory = tokens + self.modality
        for layer in self.encoder:
            memory, seen = layer(memory, present)
            weights["encoder"].append(seen)
        memory = self.encoder_norm(memory)
        x = self.query.expand(tokens.shape[0], -1, -1)  # (B, queries, d_model)
        for layer in self.decoder:
            x, seen = layer(x, present, memory)
            weights["decoder"].append(seen)
        return self.decoder_norm(x).mean(dim=1), weights


# --- the whole, III-E classification --------------------------------------------------------------


class Ishtiaq(nn.Module):
    """Modality encoders, MFusHER, and a fully connected classifier (Fig. 1).

    Parameters
    ----------
    n_classes
        8 for RAVDESS.
    modality
        "all" (the paper's audio, video and text), a pair: "both" (audio and video), "audio and
        text", "video and text"; or one of "audio", "video" and "text": its encoder with the
        classifier on its embedding, nothing to fuse.
    design
        "light" (the paper's) or "heavy" (what it replaces). The design decides the next three
        where they are None.
    convolution
        "separable" or "standard".
    recurrent
        "gru" or "lstm".
    depth
        Layers of the transformer's encoder and of its decoder: 2, or 6 in the heavy design.
    activation
        In the convolutions: "mish", "swish", "gelu" or "relu". (The transformer has GELU.)
    downsample
        "stride" or "pool", see `cnn`.
    stem
        "separable" or "standard", see `cnn`; by default like the other convolutions.
    pooling
        "last" (the paper's final hidden state) or "mean", see `Temporal`.
    colours
        Channels of a face frame: 1 (grey) or 3.
    n_words
        Size of the vocabulary.
    d_model, dropout, **fusion
        Width of the embeddings, and heads, d_ff and queries of `MFusHER`.
    modality_dropout
        Rate at which a training sample loses one of its modalities.
    """

    def __init__(
        self,
        n_classes: int = 8,
        *,
        modality: str = "all",
        design: str = "light",
        convolution: str | None = None,
        recurrent: str | None = None,
        depth: int | None = None,
        activation: str = "mish",
        downsample: str | None = None,
        stem: str | None = None,
        pooling: str = "last",
        colours: int = 1,
        n_words: int = len(VOCABULARY),
        d_model: int = 256,
        dropout: float = 0.2,
        modality_dropout: float = 0.0,
        **fusion: int,
    ):
        super().__init__()
        choose("modality", modality, tuple(MODALITIES))
        choose("design", design, tuple(DESIGNS))
        own = DESIGNS[design]
        convolution = convolution or own["convolution"]
        downsample = downsample or own["downsample"]
        recurrent = recurrent or own["recurrent"]
        self.modality, self.modality_dropout = modality, modality_dropout
        self.colours, self.modalities = colours, MODALITIES[modality]
        temporal: dict[str, Any] = {"recurrent": recurrent, "pooling": pooling}
        visual = temporal | {
            "convolution": convolution,
            "activation": activation,
            "downsample": downsample,
            "stem": stem or convolution,
        }
        encoders: dict[str, Callable[[], nn.Module]] = {
            "audio": partial(AudioEncoder, d_model, **visual),
            "video": partial(VideoEncoder, d_model, colours=colours, **visual),
            "text": partial(TextEncoder, d_model, n_words=n_words, **temporal),
        }
        self.encoders = nn.ModuleDict({name: encoders[name]() for name in self.modalities})
        self.fusion = None
        if len(self.modalities) > 1:
            depth = depth or own["depth"]
            self.fusion = MFusHER(
                len(self.modalities), d_model, depth=depth, dropout=dropout, **fusion
            )
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(d_model, n_classes)

    def forward(
        self,
        audio: Tensor | None = None,
        video: Tensor | None = None,
        text: Tensor | None = None,
        present: Tensor | None = None,
    ) -> Tensor:
        """Return logits ``(B, n_classes)``.

        Parameters
        ----------
        audio
            Mel spectrogram ``(B, 1, n_mels, T)``, normalised; n_mels ≥ 16, T ≥ 4.
        video
            Face frames ``(B, F, C, H, W)``; H, W ≥ 16.
        text
            Word numbers ``(B, L)`` of `tokenize`; a row of zeros is a missing text.
        present
            Bool ``(B, M)``: which of `modalities` each sample has; what a sample has not is
            masked in every attention. By default whatever is passed.

        Raises
        ------
        ModelError
            If a sample has no modality at all, or a tensor another shape.
        """
        return self._run(audio=audio, video=video, text=text, present=present)[0]

    def attention(self, **inputs: Tensor) -> dict[str, list[Tensor]]:
        """Return MFusHER's attention weights (see `MFusHER.forward`) of `forward`'s inputs."""
        return self._run(**inputs)[1]

    def _run(
        self, present: Tensor | None = None, **tensors: Tensor | None
    ) -> tuple[Tensor, dict[str, list[Tensor]]]:
        shapes = {
            "audio": (1, None, None),
            "video": (None, self.colours, None, None),
            "text": (None,),
        }
        known: dict[str, Any] = {name: tensors.get(name) for name in self.modalities}
        inputs = given(self.modality, shapes, **known)
        embeddings = {name: self.encoders[name](value) for name, value in inputs.items()}
        present = self._present(inputs, present)
        if self.fusion is None:
            return self.classify(self.dropout(embeddings[self.modality])), {}
        nothing = torch.zeros_like(next(iter(embeddings.values())))
        tokens = torch.stack(
            [embeddings.get(name, nothing) for name in self.modalities], dim=1
        )  # (B, M, d_model)
        fused, weights = self.fusion(tokens, present)
        return self.classify(self.dropout(fused)), weights

    def _present(self, inputs: dict[str, Tensor], present: Tensor | None) -> Tensor:
        """Return which modalities each sample has, ``(B, M)``; every sample has at least one."""
        rows, n = next(iter(inputs.values())).shape[0], len(self.modalities)
        if present is None:
            present = torch.ones(rows, n, dtype=torch.bool, device=self.classify.weight.device)
        elif present.shape != (rows, n):
            raise ModelError(
                f"present has shape {tuple(present.shape)}, expected ({rows}, {n}) for "
                f"{', '.join(self.modalities)}"
            )
        nowhere = torch.zeros_like(present[:, 0], dtype=torch.bool)
        here = dict.fromkeys(inputs, ~nowhere)
        if "text" in inputs:
            here["text"] = (inputs["text"] != PAD).any(dim=1)
        there = torch.stack([here.get(name, nowhere) for name in self.modalities], dim=1)
        present = present.bool() & there
        # An exported graph cannot look at values to refuse them.
        if not torch.compiler.is_compiling() and not present.any(dim=1).all():
            samples = (~present.any(dim=1)).nonzero().flatten().tolist()
            raise ModelError(f"samples {samples} have no modality at all: leave them out")
        if self.training and self.modality_dropout:
            present = lose_a_modality(present, self.modality_dropout)
        return present


PARTS = (MFusHER,)  # which `Ishtiaq` passes further options on to


def count_parts(model: Ishtiaq) -> dict[str, int]:
    """Return the parameters of each part of a network; they sum to its total.

    "convolution" is what the paper's 85-90 % is about: the weights of the convolutions alone,
    without the normalisation behind them or the recurrent layers, which do not shrink as much.

    Examples
    --------
    >>> light, heavy = (count_parts(Ishtiaq(design=d)) for d in ("light", "heavy"))
    >>> light["audio convolution"], heavy["audio convolution"]
    (45065, 387360)
    """
    kinds = (
        ("convolution", nn.Conv2d),
        ("normalisation", nn.BatchNorm2d),
        ("recurrent", (nn.GRU, nn.LSTM)),
        ("embedding", nn.Embedding),
        ("projection", nn.Linear),
    )
    parts = {}
    for name, encoder in model.encoders.items():
        for kind, types in kinds:
            layers = [m for m in encoder.modules() if isinstance(m, types)]
            if layers:
                parts[f"{name} {kind}"] = sum(p.numel() for m in layers for p in m.parameters())
    for name, part in (("fusion", model.fusion), ("classifier", model.classify)):
        if part is not None:
            parts[name] = sum(p.numel() for p in part.parameters())
    return parts


def example_inputs(
    batch: int = 2,
    *,
    modality: str = "all",
    colours: int = 1,
    n_mels: int = 64,
    steps: int = 128,
    frames: int = FRAMES,
    size: int = IMAGE,
) -> dict[str, Tensor]:
    """Return random inputs of RAVDESS's two sentences.

    ``audio (B, 1, n_mels, steps)``, ``video (B, frames, colours, size, size)`` in [0, 1],
    ``text (B, 6)``.
    """
    loudness, brightness = torch.randn(batch, 1, 1, 1), torch.rand(batch, 1, 1, 1, 1)
    inputs = {
        "audio": loudness + torch.randn(batch, 1, n_mels, steps),
        "video": brightness * torch.rand(batch, frames, colours, size, size),
        "text": tokenize([SENTENCES[i % 2] for i in range(batch)], length=6),
    }
    return {name: inputs[name] for name in MODALITIES[modality]}
