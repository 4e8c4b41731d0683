"""Mostafa et al.: how their two networks are trained, how they can be bettered, and the full runs.

One sample is one face (48×48, grey) or one utterance (a mel spectrogram in decibels). What the
paper leaves open is an option of `load`, or of `TrainingRecipe`:

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

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from emolib import corpora
from emolib.corpora.manifest import subset
from emolib.features.audio import MelSpectrogram
from emolib.papers.engine import Dataset, ExperimentError
from emolib.papers.experiment import Experiment
from emolib.papers.streams import (
    Part,
    aligned,
    augmenter,
    choose,
    classes,
    complete,
    dealt_faces,
    dealt_groups,
    extracted,
    one_version,
    quarter,
    versions,
)
from emolib.training import Samples, TrainingRecipe

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
MODALITIES = {"audio": ("audio",), "video": ("video",), "both": ("audio", "video")}
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


def load(
    corpus: str,
    modality: str,
    mode: str = "full",
    *,
    root: str | Path | None = None,
    share: float = 1.0,
    without_twins: bool = False,
    augmentation: tuple[str, ...] = (),
    level: str = "clip",
    n_jobs: int = 2,
    seed: int = 0,
    progress: bool = True,
) -> Dataset:
    """Return the samples of a corpus: one face, one spectrogram, or one of each.

    Parameters
    ----------
    corpus
        "fer2013" (faces), "ravdess" (voices), "paired" (those voices with those faces) or
        "synthetic" (generated videos: a Haar face and its sound).
    modality
        "video" (N, 1, 48, 48), "audio" (N, versions, 64, 94) or "both".
    mode
        "quick" takes one statement and repetition of the recordings, and every fortieth picture.
    root
        Folder of the corpus.
    share
        Part of FER2013's training pictures to use, stratified by emotion.
    without_twins
        Leave out training pictures that look like one of the official test.
    augmentation
        Names in `AUGMENTATIONS`, applied in training, in their order there; "waveform" adds the
        versions of `ALTERED_SOUND` to draw from (in full runs: they take minutes to make).
    level
        "clip" brings every spectrogram to mean 0 and sd 1; "absolute" keeps its loudness.
    n_jobs
        Processes that extract features which are not stored yet.
    seed
        Chooses the share, and deals pictures to voices (paired).

    Raises
    ------
    ExperimentError
        If the corpus has not got the modality, or an option is unknown.
    """
    _check(corpus, modality, augmentation, level, share)
    manifest, sources = _SOURCES[corpus](root, seed)
    if missing := [name for name in MODALITIES[modality] if name not in sources]:
        raise ExperimentError(
            f"{corpus} has no {missing[0]}: use modality={next(iter(sources))!r}, or "
            "corpus='paired' or 'synthetic' for both"
        )
    left_out = 0
    if corpus == "fer2013":
        manifest, left_out = _thinned(manifest, root, mode, share, without_twins, seed)
    elif mode == "quick" and corpus != "synthetic":
        manifest = quarter(manifest)
    if WAVEFORM in augmentation and mode == "full":
        sources["audio"] = partial(_mel, altered=ALTERED_SOUND)
    made = {name: sources[name](manifest, n_jobs, progress) for name in MODALITIES[modality]}
    manifest, incomplete = complete(manifest, [ids for ids, _, _ in made.values()])
    inputs = {
        name: torch.from_numpy(aligned(ids, values, manifest))
        for name, (ids, values, _) in made.items()
    }
    names, labels = classes(corpus, manifest)
    changes = [change for name, change in AUGMENTATIONS.items() if name in augmentation]
    return Dataset(
        samples=Samples(inputs, labels),
        manifest=manifest,
        n_segments=1,
        classes=names,
        prepare=_preparer(level),
        augment=augmenter(changes),
        features={
            "clips_left_out": left_out + incomplete,
            "share": share,
            "without_twins": without_twins,
            "augmentation": list(augmentation),
            "level": level,
            **{name: said for name, (_, _, said) in made.items()},
        },
        images=_image_groups(corpus, manifest, root, seed),
    )


def _check(corpus: str, modality: str, augmentation, level: str, share: float) -> None:
    choose("corpus", corpus, _SOURCES)
    choose("modality", modality, MODALITIES)
    choose("level", level, LEVELS)
    for name in augmentation:
        choose("augmentation", name, (*AUGMENTATIONS, WAVEFORM))
    if not 0 < share <= 1:
        raise ExperimentError(f"share={share} must lie above 0 and not above 1")


# --- from stored values to inputs ----------------------------------------------------------


def faces_to_input(pixels: Tensor) -> Tensor:
    """Scale grey values 0…255 to [-1, 1] (Section III-A)."""
    return pixels.float() / 127.5 - 1


def decibels_to_input(decibels: Tensor, level: str = "clip") -> Tensor:
    """Normalise spectrograms (B, 1, n_mels, T) in decibels: each by itself, or on a fixed scale."""
    if level == "absolute":
        return (decibels + 15) / 20
    mean = decibels.mean((1, 2, 3), keepdim=True)
    return (decibels - mean) / decibels.std((1, 2, 3), keepdim=True).clamp(min=1e-3)


def _preparer(level: str) -> Callable:
    def prepare(inputs: dict[str, Tensor], generator: torch.Generator | None) -> dict[str, Tensor]:
        ready = {}
        if "audio" in inputs:
            sounds = one_version(inputs["audio"], generator)[:, None]
            ready["audio"] = decibels_to_input(sounds, level)
        if "video" in inputs:
            ready["video"] = faces_to_input(inputs["video"])
        return ready

    return prepare


# --- augmentation: what a batch goes through in training -----------------------------------


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    drawn = torch.rand(n, generator=generator, device=generator.device)
    return low + (high - low) * drawn


def flip(faces: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the faces."""
    mirrored = torch.rand(len(faces), generator=generator, device=generator.device) < 0.5
    return torch.where(mirrored[:, None, None, None], faces.flip(-1), faces)


