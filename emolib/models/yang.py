"""Yang, Lv, Liu: Dual-Stream MFCC-MobileNetV2 Architecture.

One sample is one clip: F faces of 224×224 pixels and the MFCC (made with the fractional Fourier
transform, `emolib.features.frft`) of 3.6 s of sound. Section III-B of the paper, top to bottom:
MobileNetV2 and a temporal network of Conv1d blocks on the frames (Table I), the same kind of
blocks with pooling on the MFCC (Table II), concatenation along the feature dimension, four more
blocks, attention (eq. 4 to 7), and a linear classifier.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emolib.models.layers import (
    AUDIO_VISUAL,
    ModelError,
    attend,
    choose,
    example_clips,
    given,
    lose_a_modality,
    per_frame,
)

FUSIONS = ("attention", "concatenation", "intermediate")
FRAMES, IMAGE = 15, 224

# Filters of the Conv1d layers: Table I (visual), Table II (audio), and behind the concatenation,
# where the paper gives the number of blocks but not their width (a reading).
VISUAL = (64, 64, 128, 128)
AUDIO = (64, 64, 64, 64)
FUSED = (128, 128, 128, 128)

# The rungs of Tables V and VII: the features of the audio stream, and options of the network. Each
# rung changes one thing. (Which face network the first has, the paper does not say.)
LADDER = (
    ("mfcc", {"spatial": "shufflenetv2", "fusion": "intermediate", "residual": False}),
    ("mfcc", {"spatial": "mobilenetv2", "fusion": "intermediate", "residual": False}),
    ("mfcc", {"spatial": "mobilenetv2", "fusion": "attention", "residual": False}),
    ("frft-mfcc", {"spatial": "mobilenetv2", "fusion": "attention", "residual": False}),
    ("frft-mfcc", {"spatial": "mobilenetv2", "fusion": "attention", "residual": True}),
)


# --- III-B Conv1d blocks, plain and residual (Fig. 3) ---------------------------------------------


class ConvBlock(nn.Module):
    """Conv1d (k = 3) + BN + ReLU, as in Tables I and II, with a shortcut if residual.

    The tables list the plain layers; the text and Fig. 3 make each of them a residual block. The
    shortcut is the identity, or a 1×1 convolution where the number of channels changes.

    Parameters
    ----------
    pool
        Halve the length behind the block (Table II).
    """

    def __init__(self, c_in: int, c_out: int, *, residual: bool, pool: bool = False):
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(c_in, c_out, 3, padding=1), nn.BatchNorm1d(c_out))
        self.shortcut = None
        if residual:
            self.shortcut = nn.Identity() if c_in == c_out else nn.Conv1d(c_in, c_out, 1)
        # The last, odd step of a sequence is kept: a clip of few frames must not vanish.
        self.pool = nn.MaxPool1d(2, ceil_mode=True) if pool else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, c_out, T)`` for ``(B, c_in, T)``, or half as long if it pools."""
        y = self.body(x)
        return self.pool(F.relu(y if self.shortcut is None else y + self.shortcut(x)))


def conv_blocks(
    c_in: int, widths: tuple[int, ...], *, residual: bool, pool: bool = False
) -> nn.Sequential:
    """Return one block for each width."""
    blocks = []
    for c_out in widths:
        blocks.append(ConvBlock(c_in, c_out, residual=residual, pool=pool))
        c_in = c_out
    return nn.Sequential(*blocks)


# --- III-B.1 video: spatial features of each frame ------------------------------------------------


