"""Ishtiaq, Hashmi, Ali: how their network is trained, and the full runs the book shows.

One sample is one clip: its mel spectrogram, face frames and words. The paper's Algorithm 1 is
`training.fit` with `RECIPE`; it gives no size, rate or length at all, so all of these are ours:

* Sound: 16 kHz, 64 mel bands, windows of 64 ms every 32 ms, decibels of full scale, the central
  three seconds. Silence before and after the words is cut off (RAVDESS begins and ends with a
  second of it), then the centre 64 frames (2 s) are kept. What a shorter clip lacks is put *in
  front*, so that the recurrent layer's final hidden state is that of the last word.
* Each clip is brought to mean 0 and sd 1, so that how loud it was recorded does not count.
  ``level="absolute"`` keeps loudness, and ``"band"`` takes away each mel band's own mean over the
  clip: much of it is the speaker and the room. Both are scaled with the training rows alone.
* Training sees each clip, anew in every epoch, as it is, two semitones lower or higher, or a tenth
  slower or faster ("waveform"), with bands and frames blanked ("mask"). "move" stretches and
  shifts the spectrogram instead, and "mirror" faces. No altered clip crosses a split.
* Swish in the convolutions: the paper says "Mish or Swish", and Mish costs more time.
* Faces: three 48×48 grey frames a clip. Words: `emolib.models.ishtiaq.tokenize`.

``statements="confounded"`` keeps of every emotion only one of the two sentences: the accident of
sampling through which words, which say nothing about emotion in RAVDESS, can pretend to.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from emolib.corpora.manifest import subset
from emolib.media import MODALITIES
from emolib.models.ishtiaq import PAD, UNKNOWN, tokenize
from emolib.papers import augment, streams
from emolib.papers.augment import Change
from emolib.papers.experiment import Experiment, ExperimentError, choose, experiments_beside
from emolib.papers.mostafa import ALTERED_SOUND, WAVEFORM, LogMel
from emolib.papers.streams import Declaration, Request, Stream, fewer
from emolib.training import Samples, TrainingRecipe

#: Algorithm 1: AdamW, cosine annealing, clipping at 1.0, the best validation accuracy is kept.
#: The paper gives no rate, decay, batch or number of epochs; a warm-up before the cosine, softened
#: labels and mixup are ours, chosen on the validation actors of two folds.
RECIPE = TrainingRecipe(
    optimizer="adamw", lr=4e-3, weight_decay=2e-2, batch_size=32, max_epochs=40,
    scheduler="onecycle", clip_norm=1.0, monitor="accuracy", label_smoothing=0.1, mixup=0.2,
)  # fmt: skip

#: With the transformer, which at the rate of the encoders never leaves chance. Words are numbers
#: that cannot be mixed.
FUSION_RECIPE = replace(RECIPE, lr=5e-4, mixup=0.0)

FRAMES, SIDE = 3, 48
DRAWS = 12
STEPS, BANDS = 64, 64
TRIM_DB = 40.0
WORDS = 8  # the longest sentence of acted corpora has eight; of longer ones the first are read
FLOOR_DB = 80.0
#: name → (input, change), in the order of application.
CHANGES: dict[str, tuple[str, Change]] = {
    "move": ("audio", augment.displace),
    "mask": ("audio", partial(augment.mask, bands=8, frames=10)),
    "mirror": ("video", augment.mirror),
}
AUGMENTATIONS = (WAVEFORM, *CHANGES)
LEVELS = ("clip", "band", "absolute")
STATEMENTS = ("balanced", "confounded")


def declare(
    request: Request,
    *,
    augmentation: tuple[str, ...] = (WAVEFORM, "mask", "mirror"),
    level: str = "clip",
    statements: str = "balanced",
) -> Declaration:
    """Return what the network is given, one sample for each clip.

    "audio" is (N, versions, 64, 64), "video" (N, draws, 3, 1, 48, 48), "text" (N, 8).

    Parameters
    ----------
    augmentation
        Names in `AUGMENTATIONS`, see above; "waveform" adds the altered versions to draw from (in
        full runs: they take minutes to make).
    level
        "clip", "band" or "absolute", see above.
    statements
        "balanced": every emotion in every sentence; "confounded": each emotion in one sentence
        only, the sentences taking turns.
    """
    from emolib.features.faces import FaceFrames

    for name in augmentation:
        choose("augmentation", name, AUGMENTATIONS)
    choose("level", level, LEVELS)
    choose("statements", statements, STATEMENTS)
    altered = ALTERED_SOUND if WAVEFORM in augmentation and request.mode == "full" else ()
    return Declaration(
        streams={
            "audio": Stream(
                streams.altered(partial(LogMel, n_mels=BANDS), altered),
                form=partial(_voices, level=level),
                standardise=(0, 1, 3) if level != "clip" else (),
                describe=lambda about: about | {"then": f"the spoken part, {STEPS} frames"},
            ),
            "video": Stream(
                {"original": FaceFrames()},
                form=_faces,
                describe=_taken,
                pictures=(FRAMES, SIDE),
                draws=DRAWS,
            ),
            "text": Stream(
                form=_words, describe=lambda _: {"recipe": f"word numbers, {WORDS} a clip"}
            ),
        },
        prepare=_given,
        augment=augment.augmenter(
            [change for name, change in CHANGES.items() if name in augmentation]
        ),
        options={"augmentation": list(augmentation), "level": level, "statements": statements},
        # Two neighbours differ in what is said: words need more than one sentence.
        quick=partial(fewer, kind=(), order=("repetition", "intensity", "statement"), at_once=2),
        select=_one_sentence_each if statements == "confounded" else streams.as_they_are,
    )


load = streams.loader(declare)


# --- from stored values to the streams -------------------------------------------------------


def _voices(decibels: np.ndarray, level: str = "clip") -> np.ndarray:
    """Return the spoken parts of spectrograms, (clips, versions, 64, 64), at their level."""
    values = np.stack([[spoken(one) for one in clip] for clip in decibels])
    if level == "clip":
        values -= values.mean((-1, -2), keepdims=True)
        values /= values.std((-1, -2), keepdims=True).clip(min=1e-3)
    elif level == "band":
        values -= values.mean(-1, keepdims=True)
    return values


def spoken(decibels: np.ndarray, steps: int = STEPS) -> np.ndarray:
    """Return the spoken part of a spectrogram in decibels, ``(n_mels, steps)``.

    Frames at either end that are 40 dB quieter than the loudest are cut off, and the centre of
    what is left is kept; what it lacks is put in front as silence.

    Parameters
    ----------
    decibels
        Shape (n_mels, T).
    """
    power = (10 ** (decibels / 10)).sum(axis=0)
    loudness = 10 * np.log10(np.maximum(power, 1e-10))
    heard = np.flatnonzero(loudness > loudness.max() - TRIM_DB)
    floor = decibels.max() - FLOOR_DB
    words = np.maximum(decibels[:, heard[0] : heard[-1] + 1], floor)
    start = max(0, (words.shape[1] - steps) // 2)
    words = words[:, start : start + steps]
    missing = steps - words.shape[1]
    return np.pad(words, ((0, 0), (missing, 0)), constant_values=floor).astype(np.float32)


def _faces(values: np.ndarray) -> np.ndarray:
    """Return uint8 (clips, draws, 3, 1, 48, 48): of six filmed faces at 64×64, every other.

    Pictures have that number and size already.
    """
    if values.shape[2] != FRAMES:
        every = torch.from_numpy(np.ascontiguousarray(values[:, 0, :: values.shape[2] // FRAMES]))
        small = F.interpolate(every.float(), (SIDE, SIDE), mode="area")  # (N, 3, 48, 48)
        values = small.round().to(torch.uint8).numpy()[:, None]
    return values[:, :, :, None]


def _given(inputs: dict[str, Tensor], generator: torch.Generator | None) -> dict[str, Tensor]:
    """Draw a version of each voice and a picture of each clip in training."""
    if "video" in inputs:
        inputs = inputs | {"video": augment.one_version(inputs["video"], generator)}
    return augment.drawn(inputs, generator)


def _taken(about: dict[str, Any]) -> dict[str, Any]:
    filmed = {"taken": f"{FRAMES} frames at {SIDE}×{SIDE}"} if "digest" in about else {}
    return streams.of_the_original(about) | filmed


def _words(texts: np.ndarray) -> np.ndarray:
    """Return the numbers of the first eight words of each text, (clips, 8)."""
    numbers = tokenize(texts[:, 0].tolist())[:, :WORDS]
    return F.pad(numbers, (0, WORDS - numbers.shape[1]), value=PAD).numpy()


# --- what words tell -------------------------------------------------------------------------


def _one_sentence_each(clips: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return the clips that stay when emotions take turns with the sentences."""
    sentences = sorted(set(clips["statement"]))
    if len(sentences) < 2:
        raise ExperimentError(
            "statements='confounded' needs a corpus with several sentences, known by name: use "
            "statements='balanced', or corpus='ravdess'"
        )
    emotions = sorted(set(clips["emotion"]))
    own = {emotion: sentences[i % len(sentences)] for i, emotion in enumerate(emotions)}
    return subset(clips, clips["statement"] == clips["emotion"].map(own)), 0


