"""Our own networks: what they are given, how they are trained, and the full runs.

One sample is one utterance or one face. What was chosen, among what, and on whom is written in
``data/results/own/selection.yml``, which is older than every answer about a person of the test.

* A voice is the spoken part of the recording, `emolib.papers.ishtiaq.spoken`: 64 mel bands, two
  seconds. ``level="absolute"`` keeps loudness: the training rows alone bring each band to mean 0
  and sd 1. ``"clip"`` brings each clip there; ``"band"`` takes away each band's own mean first:
  much of it is speaker and room. ``"speaker"`` measures every band against all clips of the same
  person: his loudness and colour are then known. That takes recordings of a new person, unlabelled,
  before the first answer: another protocol, and named as such.
* Training sees each clip, anew in every epoch, as it is, two semitones lower or higher, or a tenth
  slower or faster ("waveform"), and where asked moved a little in time and pitch ("move": a
  longer or shorter vocal tract) or with bands and frames blanked ("mask").
* ``inputs="reslstm"`` is what ResLSTM-SA hears: 34 cepstral coefficients and 12 of chroma a frame.
  Its authors normalise with all files; here the training rows alone give mean and deviation.
* Faces are Mostafa's: grey, 48×48, mirrored, moved and cut in training.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from torch import Tensor

from emolib.features.audio import Mfcc
from emolib.papers import augment, mostafa, streams
from emolib.papers.augment import Change
from emolib.papers.dataset import Dataset
from emolib.papers.experiment import Experiment, choose, experiments_beside
from emolib.papers.ishtiaq import spoken
from emolib.papers.mostafa import ALTERED_SOUND, WAVEFORM, LogMel
from emolib.papers.streams import Declaration, Request, Stream
from emolib.training import TrainingRecipe

#: One cycle of AdamW; its last epoch is kept, since the validation actors of a fold are too few to
#: choose an epoch by.
RECIPE = TrainingRecipe(
    optimizer="adamw", lr=4e-3, weight_decay=0.02, batch_size=32, max_epochs=25,
    scheduler="onecycle", monitor="uar", restore_best=False, label_smoothing=0.1, mixup=0.2,
)  # fmt: skip

#: For ResLSTM-SA. Its authors found their rates on the test folds, so these are Adam's own, with a
#: plain cosine in place of their warm restarts; only the epoch is chosen on validation actors.
RESLSTM = TrainingRecipe(
    optimizer="adam", lr=1e-3, weight_decay=1e-4, batch_size=32, max_epochs=40,
    scheduler="cosine", monitor="uar",
)  # fmt: skip

#: For faces, on a GPU.
FACES = replace(mostafa.FACES, max_epochs=100, restore_best=False)

LEVELS = ("absolute", "clip", "band", "speaker")
INPUTS = ("mel", "reslstm")
#: name → (input, change), in the order of application.
CHANGES: dict[str, tuple[str, Change]] = {
    "move": ("audio", partial(augment.displace, frames=6, bands=2, stretch=0.15)),
    "mask": ("audio", partial(augment.mask, bands=8, frames=10)),
    "flip": ("video", augment.mirror),
    "shift": ("video", augment.move),
    "cutout": ("video", augment.cutout),
}
AUGMENTATIONS = (WAVEFORM, *CHANGES)


@dataclass(frozen=True)
class CepstraAndChroma(Mfcc):
    """What ResLSTM-SA hears: 34 cepstral coefficients over 12 of chroma, float32 (46, frames).

    Windows of 4,096 samples every 2,048 at 48 kHz, the central three seconds. Chroma is the power
    of each pitch class over the largest of its frame, at concert pitch.
    """

    sample_rate: int | None = 48_000
    duration_s: float | None = 3.0
    n_fft: int = 4096
    hop_length: int = 2048
    n_mfcc: int = 34
    pooling: str | None = None

    def coefficients(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Return both of a signal, one above the other."""
        import librosa

        power = np.abs(librosa.stft(samples, n_fft=self.n_fft, hop_length=self.hop_length)) ** 2
        decibels = librosa.power_to_db(librosa.filters.mel(sr=rate, n_fft=self.n_fft) @ power)
        cepstra = librosa.feature.mfcc(S=decibels, n_mfcc=self.n_mfcc)
        classes = librosa.filters.chroma(sr=rate, n_fft=self.n_fft, tuning=0.0) @ power
        largest = np.maximum(classes.max(axis=0, keepdims=True), 1e-10)
        return np.concatenate([cepstra, classes / largest]).astype(np.float32)


