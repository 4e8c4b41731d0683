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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from emolib import corpora
from emolib.corpora.manifest import subset
from emolib.models.ishtiaq import MODALITIES, tokenize
from emolib.papers.engine import Dataset, ExperimentError
from emolib.papers.experiment import Experiment
from emolib.papers.mostafa import ALTERED_SOUND, LogMel
from emolib.papers.streams import (
    Part,
    aligned,
    augmenter,
    below,
    choose,
    classes,
    complete,
    dealt_faces,
    dealt_groups,
    extracted,
    one_version,
    versions,
)
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
STEPS, BANDS = 64, 64
TRIM_DB = 40.0
WORDS = 8  # the longest sentence of the corpora has eight
FLOOR_DB = 80.0
WAVEFORM = "waveform"
AUGMENTATIONS = (WAVEFORM, "mask", "move", "mirror")
LEVELS = ("clip", "band", "absolute")
STATEMENTS = ("balanced", "confounded")


def spoken(decibels: np.ndarray, steps: int = STEPS) -> np.ndarray:
    """Return the spoken part of a spectrogram in decibels, ``(n_mels, steps)``.

    Frames at either end that are 40 dB quieter than the loudest are cut off, and the centre of
    what is left is kept; what it lacks is put in front as silence.

    Parameters
    ----------
    decibels
        Shape (n_mels, T).
    """
    loudness = _decibels((10 ** (decibels / 10)).sum(axis=0))
    heard = np.flatnonzero(loudness > loudness.max() - TRIM_DB)
    floor = decibels.max() - FLOOR_DB
    words = np.maximum(decibels[:, heard[0] : heard[-1] + 1], floor)
    start = max(0, (words.shape[1] - steps) // 2)
    words = words[:, start : start + steps]
    missing = steps - words.shape[1]
    return np.pad(words, ((0, 0), (missing, 0)), constant_values=floor).astype(np.float32)


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, 1e-10))