def mutual_information(one: Sequence, other: Sequence) -> float:
    """Return how many bits two columns tell about each other.

    Examples
    --------
    >>> mutual_information(["door", "door", "dogs", "dogs"], ["sad", "happy", "sad", "happy"])
    0.0
    >>> mutual_information(["door", "dogs"], ["sad", "happy"])
    1.0
    """
    joint = pd.crosstab(np.asarray(one), np.asarray(other), normalize=True).to_numpy()
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    bits = float((joint[seen] * np.log2(joint[seen] / independent[seen])).sum())
    return max(0.0, round(bits, 12))  # no rounding error around zero


# --- from stored values to inputs, and what a batch goes through in training ----------------


def noisy(samples: Samples, modality: str, level: float, seed: int = 0) -> Samples:
    """Return prepared samples with Gaussian noise of sd `level` on one modality.

    Words are no quantity: of them, the share `level` becomes the unknown word.
    """
    generator = torch.Generator().manual_seed(seed)
    values = samples.inputs[modality]
    if modality == "text":
        lost = torch.rand(values.shape, generator=generator) < level
        changed = values.masked_fill(lost & (values != PAD), UNKNOWN)
    else:
        changed = values + level * torch.randn(values.shape, generator=generator)
    return replace(samples, inputs={**samples.inputs, modality: changed})


# --- the full runs ---------------------------------------------------------------------------


def completed(experiment: Experiment) -> Experiment:
    """Take a recipe without mixup where an experiment with words names none."""
    if experiment.recipe or "text" not in MODALITIES.get(experiment.modality, ()):
        return experiment
    alone = experiment.modality == "text"
    return experiment.changed(recipe=replace(RECIPE, mixup=0.0) if alone else FUSION_RECIPE)


FULL: dict[str, Experiment] = experiments_beside(
    __file__, RECIPE=RECIPE, FUSION_RECIPE=FUSION_RECIPE
)
