"""Ding, Tang, Lu: how their network is trained, and the full runs the book shows.

A clip is cut into six segments. Each segment is one sample: 40 MFCC averaged over its sixth of
the sound, and one grey face. Training is on segments; a clip's probabilities are the mean of
its six. What the paper leaves open is an option of `load`:

* It names no normalisation ("the default values" of librosa), so MFCC go in as they are
  (``normalise="none"``). The first coefficient is then about −700, and in some runs the
  hidden ReLU dies in the first steps and the network answers with the class shares ever
  after. "train" standardises with the training rows; statistics of *all* rows, as often
  seen, would let the test set into training.
* "Gaussian noise (variance 0.01) was applied to facial images, and a time stretch of 0.8 was
  applied to audio segments" (Section III-E): whether to copies or in place of the originals
  is not said. The test set of its Fig. 5 has 1,728 = 20 % of 8,640 segments, so no copies were
  tested. By default every training sample gets an altered copy ("copies"); "alternate" shows
  the original or the altered one, by a coin, without more steps per epoch; "none" has neither.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from emolib import corpora
from emolib.papers.engine import Dataset
from emolib.papers.experiment import Experiment
from emolib.papers.streams import (
    Part,
    aligned,
    choose,
    classes,
    complete,
    dealt_faces,
    dealt_groups,
    extracted,
    quarter,
    refuse_silent_pictures,
)
from emolib.training import Samples, TrainingRecipe

#: Section III-D: Adam 0.001 (0.9, 0.999), ε 1e-7, batch 128; stop when the validation loss has
#: not fallen by 0.001 for 30 epochs, and go back to before them. The paper sets no limit of
#: epochs; 500 was never reached.
RECIPE = TrainingRecipe(
    optimizer="adam", lr=1e-3, betas=(0.9, 0.999), eps=1e-7, batch_size=128,
    max_epochs=500, patience=30, min_delta=0.001, monitor="loss", restore_best=True,
)  # fmt: skip

SEGMENTS = 6
N_MFCC = 40
SIDE = 64
NOISE_SD = 0.1  # variance 0.01 on a scale of 0 to 1
STRETCH = 0.8
AUGMENTATIONS = ("copies", "alternate", "none")
MODALITIES = {"audio": ("audio",), "video": ("video",), "both": ("audio", "video")}


def load(
    corpus: str,
    modality: str,
    mode: str = "full",
    *,
    root: str | Path | None = None,
    normalise: str = "none",
    augmentation: str = "copies",
    n_jobs: int = 2,
    seed: int = 0,
    progress: bool = True,
) -> Dataset:
    """Return the samples of a corpus: six segments for each clip.

    Parameters
    ----------
    corpus
        "ravdess" (real voices, audio only), "paired" (those voices with FER2013 faces) or
        "synthetic" (generated videos: Haar faces and their sound).
    modality
        "audio" (N, 40), "video" (N, 1, 64, 64) or "both".
    mode
        "quick" takes one statement and repetition of the recordings: a quarter of the clips.
    root
        Folder of the corpus.
    normalise
        "none" or "train", see above.
    augmentation
        "copies", "alternate" or "none", see above.
    n_jobs
        Processes that extract features which are not stored yet.
    seed
        Deals pictures to voices (paired) and draws the image noise.

    Raises
    ------
    ExperimentError
        If the corpus has not got the modality, or an option is unknown.
    """
    _check(corpus, modality, normalise, augmentation)
    wanted = MODALITIES[modality]
    manifest, sources = _SOURCES[corpus](root, seed)
    if mode == "quick" and corpus != "synthetic":
        manifest = quarter(manifest)
    made = {
        name: sources[name](manifest, augmentation != "none", n_jobs, progress) for name in wanted
    }
    ids = [names for parts in made.values() for names, _, _ in parts]
    manifest, left_out = complete(manifest, ids)
    plain, altered, said = {}, {}, {}
    for name, parts in made.items():
        values = [aligned(ids, array, manifest) for ids, array, _ in parts]
        plain[name] = _flat(name, values[0])
        if augmentation != "none":
            altered[name] = _flat(name, values[1]) if len(values) > 1 else _noisy(plain[name], seed)
        said[name] = parts[0][2]
    names, labels = classes(corpus, manifest)
    labels = labels.repeat_interleave(SEGMENTS)
    features = {
        "segments": SEGMENTS,
        "clips_left_out": left_out,
        "normalise": normalise,
        "augmentation": augmentation,
        **said,
    }
    inputs, copies = plain, ()
    if augmentation == "copies":
        copies = (Samples(altered, labels),)
    elif augmentation == "alternate":
        inputs = plain | {f"{name}_altered": values for name, values in altered.items()}
    return Dataset(
        samples=Samples(inputs, labels),
        manifest=manifest,
        n_segments=SEGMENTS,
        classes=names,
        prepare=prepare,
        features=features,
        standardise={
            name: (0,) for name in inputs if normalise == "train" and name.startswith("audio")
        },
        copies=copies,
        images=dealt_groups(manifest, SEGMENTS, seed, root) if corpus == "paired" else None,
    )


def prepare(inputs: dict[str, Tensor], generator: torch.Generator | None) -> dict[str, Tensor]:
    """Choose between original and altered twin (in training), and scale pictures to [0, 1]."""
    given = {name: values for name, values in inputs.items() if not name.endswith("_altered")}
    if generator is not None and len(given) < len(inputs):
        n = len(next(iter(given.values())))
        altered = torch.rand(n, generator=generator, device=generator.device) < 0.5
        for name, values in given.items():
            choice = altered.view(-1, *[1] * (values.ndim - 1))
            given[name] = torch.where(choice, inputs[f"{name}_altered"], values)
    if "video" in given:
        given["video"] = given["video"].float() / 255
    return given


def _check(corpus: str, modality: str, normalise: str, augmentation: str) -> None:
    choose("corpus", corpus, _SOURCES)
    choose("modality", modality, MODALITIES)
    choose("normalise", normalise, ("none", "train"))
    choose("augmentation", augmentation, AUGMENTATIONS)
    refuse_silent_pictures(corpus, modality)


# --- where audio and video come from -------------------------------------------------------
# A source is called with (manifest, altered?, n_jobs, progress) and returns one or two parts,
# the original and, where it is not made from the original afterwards, the altered one. A part
# is (clip ids, values (clips, 6, …), description).

Source = Callable[[pd.DataFrame, bool, int, bool], list[Part]]


def _mfcc(manifest: pd.DataFrame, altered: bool, n_jobs: int, progress: bool) -> list[Part]:
    from emolib.features import audio

    stretched = f"time_stretch={STRETCH}"
    recipes = [
        audio.Mfcc(n_mfcc=N_MFCC, segments=SEGMENTS, pooling="mean", augment=augment)
        for augment in (None, stretched)[: 1 + altered]
    ]
    return [extracted(manifest, recipe, n_jobs, progress) for recipe in recipes]


def _faces(manifest: pd.DataFrame, altered: bool, n_jobs: int, progress: bool) -> list[Part]:
    from emolib.features import faces

    recipe = faces.FaceFrames(frames=SEGMENTS, size=SIDE, grey=True, detector="haar")
    return [extracted(manifest, recipe, n_jobs, progress)]


def _pictures(root: str | Path | None, seed: int) -> Source:
    """Return the source of FER2013 pictures for the clips of the paired corpus."""

    def source(manifest: pd.DataFrame, altered: bool, n_jobs: int, progress: bool) -> list[Part]:
        return [dealt_faces(manifest, SEGMENTS, SIDE, seed, root)]

    return source


def _ravdess(root, seed) -> tuple[pd.DataFrame, Mapping[str, Source]]:
    return corpora.load("ravdess", root), {"audio": _mfcc}


def _paired(root, seed) -> tuple[pd.DataFrame, Mapping[str, Source]]:
    return corpora.load("paired", root), {"audio": _mfcc, "video": _pictures(root, seed)}


def _synthetic(root, seed) -> tuple[pd.DataFrame, Mapping[str, Source]]:
    return corpora.load("synthetic", root), {"audio": _mfcc, "video": _faces}


_SOURCES = {"ravdess": _ravdess, "paired": _paired, "synthetic": _synthetic}


# --- from arrays per clip to tensors per segment -------------------------------------------


def _flat(name: str, values: np.ndarray) -> Tensor:
    """Return (clips · 6, 40) float32, or (clips · 6, 1, 64, 64) uint8."""
    shape = (-1, N_MFCC) if name == "audio" else (-1, 1, SIDE, SIDE)
    return torch.from_numpy(np.ascontiguousarray(values)).reshape(shape)


def _noisy(pictures: Tensor, seed: int) -> Tensor:
    """Add Gaussian noise of variance 0.01 (of a scale of 0 to 1) to uint8 pictures."""
    generator = torch.Generator().manual_seed(seed)
    noisy = torch.empty_like(pictures)
    for start in range(0, len(pictures), 1024):  # floats of a part at a time
        part = pictures[start : start + 1024].float()
        part += 255 * NOISE_SD * torch.randn(part.shape, generator=generator)
        noisy[start : start + 1024] = part.round().clamp(0, 255).to(torch.uint8)
    return noisy


# --- the full runs -------------------------------------------------------------------------

_VOICE = Experiment("ravdess", "audio")
_BY_SEGMENT = replace(_VOICE, split="segment", allow_leak="segment")
_BY_CLIP = replace(_VOICE, split="clip", allow_leak="clip")


def _standardised(experiment: Experiment) -> Experiment:
    return replace(experiment, data={"normalise": "train"}, note="standardised MFCC")


#: The three modalities under one protocol. Until the paper's stopping rule ends it, a run takes
#: minutes on one core, so that rule is kept for one fold; "short" runs go round all six folds.
_PAIRED = Experiment(
    "paired",
    "both",
    data={"normalise": "train", "augmentation": "alternate"},
    recipe=replace(RECIPE, precision="bf16-mixed"),
    note="standardised MFCC, bfloat16",
)
_SHORT = replace(
    _PAIRED,
    recipe=replace(_PAIRED.recipe, lr=4e-3, scheduler="onecycle", max_epochs=20, patience=None),
    note=f"{_PAIRED.note}, one cycle of 20 epochs",
)
FULL: dict[str, Experiment] = {
    "audio-segment": _BY_SEGMENT,
    "audio-clip": _BY_CLIP,
    "audio-actor": _VOICE,
    "video-segment": replace(_BY_SEGMENT, modality="video"),  # beside "audio-segment"
    "audio-segment-standardised": _standardised(_BY_SEGMENT),
    "audio-clip-standardised": _standardised(_BY_CLIP),
    "audio-actor-standardised": _standardised(_VOICE),
    **{f"paired-{m}-actor": replace(_PAIRED, modality=m, folds=(0,)) for m in MODALITIES},
    **{f"paired-{m}-actor-short": replace(_SHORT, modality=m) for m in MODALITIES},
    # Table III: trained on one corpus, tested on another.
    **{
        f"cross-{one}-{other}": Experiment(
            f"{one}+{other}", "both", "corpus", split_options={"test": other}
        )
        for one, other in permutations(("savee", "ravdess", "mead"), 2)
    },
}
