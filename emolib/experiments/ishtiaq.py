"""Ishtiaq, Hashmi, Ali: how their network is trained, and the full runs the book shows.

One sample is one clip: its mel spectrogram, face frames and words. The paper's Algorithm 1 is
`training.fit` with `RECIPE`; it gives no size, rate or length at all, so all of these are ours:

* Sound: 16 kHz, 40 mel bands, windows of 64 ms every 32 ms, decibels of full scale. Silence
  before and after the words is cut off (RAVDESS begins and ends with a second of it), then the
  centre 64 frames (2 s) are kept. What a shorter clip lacks is put *in front*, so that the
  recurrent layer's final hidden state is that of the last word.
* From each band its mean over the clip is taken away: much of it is the speaker and the room.
  Then each is brought to mean 0 and sd 1 with the training rows alone.
* Training sees the spectrograms spoken a little faster or slower, shifted in time and by a band
  in pitch, with bands and frames blanked (``augmentation="mask"``), and faces mirrored.
* Swish in the convolutions: the paper says "Mish or Swish", and Mish costs more time.
* Faces: three 48×48 grey frames a clip. Words: `emolib.models.ishtiaq.tokenize`.

``statements="confounded"`` keeps of every emotion only one of the two sentences: the accident of
sampling through which words, which say nothing about emotion in RAVDESS, can pretend to.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from emolib import corpora
from emolib.corpora.manifest import subset
from emolib.experiments import Dataset, ExperimentError
from emolib.experiments.clips import (
    Part,
    aligned,
    choose,
    classes,
    complete,
    dealt_faces,
    dealt_groups,
    extracted,
)
from emolib.features.audio import MelSpectrogram
from emolib.models.ishtiaq import MODALITIES, tokenize
from emolib.training import Samples, TrainingRecipe

#: Algorithm 1: AdamW, cosine annealing, clipping at 1.0, the best validation accuracy is kept.
#: The paper gives no rate, decay, batch or number of epochs; softened labels are ours.
RECIPE = TrainingRecipe(
    optimizer="adamw", lr=3e-3, weight_decay=1e-2, batch_size=32, max_epochs=20,
    scheduler="cosine", clip_norm=1.0, monitor="accuracy", label_smoothing=0.1,
)  # fmt: skip

#: With the transformer, which at the rate of the encoders never leaves chance.
FUSION_RECIPE = replace(RECIPE, lr=5e-4)

FRAMES, SIDE = 3, 48
STEPS, BANDS = 64, 40
WORDS = 8  # the longest sentence of the corpora has eight
FLOOR_DB = 80.0
AUGMENTATIONS = ("mask", "none")
STATEMENTS = ("balanced", "confounded")


@dataclass(frozen=True)
class TrimmedMel(MelSpectrogram):
    """A mel spectrogram of the spoken part of a clip, in decibels of full scale: (40, 64).

    Parameters
    ----------
    trim_db
        Frames at either end that are this much quieter than the loudest are cut off.
    steps
        Frames: the centre of a longer clip; a shorter one follows after silence.
    """

    sample_rate: int | None = 16_000
    duration_s: float | None = None
    n_fft: int = 1024
    hop_length: int = 512
    n_mels: int = BANDS
    trim_db: float = 40.0
    steps: int = STEPS

    def compute_noted(self, row: Mapping) -> tuple[np.ndarray, dict]:
        """Return the spectrogram of one clip and ``channels``."""
        samples, rate, notes = self.signal(row)
        return self.decibels(samples, rate), notes

    def decibels(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Return the trimmed spectrogram of a signal: float32, (n_mels, steps)."""
        power = self.mel_power(samples, rate)
        loudness = _decibels(power.sum(axis=0))
        spoken = np.flatnonzero(loudness > loudness.max() - self.trim_db)
        decibels = _decibels(power)[:, spoken[0] : spoken[-1] + 1]
        floor = decibels.max() - FLOOR_DB
        decibels = np.maximum(decibels, floor)
        start = max(0, (decibels.shape[1] - self.steps) // 2)
        decibels = decibels[:, start : start + self.steps]
        missing = self.steps - decibels.shape[1]
        padded = np.pad(decibels, ((0, 0), (missing, 0)), constant_values=floor)
        return padded.astype(np.float32)


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, 1e-10))