def move(faces: Tensor, generator: torch.Generator) -> Tensor:
    """Shift by up to 8 %, turn by up to 12°, scale by up to 12 %: each face its own way."""
    n = len(faces)
    angle = _uniform(n, -12, 12, generator).deg2rad()
    scale = _uniform(n, 0.88, 1.12, generator)
    cos, sin = angle.cos() / scale, angle.sin() / scale
    dx, dy = (_uniform(n, -0.16, 0.16, generator) for _ in "xy")  # of half a side
    matrix = torch.stack([torch.stack([cos, -sin, dx], 1), torch.stack([sin, cos, dy], 1)], 1)
    grid = F.affine_grid(matrix, list(faces.shape), align_corners=False)  # (B, 48, 48, 2)
    return F.grid_sample(faces, grid, padding_mode="border", align_corners=False)


def cutout(faces: Tensor, generator: torch.Generator) -> Tensor:
    """Blank a square of a third of the side in half of the faces (DeVries & Taylor 2017)."""
    n, side, half = len(faces), faces.shape[-1], faces.shape[-1] // 6
    row, column = (_uniform(n, 0, side, generator)[:, None] for _ in "rc")
    at = torch.arange(side, device=faces.device)
    hidden = ((at - row).abs() < half)[:, :, None] & ((at - column).abs() < half)[:, None, :]
    hit = torch.rand(n, generator=generator, device=generator.device) < 0.5
    return faces.masked_fill((hidden & hit[:, None, None])[:, None], 0.0)


def stretch_and_shift(spectrograms: Tensor, generator: torch.Generator) -> Tensor:
    """Stretch time by 0.8 to 1.25, move bands by up to 4 of 64 and time by up to a fifth.

    The paper's time stretch and pitch shift, done on the spectrogram.
    """
    n = len(spectrograms)
    zeros, ones = torch.zeros(n), torch.ones(n)
    stretch = torch.exp(_uniform(n, -0.223, 0.223, generator)).cpu()
    later, higher = _uniform(n, -0.4, 0.4, generator).cpu(), _uniform(n, -0.125, 0.125, generator)
    matrix = torch.stack(
        [torch.stack([stretch, zeros, later], 1), torch.stack([zeros, ones, higher.cpu()], 1)], 1
    ).to(spectrograms)
    grid = F.affine_grid(matrix, list(spectrograms.shape), align_corners=False)
    return F.grid_sample(spectrograms, grid, padding_mode="border", align_corners=False)


def mask(spectrograms: Tensor, generator: torch.Generator) -> Tensor:
    """Blank up to 10 bands and up to 16 frames of each spectrogram (SpecAugment, Park 2019)."""
    n, masked = len(spectrograms), spectrograms
    for axis, widest in ((2, 10), (3, 16)):
        size = spectrograms.shape[axis]
        width = _uniform(n, 0, widest, generator)[:, None]
        start = _uniform(n, 0, size, generator)[:, None] - width / 2
        at = torch.arange(size, device=spectrograms.device)
        hidden = (at >= start) & (at < start + width)  # (B, size)
        shape = (n, 1, size, 1) if axis == 2 else (n, 1, 1, size)
        masked = masked.masked_fill(hidden.view(shape), 0.0)
    return masked


#: name → (input, change); the order is the order of application.
AUGMENTATIONS: dict[str, tuple[str, Callable]] = {
    "flip": ("video", flip),
    "move": ("video", move),
    "cutout": ("video", cutout),
    "stretch-and-shift": ("audio", stretch_and_shift),
    "mask": ("audio", mask),
}


