"""Mostafa et al.: how their two networks are trained, how they can be bettered, and the full runs.

One sample is one face (48×48, grey) or one utterance (a mel spectrogram in decibels). What the
paper leaves open is an option of `declare`, or of `TrainingRecipe`:

* Faces are scaled to [-1, 1] (Section III-A). Some of FER2013's training pictures are
  near-duplicates of test pictures; ``without_twins`` leaves those out, and counts them.
* Sounds are "converted into Mel spectrograms" with "data normalization" (Section III-B): three
  seconds at 16 kHz, 64 bands, each clip brought to mean 0 and sd 1, so that the gain of a
  microphone does not count. ``level="absolute"`` keeps loudness, on a fixed scale.
* "Augmentation techniques such as pitch shifting and time-stretching": of no stated size.
  ``augmentation="waveform"`` does as the paper does: each clip is shown, anew in every epoch, as it
  is, two semitones lower or higher, or a tenth slower or faster. No copy ever crosses a split.
  ``"stretch-and-shift"`` does the like on the spectrogram, by another amount for every sample.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from emolib import corpora
from emolib.corpora.manifest import subset
from emolib.features.audio import MelSpectrogram
from emolib.papers import augment, streams
from emolib.papers.augment import Change
from emolib.papers.experiment import Experiment, ExperimentError, choose, experiments_beside
from emolib.papers.streams import Declaration, Request, Stream
from emolib.training import TrainingRecipe

#: Section III-A: Adam, cross-entropy; early stopping on the validation loss, learning rate
#: lowered on a plateau, best weights kept. The paper gives no numbers; these are Keras's usual.
RECIPE = TrainingRecipe(
    optimizer="adam", lr=1e-3, batch_size=64, max_epochs=50, monitor="loss", patience=10,
    scheduler="plateau", scheduler_options=(("patience", 4), ("factor", 0.5)),
)  # fmt: skip

#: Ours for faces: one cycle of a higher learning rate, weight decay, softened labels. The epoch
#: with the best validation accuracy is kept; there is no early stop inside a cycle.
FACES = TrainingRecipe(
    optimizer="adamw", lr=4e-3, weight_decay=0.02, batch_size=128, max_epochs=30,
    scheduler="onecycle", monitor="accuracy", label_smoothing=0.1,
)  # fmt: skip

#: Ours for voices: the same idea, in smaller batches. Keeping loudness (``level="absolute"``) did
#: worse on the validation actors of two folds.
VOICES = TrainingRecipe(
    optimizer="adamw", lr=4e-3, weight_decay=0.02, batch_size=32, max_epochs=30,
    scheduler="onecycle", monitor="uar", label_smoothing=0.1, precision="bf16-mixed",
)  # fmt: skip

SIDE = 48
#: Section III-B names pitch shift and time stretch; by how much is ours.
ALTERED_SOUND = ("pitch_shift=-2", "pitch_shift=2", "time_stretch=0.9", "time_stretch=1.1")
LEVELS = ("clip", "absolute")


@dataclass(frozen=True)
class LogMel(MelSpectrogram):
    """A mel spectrogram in decibels of full scale, (64, 94): loudness is kept until `prepare`."""

    sample_rate: int | None = 16_000
    duration_s: float | None = 3.0
    n_fft: int = 1024
    n_mels: int = 64

    def compute_noted(self, row: Mapping) -> tuple[np.ndarray, dict]:
        """Return the spectrogram of one clip and ``channels``."""
        samples, rate, notes = self.signal(row)
        return self.decibels(samples, rate), notes

    def decibels(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Return the spectrogram of a signal: float32, (n_mels, frames)."""
        import librosa

        return librosa.power_to_db(self.mel_power(samples, rate)).astype(np.float32)


#: name → (input, change); the order is the order of application.
AUGMENTATIONS: dict[str, tuple[str, Change]] = {
    "flip": ("video", augment.mirror),
    "move": ("video", augment.move),
    "cutout": ("video", augment.cutout),
    "stretch-and-shift": ("audio", augment.stretch_and_shift),
    "mask": ("audio", partial(augment.mask, bands=10, frames=16)),
}
#: The name of what happens before the spectrogram is made: `ALTERED_SOUND`.
WAVEFORM = "waveform"


