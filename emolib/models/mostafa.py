"""Mostafa et al.: Multimodal Deep Learning for Emotion Recognition Using Facial Images and Audio.

Two separate networks, one for a grey face of 48×48 pixels (Section III-A, FER2013) and one for the
mel spectrogram of an utterance (Section III-B, RAVDESS); the pretrained networks of Table III;
and a late fusion, which the title and Fig. 3 suggest but no table reports. Beside the paper's own
face network stands ours, `emolib.models.layers.residual_cnn`, at a fifth of the multiplications.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emolib.models.layers import (
    AUDIO_VISUAL,
    FUSIONS,
    ModelError,
    choose,
    example_clips,
    fuse,
    given,
    residual_cnn,
)

IMAGE = 48  # pixels on a side


# --- III-A image-based emotion recognition --------------------------------------------------------


def custom_cnn(
    n_classes: int = 7,
    *,
    channels: Sequence[int] = (32, 64, 128, 256),
    convs_per_block: int = 2,
    pooling: str = "average",
    dropout: float = 0.5,
) -> nn.Sequential:
    """Return the paper's face network: ``(B, 1, 48, 48)`` in [-1, 1] → logits.

    The paper lists the kinds of layers but no widths. Two 3×3 convolutions for each of 32, 64,
    128 and 256 channels make the ~1.2 M parameters of Table III (1,175,399 with seven classes).

    Parameters
    ----------
    channels
        Filters of each block ("increasing filter sizes").
    convs_per_block
        Convolutions, each with BN and ReLU, in front of a block's pooling.
    pooling
        "average" (the paper's) or "max".
    dropout
        Rate behind every pooling (0.5).
    """
    choose("pooling", pooling, ("average", "max"))
    layers: list[nn.Module] = []
    c_in = 1
    for c_out in channels:
        for _ in range(convs_per_block):
            layers += [nn.Conv2d(c_in, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU()]
            c_in = c_out
        layers.append(nn.AvgPool2d(2) if pooling == "average" else nn.MaxPool2d(2))
        layers.append(nn.Dropout(dropout))  # 24², 12², 6², 3²
    return nn.Sequential(
        *layers,
        nn.AdaptiveAvgPool2d(1),  # GlobalAveragePooling2D
        nn.Flatten(),  # (B, 256)
        nn.Linear(c_in, n_classes),
    )


# --- IV-C pretrained models -----------------------------------------------------------------------


class Pretrained(nn.Module):
    """VGG13 or ResNet50 of Table III: the convolutional part, mean over the map, a dense layer.

    Table III's "~9 M" and "~23 M" are these backbones without their ImageNet heads (9.40 M and
    23.51 M); VGG13 with its own head would have 133 M.

    Parameters
    ----------
    name
        "vgg13" or "resnet50".
    weights
        None starts at random; a name that torchvision knows ("IMAGENET1K_V1") downloads.
    dropout
        Rate before the dense layer.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, name: str, n_classes: int = 7, *, weights: str | None = None, dropout: float = 0.5
    ):
        super().__init__()
        from torchvision.models import get_model  # as slow to import as torch itself

        network = get_model(name, weights=weights)
        if name == "vgg13":
            self.backbone, width = network.features, 512
        else:
            width = network.fc.in_features  # 2048
            self.backbone = nn.Sequential(*list(network.children())[:-2])  # no pooling, no fc
        self.classify = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(width, n_classes)
        )
        # What ImageNet's weights expect of an RGB image in [0, 1].
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225])[:, None, None])

    def forward(self, video: Tensor) -> Tensor:
        """Return logits for grey faces ``(B, 1, H, W)`` in [-1, 1], shown as three channels."""
        rgb = ((video + 1) / 2).expand(-1, 3, -1, -1)
        return self.classify(self.backbone((rgb - self.mean) / self.std))


# Every design and the function that builds it from the number of classes and its own options.
DESIGNS: dict[str, Callable[..., nn.Module]] = {
    "custom": custom_cnn,
    "residual": residual_cnn,
    "vgg13": partial(Pretrained, "vgg13"),
    "resnet50": partial(Pretrained, "resnet50"),
}


# --- III-B audio-based emotion recognition --------------------------------------------------------


# The paper's speech network: mel spectrogram ``(B, 1, n_mels, T)`` → logits. "Several Conv2D layers
# with ReLU activation and pooling layers, dropout and batch normalization": one convolution a
# block here, with widths like those of the face network. Every block halves both axes, so that
# n_mels and T must be at least 2 to the number of blocks.
spectrogram_cnn = partial(custom_cnn, convs_per_block=1, pooling="max")


# --- late fusion ----------------------------------------------------------------------------------


def shared_classes(
    image_classes: Sequence[str], audio_classes: Sequence[str]
) -> tuple[tuple[str, ...], list[int], list[int]]:
    """Return the emotions both networks know, and their columns in either one's output.

    FER2013 has no calm, so its seven emotions and RAVDESS's eight share seven.

    Examples
    --------
    >>> shared_classes(("angry", "happy", "sad"), ("calm", "sad", "angry"))
    (('sad', 'angry'), [2, 0], [1, 2])
    """
    names = tuple(name for name in audio_classes if name in image_classes)
    if not names:
        raise ModelError(
            f"no emotion is in both {tuple(image_classes)} and {tuple(audio_classes)}: "
            "spell them alike"
        )
    return (
        names,
        [list(image_classes).index(name) for name in names],
        [list(audio_classes).index(name) for name in names],
    )