#: The name of what happens before the spectrogram is made: `ALTERED_SOUND`.
WAVEFORM = "waveform"


# --- where faces and voices come from ------------------------------------------------------
# A source is called with (manifest, n_jobs, progress) and returns clip ids, values (clips, 1, …)
# and a description.

Source = Callable[[pd.DataFrame, int, bool], Part]


def _mel(
    manifest: pd.DataFrame, n_jobs: int, progress: bool, altered: tuple[str, ...] = ()
) -> Part:
    """Return the spectrograms of all clips, (clips, 1 + altered, 64, 94)."""
    recipes = {augment or "original": LogMel(augment=augment) for augment in (None, *altered)}
    return versions(manifest, recipes, n_jobs, progress)


def _faces(manifest: pd.DataFrame, n_jobs: int, progress: bool) -> Part:
    from emolib.features.faces import FaceFrames

    return extracted(manifest, FaceFrames(frames=1, size=SIDE), n_jobs, progress)


def _fer2013_faces(root: str | Path | None) -> Source:
    from emolib.corpora import fer2013

    def source(manifest: pd.DataFrame, n_jobs: int, progress: bool) -> Part:
        values = fer2013.images(root)[manifest["row"].to_numpy(int)][:, None]
        return manifest["clip_id"].tolist(), values, {"recipe": "FER2013 pictures, 48×48 grey"}

    return source


def _paired_faces(root: str | Path | None, seed: int) -> Source:
    def source(manifest: pd.DataFrame, n_jobs: int, progress: bool) -> Part:
        return dealt_faces(manifest, 1, SIDE, seed, root)

    return source


_SOURCES: dict[str, Callable] = {
    "fer2013": lambda root, seed: (
        corpora.load("fer2013", root),
        {"video": _fer2013_faces(root)},
    ),
    "ravdess": lambda root, seed: (corpora.load("ravdess", root), {"audio": _mel}),
    "paired": lambda root, seed: (
        corpora.load("paired", root),
        {"audio": _mel, "video": _paired_faces(root, seed)},
    ),
    "synthetic": lambda root, seed: (
        corpora.load("synthetic", root),
        {"audio": _mel, "video": _faces},
    ),
}


def _thinned(
    manifest: pd.DataFrame, root, mode: str, share: float, without_twins: bool, seed: int
) -> tuple[pd.DataFrame, int]:
    """Return the pictures to use, and how many training pictures have a twin in the test."""
    training = manifest["usage"] == "Training"
    kept = pd.Series(True, index=manifest.index)
    if without_twins:
        groups = _groups(root)[manifest["row"].to_numpy(int)]
        kept &= ~(training & np.isin(groups, groups[~training]))
    twins = int((~kept).sum())
    if mode == "quick":
        kept &= manifest.groupby(["usage", "emotion"]).cumcount() % 40 == 0
    if share < 1:
        part = manifest[kept & training].groupby("emotion").sample(frac=share, random_state=seed)
        kept &= ~training | manifest.index.isin(part.index)
    return subset(manifest, kept), twins


def _groups(folder: str | Path | None) -> np.ndarray:
    from emolib.corpora import fer2013, pictures

    return pictures.near_duplicates(fer2013.images(folder))


def _image_groups(corpus: str, manifest: pd.DataFrame, root, seed: int) -> np.ndarray | None:
    """Return the groups of near-duplicates that each clip's picture belongs to."""
    if corpus == "fer2013":
        return _groups(root)[manifest["row"].to_numpy(int)]
    if corpus == "paired":
        return dealt_groups(manifest, 1, seed, root)
    return None


# --- the full runs -------------------------------------------------------------------------
# Multiplications in bfloat16 take little more than half the time on a processor. Even so an epoch
# of the paper's face network takes more than a minute there.

_PAPER = replace(RECIPE, precision="bf16-mixed")
# At Keras's learning rate VGG13, which has no batch normalisation, does not leave chance.
_LARGE = replace(_PAPER, lr=1e-4)
# Fifteen steps an epoch are too few for the running statistics of batch normalisation behind
# dropout: the validation loss jumps, and one of two runs with the patience of faces stopped at
# chance. Twice as many steps and twice the patience.
_PAPER_VOICE = replace(_PAPER, batch_size=32, patience=20)
_CYCLE = replace(FACES, precision="bf16-mixed")
_MIXED = replace(_CYCLE, mixup=0.4)
_SHARP = replace(FACES, label_smoothing=0.0)
_FACE_CHANGES = ("flip", "move", "cutout")