def load(
    corpus: str,
    modality: str,
    mode: str = "full",
    *,
    root: str | Path | None = None,
    augmentation: tuple[str, ...] = (WAVEFORM, "mask", "mirror"),
    level: str = "clip",
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
        "audio" (N, versions, 64, 64), "video" (N, 3, 1, 48, 48), "text" (N, 8), "both" (the first
        two), "audio and text", "video and text" or "all".
    mode
        "quick" takes one repetition of the normal intensity of the recordings.
    root
        Folder of the corpus.
    augmentation
        Names in `AUGMENTATIONS`, see above; "waveform" adds the altered versions to draw from (in
        full runs: they take minutes to make).
    level
        "clip", "band" or "absolute", see above.
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
    for name in augmentation:
        choose("augmentation", name, AUGMENTATIONS)
    choose("level", level, LEVELS)
    choose("statements", statements, STATEMENTS)
    sources = dict(_SOURCES[corpus])
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
    altered = ALTERED_SOUND if WAVEFORM in augmentation and mode == "full" else ()
    # The voices of the paired corpus are those of RAVDESS: their spectrograms are made once.
    whole = corpora.load("ravdess", below(root, "ravdess")) if corpus == "paired" else None
    sources["audio"] = partial(_mel, level=level, altered=altered, whole=whole)
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
        augment=_augmenter(augmentation),
        features={
            "clips_left_out": left_out,
            "augmentation": list(augmentation),
            "level": level,
            "statements": statements,
            **{name: said for name, (_, _, said) in made.items()},
        },
        standardise={"audio": (0, 1, 3)} if "audio" in inputs and level != "clip" else {},
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
    """Draw a version of each voice, (B, 1, 64, 64), and scale grey values 0…255 to [-1, 1]."""
    ready = dict(inputs)
    if "audio" in ready:
        ready["audio"] = one_version(ready["audio"], generator)[:, None]
    if "video" in ready:
        ready["video"] = ready["video"].float() / 127.5 - 1
    return ready


def _augmenter(names: tuple[str, ...]) -> Callable | None:
    return augmenter([change for name, change in _CHANGES.items() if name in names])


def _mirrored(video: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror all faces of half of the clips."""
    which = torch.rand(len(video), generator=generator, device=generator.device) < 0.5
    return torch.where(which.view(-1, 1, 1, 1, 1), video.flip(-1), video)


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


#: name → (input, change), in the order of application.
_CHANGES: dict[str, tuple[str, Callable]] = {
    "move": ("audio", _moved),
    "mask": ("audio", _masked),
    "mirror": ("video", _mirrored),
}


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


def _mel(
    manifest: pd.DataFrame,
    root,
    seed: int,
    n_jobs: int,
    progress: bool,
    *,
    level: str = "clip",
    altered: tuple[str, ...] = (),
    whole: pd.DataFrame | None = None,
) -> Part:
    """Return the spectrograms of all clips, (clips, 1 + altered, 64, 64)."""
    recipes = {name or "original": LogMel(n_mels=BANDS, augment=name) for name in (None, *altered)}
    ids, values, said = versions(manifest if whole is None else whole, recipes, n_jobs, progress)
    values = np.stack([[spoken(one) for one in clip] for clip in values])
    if level == "clip":
        values -= values.mean((-1, -2), keepdims=True)
        values /= values.std((-1, -2), keepdims=True).clip(min=1e-3)
    elif level == "band":
        values -= values.mean(-1, keepdims=True)
    return ids, values, {**said, "then": f"the spoken part, {STEPS} frames"}


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

_SWISH = {"activation": "swish"}
# Two things that the paper's reading loses on the way: see `emolib.models.ishtiaq`.
_OURS = {"activation": "swish", "stem": "standard", "pooling": "mean"}
_VOICE = Experiment("ravdess", "audio", options=_SWISH)
_SHORT = replace(
    _VOICE, seeds=(0,), folds=(0, 1), options=_OURS, recipe=replace(RECIPE, max_epochs=20)
)
_TEXT = replace(
    _SHORT,
    modality="text",
    options={},
    recipe=replace(RECIPE, max_epochs=5, mixup=0.0),
    note="words alone, five epochs",
)
_PAIRED = Experiment(
    "paired",
    "all",
    folds=(0, 1),
    options=_SWISH,
    recipe=replace(FUSION_RECIPE, max_epochs=10),
    note="three faces of 48×48, ten epochs",
)


def _one_change(what: str, options: Mapping[str, Any] | None = None, **data: Any) -> Experiment:
    """Return a short run of our reading with one thing changed."""
    return replace(_SHORT, options=_OURS | (options or {}), data=data, note=f"{what}, 20 epochs")


FULL: dict[str, Experiment] = {
    "audio-actor": _VOICE,
    "audio-ours-actor": replace(
        _VOICE, options=_OURS, note="standard first layer, mean of hidden states"
    ),
    # One sample is one clip, so a random split of samples is the random split of clips.
    "audio-clip": replace(_VOICE, split="clip", allow_leak="clip"),
    # What each step is worth: one thing changed at a time.
    "audio-short": _one_change("our reading"),
    "audio-short-separable": _one_change("separable first layer", {"stem": "separable"}),
    "audio-short-last": _one_change("last hidden state", {"pooling": "last"}),
    "audio-short-unaltered": _one_change("no altered waveforms", augmentation=("mask",)),
    "audio-short-moved": _one_change(
        "spectrograms moved, no altered waveforms", augmentation=("move", "mask")
    ),
    "audio-short-band": _one_change("each band's mean taken away", level="band"),
    "audio-short-absolute": _one_change("loudness kept", level="absolute"),
    "audio-relu": _one_change("ReLU", {"activation": "relu"}),
    "audio-gelu": _one_change("GELU", {"activation": "gelu"}),
    "audio-mish": _one_change("Mish", {"activation": "mish"}),
    "audio-lstm": _one_change("LSTM", {"recurrent": "lstm"}),
    # For about the processor time that the light one needs for its 20 epochs.
    "audio-heavy-equal-time": replace(
        _SHORT,
        options=_OURS | {"design": "heavy"},
        recipe=replace(RECIPE, max_epochs=4),
        note="heavy design, 4 epochs",
    ),
    **{
        f"paired-{modality.replace(' and ', '-')}-actor": replace(_PAIRED, modality=modality)
        for modality in ("all", "both", "audio", "video", "audio and text", "video and text")
    },
    "paired-heavy-equal-time": replace(
        _PAIRED,
        options=_SWISH | {"design": "heavy"},
        recipe=replace(FUSION_RECIPE, max_epochs=2),
        note="heavy design, two epochs",
    ),
    **{
        f"paired-depth-{depth}": replace(
            _PAIRED,
            seeds=(0,),
            folds=(0,),
            options=_SWISH | {"depth": depth},
            note=f"{depth} + {depth} layers, {_PAIRED.note}",
        )
        for depth in range(1, 7)
    },
    "text-actor": _TEXT,
    "text-confounded": replace(
        _TEXT,
        data={"statements": "confounded"},
        note="words alone, each emotion in one sentence only, five epochs",
    ),
}