class Mostafa(nn.Module):
    """The face network, the speech network, or both with their decisions fused.

    Parameters
    ----------
    n_classes
        Columns of the logits: 7 for FER2013, 8 for RAVDESS; of both, the shared emotions.
    modality
        "video" (the face), "audio", or "both".
    design
        The face network: "custom" (the paper's), "residual" (ours), "vgg13" or "resnet50".
    fusion
        "arithmetic" mean of the probabilities, "geometric" mean, or "product". The paper names
        no rule; it asks for a simple and robust one.
    image_classes, audio_classes
        Names of the emotions that each network was trained for, in the order of its outputs.
        Each network then has its own number of outputs and the fusion keeps the shared ones, in
        the order of `audio_classes`; there must be `n_classes` of them. By default both
        networks know the same `n_classes` emotions.
    audio_channels, audio_dropout
        Filters of the speech network's blocks, and the rate behind each block's pooling.
    image
        Options of the face network's function: `custom_cnn`, `residual_cnn` or `Pretrained`.
    """

    def __init__(
        self,
        n_classes: int = 8,
        *,
        modality: str = "both",
        design: str = "custom",
        fusion: str = "arithmetic",
        image_classes: Sequence[str] | None = None,
        audio_classes: Sequence[str] | None = None,
        audio_channels: Sequence[int] = (32, 64, 128, 256),
        audio_dropout: float = 0.3,
        **image: Any,
    ):
        super().__init__()
        choose("modality", modality, AUDIO_VISUAL)
        choose("design", design, tuple(DESIGNS))
        choose("fusion", fusion, tuple(FUSIONS))
        self.modality, self.fusion = modality, fusion
        self.classes, self.of_image, self.of_audio = None, None, None
        n_image = n_audio = n_classes
        if image_classes is not None or audio_classes is not None:
            if modality != "both" or image_classes is None or audio_classes is None:
                raise ModelError(
                    "image_classes and audio_classes belong together and to modality='both': "
                    "give both, or neither"
                )
            self.classes, self.of_image, self.of_audio = shared_classes(
                image_classes, audio_classes
            )
            if len(self.classes) != n_classes:
                raise ModelError(
                    f"the networks share {len(self.classes)} emotions ({', '.join(self.classes)}) "
                    f"but n_classes is {n_classes}: set n_classes={len(self.classes)}"
                )
            n_image, n_audio = len(image_classes), len(audio_classes)
        if modality in ("video", "both"):
            self.image = DESIGNS[design](n_image, **image)
        if modality in ("audio", "both"):
            self.audio = spectrogram_cnn(n_audio, channels=audio_channels, dropout=audio_dropout)

    def forward(
        self, audio: Tensor | None = None, video: Tensor | None = None, text: Tensor | None = None
    ) -> Tensor:
        """Return logits; with modality "both", log-probabilities (which are logits too).

        Parameters
        ----------
        audio
            Mel spectrogram in decibel, normalised, ``(B, 1, n_mels, T)``.
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
        decisions = self.streams(audio, video)
        if len(decisions) == 2:
            return fuse(decisions["video"], decisions["audio"], self.fusion)
        return next(iter(decisions.values()))

    def streams(
        self, audio: Tensor | None = None, video: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return each stream's own decision: the two bars of Fig. 3.

        Of a unimodal network the logits; of both, log-probabilities over the shared emotions,
        each stream's summing to one.
        """
        shapes = {"audio": (1, None, None), "video": (1, None, None)}
        inputs = given(self.modality, shapes, audio=audio, video=video)
        decisions = {}
        if "video" in inputs:
            decisions["video"] = self._decide(self.image(inputs["video"]), self.of_image)
        if "audio" in inputs:
            decisions["audio"] = self._decide(self.audio(inputs["audio"]), self.of_audio)
        return decisions

    def _decide(self, logits: Tensor, columns: list[int] | None) -> Tensor:
        if self.modality != "both":
            return logits
        # The softmax over the shared columns alone renormalises: calm's share goes to the rest.
        return F.log_softmax(logits if columns is None else logits[:, columns], dim=-1)


PARTS = (custom_cnn, residual_cnn, Pretrained)  # which `Mostafa` passes further options on to


def example_inputs(
    batch: int = 2, *, modality: str = "both", n_mels: int = 64, steps: int = 128
) -> dict[str, Tensor]:
    """Return random inputs: ``audio (B, 1, n_mels, steps)`` and ``video (B, 1, 48, 48)``."""
    inputs = example_clips(modality, (batch, 1, n_mels, steps), (batch, 1, IMAGE, IMAGE))
    if "video" in inputs:
        inputs["video"] = 2 * inputs["video"] - 1
    return inputs