class Spatial(nn.Module):
    """A face network without its classifier, and the mean over its last map.

    Parameters
    ----------
    name
        "mobilenetv2" (the paper's; 2,223,872 parameters) or "shufflenetv2", which EfficientFace,
        the branch that Table I is named after, was made from; it stands in for the first row
        of Tables V and VII, where MobileNetV2 is missing.
    weights
        None starts at random; a name that torchvision knows ("IMAGENET1K_V1") downloads.
    """

    WIDTHS = {"mobilenetv2": 1280, "shufflenetv2": 1024}  # noqa: RUF012

    def __init__(self, name: str = "mobilenetv2", weights: str | None = None):
        super().__init__()
        from torchvision import models  # as slow to import as torch itself

        if name == "mobilenetv2":
            self.features = models.mobilenet_v2(weights=weights).features
        else:
            network = models.shufflenet_v2_x1_0(weights=weights)
            self.features = nn.Sequential(*list(network.children())[:-1])  # no fc
        if weights is None:
            # torchvision takes a depthwise kernel for one that sums over all channels and starts
            # it so small that an untrained network shows nothing of its input.
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, frames: Tensor) -> Tensor:
        """Return ``(B, 1280)`` for frames ``(B, 3, H, W)``."""
        return self.features(frames).mean(dim=(2, 3))


# --- III-B.3 fusion -------------------------------------------------------------------------------


