"""Ding, Tang, Lu: Lightweight Spatio-Temporal CNN for Audio-Visual Emotion Recognition.

One sample is one sixth of a clip: a grey face of 64×64 pixels and the 40 MFCC of the same
sixth, averaged over time. Section III of the paper, top to bottom; the numbers #1 to #17 are the
layers of its Fig. 3.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from emolib.models.layers import AUDIO_VISUAL, ModelError, choose, given

IMAGE = 64  # pixels on a side (Section III-A)
_P: dict[str, int | str] = {"valid": 0, "same": "same"}  # P of eq. 6


def branch(
    convolution: type[nn.Module],
    pooling: type[nn.Module],
    channels: Sequence[int],
    kernel: int,
    padding: str,
    dropout: float,
) -> nn.Sequential:
    """Return III-A, spatial modelling, or III-B, temporal features, flattened to ``(B, width)``.

    Each convolution is paired with a ReLU (eq. 5) and halved by max pooling (eq. 6, whose
    quotient has to be rounded down). The 1D kernel slides over the cepstral index: the MFCC were
    averaged over time before, so no time is left to convolve over.

    =====================  =======================  ========================
    layer                  III-A: face              III-B: MFCC
    =====================  =======================  ========================
    input                  #1: (B, 1, 64, 64)       #9: (B, 1, 40)
    convolution            #2: (B, 16, 62, 62)      #10: (B, 16, 36)
    pooling                #3: (B, 16, 31, 31)      #11: (B, 16, 18)
    convolution            #4: (B, 32, 29, 29)      #12: (B, 32, 14)
    pooling                #5: (B, 32, 14, 14)      #13: (B, 32, 7)
    convolution            #6: (B, 64, 12, 12)
    pooling                #7: (B, 64, 6, 6)
    dropout, flattening    #8: Z_spatial (B, 2304)  #14: Z_temporal (B, 224)
    =====================  =======================  ========================
    """
    layers: list[nn.Module] = []
    for c_in, c_out in pairwise((1, *channels)):
        layers += [convolution(c_in, c_out, kernel, padding=_P[padding]), nn.ReLU(), pooling(2)]
    return nn.Sequential(*layers, nn.Dropout(dropout), nn.Flatten())


class Ding(nn.Module):
    """The spatio-temporal network of Fig. 3: 2D CNN on a face ∥ 1D CNN on MFCC, concatenated.

    Parameters
    ----------
    n_classes
        Neurons of the last dense layer: 8 for RAVDESS and MEAD, 7 for SAVEE.
    hidden
        Neurons of the first dense layer: 16 for RAVDESS and MEAD, 14 for SAVEE.
    dropout
        One rate for all dropout layers: 0.4 for RAVDESS, 0.3 for MEAD, 0.5 for SAVEE.
    modality
        "both", or one branch alone with the same head (the modality ablation).
    audio_kernel, video_kernel
        Kernel of every convolution of a branch, 2 to 12 in the ablation. Without padding
        the largest video kernel that leaves anything of a 64×64 face is 9.
    padding
        "valid" (the paper's P = 0) or "same".
    n_mfcc
        Length of the MFCC vector.
    hidden_activation
        Equation 8 is linear as printed, but its text calls φ₁ "non-linear activation values":
        by default a ReLU follows the first dense layer; False takes the equation at its word.
    """

    def __init__(
        self,
        n_classes: int = 8,
        *,
        hidden: int = 16,
        dropout: float = 0.4,
        modality: str = "both",
        audio_kernel: int = 5,
        video_kernel: int = 3,
        padding: str = "valid",
        n_mfcc: int = 40,
        hidden_activation: bool = True,
    ):
        super().__init__()
        choose("modality", modality, AUDIO_VISUAL)
        choose("padding", padding, tuple(_P))
        self.modality = modality
        self.n_mfcc = n_mfcc
        width = 0  # of Z_concat
        if modality in ("video", "both"):
            own = (video_kernel, padding, dropout)
            self.spatial = branch(nn.Conv2d, nn.MaxPool2d, (16, 32, 64), *own)
            width += 64 * _side_after(IMAGE, video_kernel, padding, 3, "video_kernel") ** 2
        if modality in ("audio", "both"):
            own = (audio_kernel, padding, dropout)
            self.temporal = branch(nn.Conv1d, nn.MaxPool1d, (16, 32), *own)
            width += 32 * _side_after(n_mfcc, audio_kernel, padding, 2, "audio_kernel")
        # III-C, interplay.
        self.fusion = nn.Sequential(  # (B, 2528)                                      #15
            nn.Linear(width, hidden),  # eq. 8: (B, 16)                                #16
            nn.ReLU() if hidden_activation else nn.Identity(),
            nn.Dropout(dropout),  # before layer #17
            nn.Linear(hidden, n_classes),  # eq. 9: (B, 8)                             #17
        )

    def forward(
        self, audio: Tensor | None = None, video: Tensor | None = None, text: Tensor | None = None
    ) -> Tensor:
        """Return logits; the softmax of eq. 10 belongs to the loss (eq. 11).

        Parameters
        ----------
        audio
            MFCC of one segment, averaged over time, ``(B, n_mfcc)``.
        video
            The grey face of that segment in [0, 1], ``(B, 1, 64, 64)``.
        text
            Ignored, as is the modality that a unimodal network was built without.

        Raises
        ------
        ModelError
            If a modality that the network was built with is missing or has another shape.
        """
        # The dense layer behind the concatenation needs all that the network was built for.
        shapes = {"audio": (self.n_mfcc,), "video": (1, IMAGE, IMAGE)}
        inputs = given(self.modality, shapes, complete=True, audio=audio, video=video)
        embeddings = []
        if "video" in inputs:
            embeddings.append(self.spatial(inputs["video"]))  # Z_spatial  (B, 2304)
        if "audio" in inputs:
            embeddings.append(self.temporal(inputs["audio"].unsqueeze(1)))  # Z_temporal (B, 224)
        together = torch.cat(embeddings, dim=1) if len(embeddings) > 1 else embeddings[0]
        return self.fusion(together)  # (B, n_classes)


def _side_after(side: int, kernel: int, padding: str, n_layers: int, what: str) -> int:
    """Return what is left of `side` after `n_layers` of convolution and halving (eq. 6)."""
    start = side
    for _ in range(n_layers):
        side = (side if padding == "same" else side - kernel + 1) // 2
        if side < 1:
            raise ModelError(
                f"{what}={kernel} without padding leaves nothing of {start} values after "
                f"{n_layers} convolutions: use padding='same' or a smaller kernel"
            )
    return side


def example_inputs(
    batch: int = 2, *, modality: str = "both", n_mfcc: int = 40
) -> dict[str, Tensor]:
    """Return random inputs: ``audio (B, n_mfcc)``, ``video (B, 1, 64, 64)`` in [0, 1]."""
    inputs = {"audio": torch.randn(batch, n_mfcc), "video": torch.rand(batch, 1, IMAGE, IMAGE)}
    return inputs if modality == "both" else {modality: inputs[modality]}