#: The paper's face network on the official parts, without look-alikes of the test.
_CUSTOM = Experiment(
    "fer2013",
    "video",
    "official",
    seeds=(0,),
    split_options={"valid": 0.1},
    data={"without_twins": True},
    recipe=_PAPER,
    note="the paper's network",
)
#: Our face network and recipe.
_RESIDUAL = replace(
    _CUSTOM,
    seeds=(0, 1, 2),
    options={"design": "residual"},
    data={"without_twins": True, "augmentation": _FACE_CHANGES},
    recipe=_CYCLE,
    note="our design and recipe",
)
_MORE_TRAINING = replace(_RESIDUAL, seeds=(0,), split_options={"valid": 0.05})
# Half the widths that the network has by default (the paper gives none): a quarter of the work,
# and fewer weights for 960 training clips.
_VOICE = Experiment(
    "ravdess",
    "audio",
    seeds=(0,),
    options={"audio_channels": (16, 32, 64, 128)},
    data={"augmentation": (WAVEFORM,)},
    recipe=_PAPER_VOICE,
    note="the paper's recipe",
)


def _quarter(
    note: str, recipe: TrainingRecipe = RECIPE, *, design: str = "residual", augmentation=()
) -> Experiment:
    """Return a run with a small budget, the same for all that are compared."""
    return replace(
        _CUSTOM,
        options={"design": design} if design != "custom" else {},
        recipe=replace(recipe, max_epochs=20, patience=None, precision="bf16-mixed"),
        data={"without_twins": True, "share": 0.25, "augmentation": augmentation},
        note=f"{note}; a quarter of the pictures, 20 epochs",
    )


FULL: dict[str, Experiment] = {
    "fer-residual-official": _RESIDUAL,
    # Three of these answer together within the budget of one.
    "fer-slim-official": replace(
        _RESIDUAL,
        recipe=replace(_CYCLE, max_epochs=60),
        options={"design": "residual", "channels": (16, 32, 64, 96)},
        note="our design, slimmer, 60 epochs",
    ),
    # The official parts as they come: with the pictures that look like one of the test.
    "fer-residual-twins-official": replace(
        _RESIDUAL,
        allow_leak="image",
        data={"augmentation": _FACE_CHANGES},
        note="the same, look-alikes left in",
    ),
    "fer-residual-mixup-official": replace(
        _MORE_TRAINING, recipe=_MIXED, note="our design and recipe, with mixup"
    ),
    "fer-residual-long-official": replace(
        _MORE_TRAINING,
        recipe=replace(_CYCLE, max_epochs=100),
        note="our design, 100 epochs without mixup",
    ),
    "fer-custom-official": _CUSTOM,
    "fer-custom-random": replace(
        _CUSTOM,
        split="clip",
        split_options={},
        allow_leak="clip",
        folds=(0,),
        data={},
        note="the paper's network and 80/20 split",
    ),
    "fer-step-0": _quarter("the paper's network and recipe", design="custom"),
    "fer-step-1": _quarter("residual network, the paper's recipe"),
    "fer-step-2": _quarter("and one cycle of AdamW", _SHARP),
    "fer-step-3": _quarter("and mirrored, moved, cut faces", _SHARP, augmentation=_FACE_CHANGES),
    "fer-step-4": _quarter("and softened labels", FACES, augmentation=_FACE_CHANGES),
    "fer-step-5": _quarter("and mixup", _MIXED, augmentation=_FACE_CHANGES),
    # The paper's random 80/20: one sample is one clip, so this is the split by clip.
    "mel-clip": replace(
        _VOICE, split="clip", allow_leak="clip", folds=(0, 1), note="the paper's recipe and 80/20"
    ),
    # The way from the paper's voice network to ours, all folds each.
    "mel-actor": _VOICE,
    "mel-cycle-actor": replace(_VOICE, recipe=VOICES, note="one cycle of AdamW, softened labels"),
    "mel-ours-actor": replace(
        _VOICE,
        seeds=(0, 1, 2),
        recipe=VOICES,
        data={"augmentation": (WAVEFORM, "mask")},
        options={"audio_channels": (16, 32, 64, 128), "audio_dropout": 0.1},
        note="our recipe: and blanked bands and frames, less dropout",
    ),
    # Table III's other networks, for a GPU: from scratch, for want of ImageNet's weights.
    **{
        f"fer-{design}-official": replace(
            _CUSTOM,
            options={"design": design},
            recipe=replace(_LARGE, batch_size=128),
            note=f"{design} from scratch",
        )
        for design in ("vgg13", "resnet50")
    },
    # The same on the small budget of the steps, within reach of a processor.
    "fer-quarter-vgg13": _quarter("VGG13 from scratch", _LARGE, design="vgg13"),
    "fer-quarter-resnet50": _quarter("ResNet50 from scratch", _LARGE, design="resnet50"),
}
