"""Ding, Tang, Lu: how their network is trained, and the full runs the book shows.

A clip is cut into six segments. Each segment is one sample: 40 MFCC averaged over its sixth of
the sound, and one grey face. Training is on segments; a clip's probabilities are the mean of
its six. What the paper leaves open is an option of `declare`:

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

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from emolib.papers import streams
from emolib.papers.augment import one_version
from emolib.papers.dataset import Dataset
from emolib.papers.experiment import Experiment, choose, experiments_beside
from emolib.papers.streams import Declaration, Request, Stream
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
DRAWS = 4
NOISE_SD = 0.1  # variance 0.01 on a scale of 0 to 1
STRETCH = 0.8
AUGMENTATIONS = ("copies", "alternate", "none")


def declare(
    request: Request,
    *,
    normalise: str = "none",
    augmentation: str = "copies",
    draws: int = DRAWS,
) -> Declaration:
    """Return what the network is given: six segments for each clip.

    "audio" is (N, 40), "video" stored uint8 (N, draws, 64, 64) and given as (B, 1, 64, 64).

    Parameters
    ----------
    normalise
        "none" or "train", see above.
    augmentation
        "copies", "alternate" or "none", see above.
    draws
        Pictures to draw from in training, where a clip shows one.
    """
    from emolib.features.audio import Mfcc
    from emolib.features.faces import FaceFrames

    choose("normalise", normalise, ("none", "train"))
    choose("augmentation", augmentation, AUGMENTATIONS)
    altered = () if augmentation == "none" else (f"time_stretch={STRETCH}",)
    return Declaration(
        streams={
            "audio": Stream(
                streams.altered(partial(Mfcc, n_mfcc=N_MFCC, segments=SEGMENTS), altered),
                form=_sounds,
                standardise=(0,) if normalise == "train" else (),
            ),
            "video": Stream(
                {"original": FaceFrames(frames=SEGMENTS, size=SIDE)},
                form=_faces,
                pictures=(SEGMENTS, SIDE),
                draws=draws,
            ),
        },
        prepare=prepare,
        segments=SEGMENTS,
        options={"segments": SEGMENTS, "normalise": normalise, "augmentation": augmentation},
        finish=partial(_with_altered, augmentation=augmentation, seed=request.seed),
    )


load = streams.loader(declare)


def _sounds(values: np.ndarray) -> np.ndarray:
    """Return (clips · 6, versions, 40)."""
    return np.swapaxes(values, 1, 2).reshape(-1, values.shape[1], N_MFCC)


def _faces(values: np.ndarray) -> np.ndarray:
    """Return (clips · 6, draws, 64, 64)."""
    return np.swapaxes(values, 1, 2).reshape(-1, values.shape[1], SIDE, SIDE)


def _with_altered(dataset: Dataset, augmentation: str, seed: int) -> Dataset:
    """Take stretched sounds apart from the plain ones, and put noisy faces beside them."""
    stored = dataset.samples.inputs
    plain = {name: values[:, 0] if name == "audio" else values for name, values in stored.items()}
    if augmentation == "none":
        return replace(dataset, samples=Samples(plain, dataset.samples.labels))
    altered = {
        name: values[:, 1] if name == "audio" else _noisy(values, seed)
        for name, values in stored.items()
    }
    if augmentation == "alternate":
        twins = {f"{name}_altered": values for name, values in altered.items()}
        axes = {f"{name}_altered": axes for name, axes in dataset.standardise.items()}
        samples = Samples(plain | twins, dataset.samples.labels)
        return replace(dataset, samples=samples, standardise={**dataset.standardise, **axes})
    samples, copies = (Samples(inputs, dataset.samples.labels) for inputs in (plain, altered))
    return replace(dataset, samples=samples, copies=(copies,))


def prepare(inputs: dict[str, Tensor], generator: torch.Generator | None) -> dict[str, Tensor]:
    """Choose between altered and not, and among pictures, in training; scale them to [0, 1]."""
    given = {name: values for name, values in inputs.items() if not name.endswith("_altered")}
    if generator is not None and len(given) < len(inputs):
        n = len(next(iter(given.values())))
        altered = torch.rand(n, generator=generator, device=generator.device) < 0.5
        for name, values in given.items():
            choice = altered.view(-1, *[1] * (values.ndim - 1))
            given[name] = torch.where(choice, inputs[f"{name}_altered"], values)
    if "video" in given:
        given["video"] = one_version(given["video"], generator)[:, None].float() / 255
    return given


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

FULL: dict[str, Experiment] = experiments_beside(__file__, RECIPE=RECIPE)