def load(
    corpus: str,
    modality: str,
    mode: str = "full",
    *,
    root: str | Path | None = None,
    augmentation: str = "mask",
    statements: str = "balanced",
    n_jobs: int = 2,
    seed: int = 0,
    progress: bool = True,
) -> Dataset:
    """Return the samples of a corpus, one for each clip.

    Parameters
    ----------
    corpus
        "ravdess" (real voices: audio, text), "paired" (those voices with FER2013 faces) or
        "synthetic" (generated videos: Haar faces, their sound and words).
    modality
        "audio" (N, 1, 40, 64), "video" (N, 3, 1, 48, 48), "text" (N, 8), "both" (the first
        two) or "all".
    mode
        "quick" takes one repetition of the normal intensity of the recordings.
    root
        Folder of the corpus.
    augmentation
        "mask" or "none", see above.
    statements
        "balanced": every emotion in both sentences; "confounded": every other emotion in one
        sentence only, the rest in the other.
    n_jobs
        Processes that extract features which are not stored yet.
    seed
        Deals pictures to voices (paired).

    Raises
    ------
    ExperimentError
        If the corpus has not got the modality, or an option is unknown.
    """
    choose("corpus", corpus, _SOURCES)
    choose("modality", modality, MODALITIES)
    choose("augmentation", augmentation, AUGMENTATIONS)
    choose("statements", statements, STATEMENTS)
    sources = _SOURCES[corpus]
    if missing := [name for name in MODALITIES[modality] if name not in sources]:
        raise ExperimentError(
            f"{corpus} has no {missing[0]} in this book: use modality='audio' or 'text', or "
            "corpus='paired' (RAVDESS voices with FER2013 faces) or 'synthetic'"
        )
    manifest = corpora.load(corpus, root)
    if mode == "quick" and corpus != "synthetic":
        few = (manifest["repetition"] == "01") & (manifest["intensity"] == "normal")
        manifest = subset(manifest, few)
    if statements == "confounded":
        manifest = subset(manifest, _one_sentence_each(manifest))
    made = {
        name: sources[name](manifest, root, seed, n_jobs, progress) for name in MODALITIES[modality]
    }
    manifest, left_out = complete(manifest, [ids for ids, _, _ in made.values()])
    inputs = {
        name: torch.from_numpy(aligned(ids, values, manifest))
        for name, (ids, values, _) in made.items()
    }
    names, labels = classes(corpus, manifest)
    return Dataset(
        samples=Samples(inputs, labels),
        manifest=manifest,
        n_segments=1,
        classes=names,
        prepare=prepare,
        augment=augment if augmentation == "mask" else None,
        features={
            "clips_left_out": left_out,
            "augmentation": augmentation,
            "statements": statements,
            **{name: said for name, (_, _, said) in made.items()},
        },
        standardise={"audio": (0, 3)} if "audio" in inputs else {},
        images=dealt_groups(manifest, FRAMES, seed, root) if corpus == "paired" else None,
    )


def _one_sentence_each(manifest: pd.DataFrame) -> pd.Series:
    """Return which clips stay when emotions take turns with the two sentences."""
    emotions = sorted(set(manifest["emotion"]))
    own = manifest["emotion"].map(lambda emotion: 1 + emotions.index(emotion) % 2)
    return manifest["statement"].astype(int) == own  # "01" in RAVDESS, "1" in the synthetic corpus


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


def prepare(inputs: dict[str, Tensor], generator: torch.Generator | None) -> dict[str, Tensor]:
    """Scale grey values 0…255 to [-1, 1]."""
    ready = dict(inputs)
    if "video" in ready:
        ready["video"] = ready["video"].float() / 127.5 - 1
    return ready


