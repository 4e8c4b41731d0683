"""Yang, Lv, Liu: how their network is trained, and the full runs the book shows.

One sample is one clip: MFCC of 3.6 s of sound, and a few faces of the same 3.6 s. The paper
says little of how it was done; every gap is filled here in the open, and is an option of `declare`
where it may matter:

* No optimiser, batch size, number of epochs or stopping rule: `RECIPE`.
* No order p of the fractional Fourier transform. By default each frame has its own, the one at
  which its energy is most concentrated, for the text says that the transform "adaptively
  identifies the domain in which the signal's energy is most concentrated". A number gives every
  frame the same order; 1 is the ordinary transform, and then these are ordinary MFCC.
* No number of MFCC, frames or hop: `emolib.features.frft.FrftMfcc`. MFCC are standardised with
  the training rows of each fold.
* Frames of 224×224 through MobileNetV2 need a GPU. The committed runs take its features of 48×48
  faces (all that FER2013 has) from a network that was trained beforehand on pictures that no clip
  shows and is not trained further (``spatial="features"``); ``spatial="pixels"`` trains it with
  the rest, at any `size`.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emolib import corpora
from emolib.corpora.paired import folder_of
from emolib.models import yang as network
from emolib.papers import face_features, streams
from emolib.papers.augment import one_version
from emolib.papers.experiment import Experiment, ExperimentError, choose, experiments_beside
from emolib.papers.streams import Declaration, Request, Stream
from emolib.training import TrainingRecipe

#: The paper names none of this. Compared with a shorter recipe on validation actors, with ordinary
#: MFCC (a gain within the noise); the number of epochs was set, not searched.
RECIPE = TrainingRecipe(
    optimizer="adamw", lr=4e-3, weight_decay=0.05, batch_size=64, max_epochs=16,
    scheduler="onecycle", monitor="loss", restore_best=True, clip_norm=1.0, label_smoothing=0.1,
)  # fmt: skip

FRAMES = 6
SIZE = 48
DRAWS = 6
ADAPTIVE = "adaptive"


def declare(
    request: Request,
    *,
    order: float | str = ADAPTIVE,
    n_mfcc: int = 10,
    frames: int = FRAMES,
    size: int = SIZE,
    draws: int = DRAWS,
    spatial: str = "features",
    face_network: str = "mobilenetv2",
    device: str = "auto",
) -> Declaration:
    """Return what the network is given: one sample for each clip.

    "audio" is (N, n_mfcc, 311), "video" (N, draws, frames, …).

    Parameters
    ----------
    order
        Of the fractional Fourier transform: a number for all frames, or "adaptive".
    n_mfcc
        Rows of the MFCC.
    frames, size
        Faces of a clip and their side in pixels.
    draws
        Pictures to draw from in training, where a clip shows one.
    spatial
        "features": video is (N, draws, frames, width), made once by a face network that stays as it
        is: untrained in quick runs and where no pictures are left over that no clip shows.
        "pixels": video is uint8 (N, draws, frames, size, size), and (B, frames, 3, size, size) when
        it is given.
    face_network
        Whose features: "mobilenetv2" or "shufflenetv2".
    device
        Where the face network is trained.
    """
    choose("spatial", spatial, ("features", "pixels"))
    choose("face_network", face_network, network.Spatial.WIDTHS)
    if isinstance(order, str) and order != ADAPTIVE:
        raise ExperimentError(f"unknown order {order!r}: give a number, 0 ≤ p < 4, or {ADAPTIVE!r}")
    sound = mfcc_recipe(order, n_mfcc)
    video = Stream(
        {"original": face_recipe(frames, size)},
        form=streams.every_version,
        pictures=(frames, size),
        draws=draws,
    )
    if spatial == "features":
        eyes = cache(lambda: _face_network(face_network, request, draws, size, device))
        video = replace(
            video,
            form=lambda values: eyes().features(values),
            # One scale for all channels: one that is silent in training has none of its own.
            standardise=(0, 1, 2, 3),
            describe=lambda about: streams.of_the_original(about) | {"features": eyes().said},
        )
    return Declaration(
        streams={
            "audio": Stream(
                {"original": sound}, standardise=(0, 2), describe=partial(_named, recipe=sound)
            ),
            "video": video,
        },
        prepare=prepare,
    )


load = streams.loader(declare)


def prepare(inputs: dict[str, Tensor], generator: torch.Generator | None) -> dict[str, Tensor]:
    """Draw a picture of each clip in training; pixels become (B, frames, 3, size, size)."""
    if "video" not in inputs:
        return inputs
    video = one_version(inputs["video"], generator)
    pixels = video.dtype == torch.uint8
    return inputs | {"video": face_features.normalised(video) if pixels else video}


# --- sound ---------------------------------------------------------------------------------


def mfcc_recipe(order: float | str = ADAPTIVE, n_mfcc: int = 10):
    """Return the recipe of the audio stream: FrFT-MFCC, or at order 1 the same as plain MFCC."""
    from emolib.features.frft import FrftMfcc

    return FrftMfcc(order=None if order == ADAPTIVE else float(order), n_mfcc=n_mfcc)


def _named(about: Mapping[str, Any], recipe) -> dict[str, Any]:
    """Say what front end it is: at order 1 nothing of it is fractional."""
    options = asdict(recipe)
    if recipe.order is not None:
        del options["orders"]  # candidates of the adaptive order only
    return {
        "front_end": "MFCC" if recipe.order == 1 else "FrFT-MFCC",
        **options,
        "digest": about["digest"],
        "problems": about["problems"],
    }


# --- faces ---------------------------------------------------------------------------------


def face_recipe(frames: int = FRAMES, size: int = SIZE):
    """Return the recipe of filmed faces: grey, (frames, size, size), from the same 3.6 s."""
    from emolib.features.window import WindowFaces

    return WindowFaces(frames=frames, size=size, grey=True, detector="haar")


def spare_pictures(root: str | Path | None = None, draws: int = DRAWS, seed: int = 0):
    """Return the rows of FER2013 that no paired clip may show, nor a near-duplicate of.

    Returns
    -------
    ndarray of int
        Rows of ``fer2013.images()``, ascending.
    """
    request = Request("paired", "video", root=root, seed=seed)
    groups = streams.near_duplicates(request)
    clips = corpora.load("paired", root)
    shown = corpora.CORPORA["paired"].frames(clips, draws, seed, root=root)
    return np.flatnonzero(~np.isin(groups, groups[shown]))


def _face_network(
    name: str, request: Request, draws: int, size: int, device: str
) -> face_features.PictureNetwork:
    if request.mode == "quick" or request.corpus != "paired":
        return face_features.untrained(name, request.seed)
    if size != SIZE:
        raise ExperimentError(
            f"the frozen face network is made from FER2013 pictures of {SIZE}×{SIZE}: leave "
            f"size={SIZE}, or train it with the rest (spatial='pixels')"
        )
    from emolib.corpora import fer2013

    rows = spare_pictures(request.root, draws, request.seed)
    folder = folder_of("fer2013", request.root)
    emotions = fer2013.manifest(folder)["emotion"].map(fer2013.CLASSES.index).to_numpy()
    return face_features.trained(
        name, np.array(fer2013.images(folder)[rows]), emotions[rows],
        seed=request.seed, device=device, progress=request.progress,
    )  # fmt: skip


# --- the full runs -------------------------------------------------------------------------

#: The orders of the study, the ordinary transform first. Orders beyond one repeat those below
#: it, because the folded power of a real frame is the same at p and 2 - p. One of them is trained
#: all the same: how far 1.25 comes out from 0.75 is what rounding alone does to a result.
ORDERS = (1.0, ADAPTIVE, 0.95, 0.9, 0.75, 0.5, 1.25)


def completed(experiment: Experiment) -> Experiment:
    """Let the network and its data agree where an experiment leaves it open.

    A face network of its own is shown pictures; otherwise it is given the features that `load`
    makes of them.
    """
    own = experiment.options.get("spatial")
    if own in network.Spatial.WIDTHS:
        return experiment.changed(data={"spatial": "pixels"})
    if own or experiment.modality == "audio" or experiment.data.get("spatial") == "pixels":
        return experiment
    width = network.Spatial.WIDTHS[experiment.data.get("face_network", "mobilenetv2")]
    return experiment.changed(options={"spatial": "features", "spatial_width": width})


FULL: dict[str, Experiment] = experiments_beside(__file__, RECIPE=RECIPE)