class Attention(nn.Module):
    """Scaled dot-product attention over time, eq. 4 to 7: W^Q, W^K, W^V without biases.

    Parameters
    ----------
    d
        Length of the feature at each step.
    """

    def __init__(self, d: int):
        super().__init__()
        # eq. 4 to 6
        self.query, self.key, self.value = (nn.Linear(d, d, bias=False) for _ in range(3))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return attended steps ``(B, T, d)`` and weights ``(B, T, S)``, whose rows sum to one.

        Parameters
        ----------
        x
            Steps that ask, ``(B, T, d)``.
        context
            Steps that are asked, ``(B, S, d)``; `x` itself by default.
        """
        context = x if context is None else context
        return attend(self.query(x), self.key(context), self.value(context))  # eq. 7


class Yang(nn.Module):
    """The dual-stream network of Fig. 1, or one of its streams with its own predictor.

    Parameters
    ----------
    n_classes
        8 for RAVDESS, 6 for CREMA-D.
    modality
        "both", or one stream alone: Table I or II with its Predict row.
    fusion
        "attention": concatenate the streams at every step, four Conv1d blocks, attention over
        the steps (the method: "feature-level fusion (based on attention mechanism)").
        "concatenation": the same without attention ("direct feature concatenation", as the
        discussion of Table V has it). "intermediate": behind stage 1 each stream attends to the
        other by eq. 4 to 7 and goes through its own stage 2, then both are pooled and joined
        (the "intermediate feature fusion" of Tables V and VII; how is a reading).
    residual
        Conv1d blocks with a shortcut (the method, "+Conv1D" in Table V) or plain.
    spatial
        "mobilenetv2", "shufflenetv2" (see `Spatial`), or "features" for a network that is
        given a frozen face network's features of every frame instead of the frames.
    spatial_width
        Length of those features: 1280 for MobileNetV2, 1024 for ShuffleNetV2.
    weights, freeze
        Pretrained weights of the face network (see `Spatial`), and whether it stays as it is:
        then it gets no gradient and its batch normalisation keeps its statistics.
    n_mfcc
        Rows of the MFCC; the paper does not say how many.
    modality_dropout
        Rate at which a training sample loses one of its modalities.
    dropout
        Rate before the classifier.
    """

    def __init__(
        self,
        n_classes: int = 8,
        *,
        modality: str = "both",
        fusion: str = "attention",
        residual: bool = True,
        spatial: str = "mobilenetv2",
        spatial_width: int = Spatial.WIDTHS["mobilenetv2"],
        weights: str | None = None,
        freeze: bool = False,
        n_mfcc: int = 10,
        modality_dropout: float = 0.0,
        dropout: float = 0.0,
    ):
        super().__init__()
        choose("modality", modality, AUDIO_VISUAL)
        choose("fusion", fusion, FUSIONS)
        choose("spatial", spatial, ("features", *Spatial.WIDTHS))
        self.modality, self.n_mfcc, self.modality_dropout = modality, n_mfcc, modality_dropout
        self.fusion = fusion if modality == "both" else None
        self.freeze = freeze
        self.spatial: Spatial | None = None
        self.width = Spatial.WIDTHS.get(spatial, spatial_width)
        if modality in ("video", "both"):
            if spatial != "features":
                self.spatial = Spatial(spatial, weights).requires_grad_(not freeze)
            self.visual = conv_blocks(self.width, VISUAL, residual=residual)  # Table I
        if modality in ("audio", "both"):
            self.audio = conv_blocks(n_mfcc, AUDIO, residual=residual, pool=True)  # Table II

        joint = VISUAL[-1] + AUDIO[-1]  # 192
        if self.fusion == "intermediate":
            self.video_attends = Attention(VISUAL[1])  # behind stage 1 both are 64 wide
            self.audio_attends = Attention(AUDIO[1])
        elif self.fusion is not None:
            self.joint = conv_blocks(joint, FUSED, residual=residual)
            self.attend = Attention(FUSED[-1]) if self.fusion == "attention" else None
        alone = VISUAL[-1] if modality == "video" else AUDIO[-1]
        width = {None: alone, "intermediate": joint}.get(self.fusion, FUSED[-1])
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(width, n_classes)

    def train(self, mode: bool = True) -> "Yang":
        """Switch to training; a frozen face network stays in evaluation."""
        super().train(mode)
        if self.freeze and self.spatial is not None:
            self.spatial.eval()
        return self

    def forward(
        self, audio: Tensor | None = None, video: Tensor | None = None, text: Tensor | None = None
    ) -> Tensor:
        """Return logits ``(B, n_classes)``.

        Parameters
        ----------
        audio
            MFCC ``(B, n_mfcc, T)``.
        video
            Faces ``(B, F, 3, H, W)``, normalised as the face network's weights ask, or the
            face network's features ``(B, F, spatial_width)``.
        text
            Ignored, as is the modality that a unimodal network was built without.

        Raises
        ------
        ModelError
            If nothing that the network was built for is there, or has another shape. In a
            network of both, a missing stream is silent: its features are zeros, as under
            modality dropout, without which in training it will not have learned to cope.
        """
        return self._run(audio, video)[0]

    def attention(
        self, audio: Tensor | None = None, video: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the attention weights of eq. 7, for looking at.

        Returns
        -------
        dict
            fusion="attention": "steps" ``(B, F, F)``, how much each step of the joint sequence
            looks at each other one. "intermediate": "video_to_audio" ``(B, F, T/4)`` and
            "audio_to_video" ``(B, T/4, F)``. Rows sum to one. Otherwise nothing.
        """
        return self._run(audio, video)[1]

    def spatial_features(self, video: Tensor) -> Tensor:
        """Return the face network's features: ``(B, F, 3, H, W)`` → ``(B, F, 1280)``.

        What a network with ``spatial="features"`` takes as its video.
        """
        if self.spatial is None:
            raise ModelError("spatial='features' takes the features of a face network: it has none")
        return per_frame(self.spatial, video)

    def _run(self, audio: Tensor | None, video: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        inputs = self._inputs(audio, video)
        if self.modality == "audio":
            return self._predict(self.audio(inputs["audio"])), {}  # Table II
        if self.modality == "video":
            return self._predict(self.visual(inputs["video"])), {}  # Table I
        if self.fusion == "intermediate":
            return self._fuse_intermediate(inputs)
        return self._fuse_features(inputs)

    def _inputs(self, audio: Tensor | None, video: Tensor | None) -> dict[str, Tensor]:
        """Check what is given and return the MFCC and the frames' features ``(B, 1280, F)``."""
        features = self.spatial is None
        video_shape = (None, self.width) if features else (None, 3, None, None)
        shapes = {"audio": (self.n_mfcc, None), "video": video_shape}
        inputs = given(self.modality, shapes, audio=audio, video=video)
        if "video" in inputs:
            frames = inputs["video"] if features else self.spatial_features(inputs["video"])
            inputs["video"] = frames.transpose(1, 2)  # (B, 1280, F)
        return inputs

    def _streams(
        self, inputs: dict[str, Tensor], **networks: tuple[nn.Module, int]
    ) -> tuple[Tensor, Tensor]:
        """Return both streams behind their networks, whose widths are given.

        A missing stream is zeros of the other's length, and so is, in training, one that
        modality dropout takes from a sample.
        """
        reference = next(iter(inputs.values()))
        present = torch.tensor([name in inputs for name in networks], device=reference.device)
        present = present.expand(len(reference), 2)
        if self.training and self.modality_dropout:
            present = lose_a_modality(present, self.modality_dropout)
        there = present.to(reference.dtype)[:, :, None, None]  # (B, 2, 1, 1), 0 or 1
        streams = {name: networks[name][0](value) for name, value in inputs.items()}
        length = next(iter(streams.values())).shape[-1]
        for name, (_, width) in networks.items():
            streams.setdefault(name, reference.new_zeros(len(reference), width, length))
        return streams["audio"] * there[:, 0], streams["video"] * there[:, 1]

    def _fuse_features(self, inputs: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        a, v = self._streams(
            inputs, audio=(self.audio, AUDIO[-1]), video=(self.visual, VISUAL[-1])
        )  # (B, 64, T/16), (B, 128, F)
        # The paper concatenates "along the feature dimension" and convolves "along the temporal
        # dimension", which needs sequences of one length: the audio is resampled to the frames.
        a = F.interpolate(a, size=v.shape[-1], mode="linear", align_corners=False)  # (B, 64, F)
        joint = self.joint(torch.cat([a, v], dim=1))  # (B, 192, F) → (B, 128, F)
        if self.attend is None:
            return self._predict(joint), {}
        attended, weights = self.attend(joint.transpose(1, 2))  # (B, F, 128), (B, F, F)
        return self._predict(attended.transpose(1, 2)), {"steps": weights}

    def _fuse_intermediate(self, inputs: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        a, v = self._streams(
            inputs, audio=(self.audio[:2], AUDIO[1]), video=(self.visual[:2], VISUAL[1])
        )  # stage 1: (B, 64, T/4), (B, 64, F)
        a_steps, v_steps = a.transpose(1, 2), v.transpose(1, 2)
        of_audio, video_to_audio = self.video_attends(v_steps, a_steps)  # (B, F, 64)
        of_video, audio_to_video = self.audio_attends(a_steps, v_steps)  # (B, T/4, 64)
        v = self.visual[2:](v + of_audio.transpose(1, 2))  # stage 2: (B, 128, F)
        a = self.audio[2:](a + of_video.transpose(1, 2))  # (B, 64, T/16)
        pooled = torch.cat([a.mean(dim=2), v.mean(dim=2)], dim=1)  # (B, 192)
        weights = {"video_to_audio": video_to_audio, "audio_to_video": audio_to_video}
        return self.classify(self.dropout(pooled)), weights

    def _predict(self, x: Tensor) -> Tensor:
        """Return logits for a sequence ``(B, C, T)``: global average pooling + linear."""
        return self.classify(self.dropout(x.mean(dim=2)))


def example_inputs(
    batch: int = 2,
    *,
    modality: str = "both",
    spatial: str = "mobilenetv2",
    spatial_width: int = Spatial.WIDTHS["mobilenetv2"],
    n_mfcc: int = 10,
    steps: int = 311,
    frames: int = FRAMES,
    size: int = IMAGE,
) -> dict[str, Tensor]:
    """Return random inputs: ``audio (B, n_mfcc, steps)``, ``video (B, frames, 3, size, size)``.

    With ``spatial="features"`` the video is ``(B, frames, spatial_width)``. 311 steps are the 3.6 s
    of `emolib.features.frft.FrftMfcc`.
    """
    sound, pictures = (batch, n_mfcc, steps), (batch, frames, 3, size, size)
    if spatial == "features" and modality != "audio":
        known = {} if modality == "video" else example_clips("audio", sound, pictures)
        return known | {"video": torch.rand(batch, frames, spatial_width)}
    return example_clips(modality, sound, pictures)