def declare(
    request: Request,
    *,
    share: float = 1.0,
    without_twins: bool = False,
    augmentation: tuple[str, ...] = (),
    level: str = "clip",
) -> Declaration:
    """Return what the networks are given: one face, one spectrogram, or one of each.

    "video" is (N, 1, 48, 48), "audio" (N, versions, 64, 94).

    Parameters
    ----------
    share
        Part of the official training pictures to use, stratified by emotion.
    without_twins
        Leave out training pictures that look like one of the official test.
    augmentation
        Names in `AUGMENTATIONS`, applied in training, in their order there; "waveform" adds the
        versions of `ALTERED_SOUND` to draw from (in full runs: they take minutes to make).
    level
        "clip" brings every spectrogram to mean 0 and sd 1; "absolute" keeps its loudness.
    """
    from emolib.features.faces import FaceFrames

    choose("level", level, LEVELS)
    for name in augmentation:
        choose("augmentation", name, (*AUGMENTATIONS, WAVEFORM))
    if not 0 < share <= 1:
        raise ExperimentError(f"share={share} must lie above 0 and not above 1")
    altered = ALTERED_SOUND if WAVEFORM in augmentation and request.mode == "full" else ()
    which: dict[str, Any] = {"share": share, "without_twins": without_twins}
    return Declaration(
        streams={
            "audio": Stream(
                streams.altered(LogMel, altered), form=streams.every_version, describe=dict
            ),
            "video": Stream({"original": FaceFrames(frames=1, size=SIDE)}),
        },
        prepare=partial(prepare, level=level),
        augment=augment.augmenter(
            [one for name, one in AUGMENTATIONS.items() if name in augmentation]
        ),
        options=which | {"augmentation": list(augmentation), "level": level},
        select=partial(_thinned, request=request, **which),
    )


load = streams.loader(declare)


def _thinned(
    clips: pd.DataFrame, request: Request, share: float, without_twins: bool
) -> tuple[pd.DataFrame, int]:
    """Return the pictures to use, and how many training pictures have a twin in the test."""
    if share == 1 and not without_twins:
        return clips, 0
    training = clips["usage"] == "Training"
    if not training.any():
        raise ExperimentError(
            f"{request.corpus} has no official training part: leave share=1 and "
            "without_twins=False, or use corpus='fer2013'"
        )
    kept = pd.Series(True, index=clips.index)
    if without_twins:
        groups = streams.near_duplicates(request)
        pictures = corpora.load(request.corpus, request.root)
        tested = pictures.loc[pictures["usage"] != "Training", "row"].to_numpy(int)
        kept &= ~(training & np.isin(groups[clips["row"].to_numpy(int)], groups[tested]))
    twins = int((~kept).sum())
    if share < 1:
        part = clips[kept & training].groupby("emotion")
        part = part.sample(frac=share, random_state=request.seed)
        kept &= ~training | clips.index.isin(part.index)
    return subset(clips, kept), twins


# --- from stored values to inputs ----------------------------------------------------------


def decibels_to_input(decibels: Tensor, level: str = "clip") -> Tensor:
    """Normalise spectrograms (B, 1, n_mels, T) in decibels: each by itself, or on a fixed scale."""
    if level == "absolute":
        return (decibels + 15) / 20
    mean = decibels.mean((1, 2, 3), keepdim=True)
    return (decibels - mean) / decibels.std((1, 2, 3), keepdim=True).clamp(min=1e-3)


def prepare(
    inputs: dict[str, Tensor], generator: torch.Generator | None, *, level: str = "clip"
) -> dict[str, Tensor]:
    """Draw a version of each voice and normalise it, (B, 1, 64, 94); scale faces to [-1, 1]."""
    ready = augment.drawn(inputs, generator)
    if "audio" in ready:
        ready["audio"] = decibels_to_input(ready["audio"], level)
    return ready


# --- the full runs -------------------------------------------------------------------------

FULL: dict[str, Experiment] = experiments_beside(
    __file__, RECIPE=RECIPE, FACES=FACES, VOICES=VOICES
)