def augment(inputs: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Stretch, shift and mask spectrograms, mirror all faces of half of the clips."""
    changed = dict(inputs)
    if "audio" in changed:
        changed["audio"] = _masked(_moved(changed["audio"], generator), generator)
    if "video" in changed:
        video = changed["video"]
        mirrored = torch.rand(len(video), generator=generator, device=generator.device) < 0.5
        changed["video"] = torch.where(mirrored.view(-1, 1, 1, 1, 1), video.flip(-1), video)
    return changed


def _moved(
    spectrograms: Tensor,
    generator: torch.Generator,
    *,
    frames: int = 4,
    bands: int = 1,
    stretch: float = 0.1,
) -> Tensor:
    """Take each of ``(B, 1, n_mels, T)`` from elsewhere: no value is made up.

    Time is stretched about its end, where the words are, and moved by up to `frames`; mel bands
    move by up to `bands`, as if the speaker's mouth were a little larger or smaller. What comes
    from beyond an edge is the edge.
    """
    n, _, n_mels, steps = spectrograms.shape
    device = generator.device
    by, up = (
        torch.randint(-most, most + 1, (n, 1), generator=generator, device=device)
        for most in (frames, bands)
    )
    rate = 1 + stretch * (2 * torch.rand(n, 1, generator=generator, device=device) - 1)
    before_end = torch.arange(steps - 1, -1, -1, device=device)  # (T,)
    at = (steps - 1 - before_end * rate).round().long() - by  # (B, T)
    moved = spectrograms.gather(3, at.clamp(0, steps - 1)[:, None, None].expand_as(spectrograms))
    band = (torch.arange(n_mels, device=device) - up).clamp(0, n_mels - 1)  # (B, n_mels)
    return moved.gather(2, band[:, None, :, None].expand_as(moved))


def _masked(spectrograms: Tensor, generator: torch.Generator) -> Tensor:
    """Blank up to 8 bands and up to 10 frames of each (SpecAugment, Park et al. 2019)."""
    n, device = len(spectrograms), generator.device
    for axis, widest in ((2, 8), (3, 10)):
        size = spectrograms.shape[axis]
        start, width = (
            torch.randint(most, (n, 1), generator=generator, device=device)
            for most in (size, widest + 1)
        )
        at = torch.arange(size, device=device)
        hidden = (at >= start) & (at < start + width)  # (B, size)
        shape = (n, 1, size, 1) if axis == 2 else (n, 1, 1, size)
        spectrograms = spectrograms.masked_fill(hidden.view(shape), 0.0)
    return spectrograms


def noisy(samples: Samples, modality: str, level: float, seed: int = 0) -> Samples:
    """Return prepared samples with Gaussian noise of sd `level` on one modality.

    Words are no quantity: of them, the share `level` becomes the unknown word.
    """
    generator = torch.Generator().manual_seed(seed)
    values = samples.inputs[modality]
    if modality == "text":
        lost = torch.rand(values.shape, generator=generator) < level
        changed = torch.where(lost & (values != 0), torch.ones_like(values), values)
    else:
        changed = values + level * torch.randn(values.shape, generator=generator)
    return replace(samples, inputs={**samples.inputs, modality: changed})


# --- where sound, faces and words come from --------------------------------------------------
# A source is called with (manifest, root, seed, n_jobs, progress) and returns clip ids, values
# (clips, …) and a description.

Source = Callable[[pd.DataFrame, Any, int, int, bool], Part]


def _mel(manifest: pd.DataFrame, root, seed: int, n_jobs: int, progress: bool) -> Part:
    ids, values, said = extracted(manifest, TrimmedMel(), n_jobs, progress)
    values = values - values.mean(axis=-1, keepdims=True)
    return ids, values[:, None], {**said, "then": "minus each band's mean over the clip"}


def _faces(manifest: pd.DataFrame, root, seed: int, n_jobs: int, progress: bool) -> Part:
    """Find six faces a clip at 64×64, as for Ding, and take every other one at 48×48."""
    from emolib.features.faces import FaceFrames

    ids, values, said = extracted(manifest, FaceFrames(), n_jobs, progress)
    every = values.shape[1] // FRAMES
    faces = torch.from_numpy(np.ascontiguousarray(values[:, ::every])).float()  # (N, 3, 64, 64)
    small = F.interpolate(faces, (SIDE, SIDE), mode="area").round().to(torch.uint8)
    return ids, small.numpy()[:, :, None], {**said, "taken": f"{FRAMES} frames at {SIDE}×{SIDE}"}


def _pictures(manifest: pd.DataFrame, root, seed: int, n_jobs: int, progress: bool) -> Part:
    ids, values, said = dealt_faces(manifest, FRAMES, SIDE, seed, root)
    return ids, values[:, :, None], said


def _words(manifest: pd.DataFrame, root, seed: int, n_jobs: int, progress: bool) -> Part:
    numbers = tokenize(manifest["text"], length=WORDS).numpy()
    return manifest["clip_id"].tolist(), numbers, {"recipe": f"word numbers, {WORDS} a clip"}


_SOURCES: dict[str, dict[str, Source]] = {
    "ravdess": {"audio": _mel, "text": _words},
    "paired": {"audio": _mel, "video": _pictures, "text": _words},
    "synthetic": {"audio": _mel, "video": _faces, "text": _words},
}


# --- the full runs ---------------------------------------------------------------------------

_SWISH = {"options": {"activation": "swish"}}
_AUDIO = {"corpus": "ravdess", "modality": "audio", **_SWISH}
_ACTOR = {**_AUDIO, "split": "actor"}
_STUDY = {**_ACTOR, "seeds": (0,), "folds": (0, 1)}
_PAIRED = {
    "corpus": "paired", "split": "actor", "seeds": (0,), "folds": (0, 1, 2), **_SWISH,
    "recipe": replace(FUSION_RECIPE, max_epochs=10), "note": "three faces of 48×48, ten epochs",
}  # fmt: skip
_TEXT = {
    **_STUDY, "modality": "text", "options": {}, "recipe": replace(RECIPE, max_epochs=5),
}  # fmt: skip


def _changed(note: str, **options: Any) -> dict[str, Any]:
    """Return a run of the study that differs from "audio-actor" in one option."""
    return {**_STUDY, "options": {"activation": "swish", **options}, "note": note}


FULL: dict[str, dict[str, Any]] = {
    "audio-actor": {**_ACTOR, "seeds": (0, 1, 2)},
    # One sample is one clip, so a random split of samples is the random split of clips.
    "audio-clip": {**_AUDIO, "split": "clip", "allow_leak": "clip", "seeds": (0, 1, 2)},
    # For about the processor time that the light one needs for all of its epochs.
    "audio-heavy-equal-time": {
        **_changed("heavy design, six epochs", design="heavy"),
        "recipe": replace(RECIPE, max_epochs=6),
    },
    "paired-all-actor": {**_PAIRED, "modality": "all"},
    "paired-both-actor": {**_PAIRED, "modality": "both"},
    "paired-audio-actor": {**_PAIRED, "modality": "audio"},
    "paired-video-actor": {**_PAIRED, "modality": "video"},
    "paired-heavy-equal-time": {
        **_PAIRED, "modality": "all", "options": {"activation": "swish", "design": "heavy"},
        "recipe": replace(FUSION_RECIPE, max_epochs=2), "note": "heavy design, two epochs",
    },
    "text-actor": {**_TEXT, "note": "words alone, five epochs"},
    "text-confounded": {
        **_TEXT, "data": {"statements": "confounded"},
        "note": "words alone, each emotion in one sentence only, five epochs",
    },
    "audio-relu": _changed("ReLU", activation="relu"),
    "audio-gelu": _changed("GELU", activation="gelu"),
    "audio-mish": _changed("Mish", activation="mish"),
    "audio-lstm": _changed("LSTM", recurrent="lstm"),
}  # fmt: skip