def declare(
    request: Request,
    *,
    inputs: str = "mel",
    level: str = "absolute",
    augmentation: tuple[str, ...] = (WAVEFORM,),
    share: float = 1.0,
    without_twins: bool = False,
) -> Declaration:
    """Return what the networks are given: one utterance, one face, or one of each.

    "audio" is (N, versions, 64, 64), of ResLSTM-SA (N, 1, 46, 71); "video" (N, 1, 48, 48).

    Parameters
    ----------
    inputs
        "mel" or "reslstm".
    level
        "absolute", "clip", "band" or "speaker", see above.
    augmentation
        Names in `AUGMENTATIONS`; "waveform" adds the altered versions to draw from (in full runs).
    share, without_twins
        Which of the official training pictures, as in `emolib.papers.mostafa.declare`.
    """
    choose("inputs", inputs, INPUTS)
    choose("level", level, LEVELS)
    for name in augmentation:
        choose("augmentation", name, AUGMENTATIONS)
    base = mostafa.declare(request, share=share, without_twins=without_twins)
    altered = ALTERED_SOUND if WAVEFORM in augmentation and request.mode == "full" else ()
    mel = Stream(
        streams.altered(LogMel, altered),
        form=partial(voices, level=level),
        standardise=(0, 1, 3) if level == "absolute" else (),
        describe=lambda about: about | {"then": "the spoken part, 64 frames", "level": level},
    )
    theirs = Stream({"original": CepstraAndChroma()}, streams.every_version, (0, 1, 3))
    return replace(
        base,
        streams={**base.streams, "audio": mel if inputs == "mel" else theirs},
        prepare=augment.drawn,
        augment=augment.augmenter([one for name, one in CHANGES.items() if name in augmentation]),
        options={
            "inputs": inputs, "level": level, "augmentation": list(augmentation),
            "share": share, "without_twins": without_twins,
        },
        finish=of_speakers if (inputs, level) == ("mel", "speaker") else base.finish,
    )  # fmt: skip


load = streams.loader(declare)


# --- from stored values to inputs ----------------------------------------------------------


def voices(decibels: np.ndarray, level: str = "absolute") -> np.ndarray:
    """Return the spoken parts of spectrograms, (clips, versions, 64, 64), at their level.

    Of levels "absolute" and "speaker" they stay in decibels: other clips give them their scale.
    """
    values = np.stack([[spoken(one) for one in clip] for clip in decibels])
    if level in ("absolute", "speaker"):
        return values
    values -= values.mean((-1, -2) if level == "clip" else -1, keepdims=True)
    return values / values.std((-1, -2), keepdims=True).clip(min=1e-3)


def of_speakers(dataset: Dataset) -> Dataset:
    """Measure each band against all clips of the same person, whatever their emotion.

    Mean and deviation are those of the unaltered clips. No label is used, but clips are: a new
    person has to be heard before he is judged.
    """
    if "audio" not in dataset.samples.inputs:
        return dataset
    values = dataset.samples.inputs["audio"].clone()  # (N, versions, bands, T)
    for rows in dataset.manifest.reset_index().groupby("actor").indices.values():
        heard = values[rows, 0]
        mean, sd = heard.mean((0, 2)), heard.std((0, 2)).clamp(min=1.0)
        values[rows] = (values[rows] - mean[:, None]) / sd[:, None]
    inputs: Mapping[str, Tensor] = {**dataset.samples.inputs, "audio": values}
    return replace(dataset, samples=replace(dataset.samples, inputs=dict(inputs)))


# --- the full runs -------------------------------------------------------------------------

FULL: dict[str, Experiment] = experiments_beside(
    __file__, RECIPE=RECIPE, RESLSTM=RESLSTM, FACES=FACES
)
