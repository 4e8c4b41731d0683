"""Yang, Lv, Liu: how their network is trained, and the full runs the book shows.

One sample is one clip: MFCC of 3.6 s of sound, and a few faces of the same 3.6 s. The paper
says little of how it was done; every gap is filled here in the open, and is an option of `load`
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
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from emolib import corpora
from emolib.models import yang as network
from emolib.papers import face_features
from emolib.papers.engine import Dataset, ExperimentError
from emolib.papers.experiment import Experiment
from emolib.papers.streams import (
    aligned,
    below,
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

#: The paper names none of this. Compared with a shorter recipe on validation actors, with ordinary
#: MFCC (a gain within the noise); the number of epochs was set, not searched.
RECIPE = TrainingRecipe(
    optimizer="adamw", lr=4e-3, weight_decay=0.05, batch_size=64, max_epochs=16,
    scheduler="onecycle", monitor="loss", restore_best=True, clip_norm=1.0, label_smoothing=0.1,
)  # fmt: skip

FRAMES = 6
SIZE = 48
ADAPTIVE = "adaptive"
MODALITIES = {"audio": ("audio",), "video": ("video",), "both": ("audio", "video")}


def load(
    corpus: str,
    modality: str,
    mode: str = "full",
    *,
    root: str | Path | None = None,
    order: float | str = ADAPTIVE,
    n_mfcc: int = 10,
    frames: int = FRAMES,
    size: int = SIZE,
    spatial: str = "features",
    face_network: str = "mobilenetv2",
    n_jobs: int = 2,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
) -> Dataset:
    """Return the samples of a corpus: one for each clip.

    Parameters
    ----------
    corpus
        "ravdess" (real voices, audio only), "paired" (those voices with FER2013 faces) or
        "synthetic" (generated videos: Haar faces and their sound).
    modality
        "audio" (N, n_mfcc, 311), "video" (N, frames, …) or "both".
    mode
        "quick" takes one statement and repetition of the recordings, a quarter of the clips, and
        leaves the face network untrained.
    root
        Folder of the corpus.
    order
        Of the fractional Fourier transform: a number for all frames, or "adaptive".
    n_mfcc
        Rows of the MFCC.
    frames, size
        Faces of a clip and their side in pixels.
    spatial
        "features": video is (N, frames, width), made once by a face network that stays as it is.
        "pixels": video is uint8 (N, frames, size, size) and becomes (N, frames, 3, size, size).
    face_network
        Whose features: "mobilenetv2" or "shufflenetv2".
    n_jobs
        Processes that extract features which are not stored yet.
    seed
        Deals pictures to voices (paired) and seeds the face network.
    device
        Where the face network is trained.

    Raises
    ------
    ExperimentError
        If the corpus has not got the modality, or an option is unknown.
    """
    _check(corpus, modality, spatial, face_network, order)
    manifest = corpora.load(corpus, root)
    if mode == "quick" and corpus != "synthetic":
        manifest = quarter(manifest)
    values: dict[str, tuple[list[str], np.ndarray]] = {}
    said: dict[str, Any] = {}
    if "audio" in MODALITIES[modality]:
        *values["audio"], said["audio"] = _mfcc(manifest, order, n_mfcc, n_jobs, progress)
    if "video" in MODALITIES[modality]:
        if corpus == "paired":
            part = dealt_faces(manifest, frames, size, seed, root)
        else:
            part = extracted(manifest, face_recipe(frames, size), n_jobs, progress)
        *values["video"], said["video"] = part
    manifest, left_out = complete(manifest, [ids for ids, _ in values.values()])
    inputs = {name: aligned(*pair, manifest) for name, pair in values.items()}
    standardise = {"audio": (0, 2)} if "audio" in inputs else {}
    if "video" in inputs and spatial == "features":
        untrained = mode == "quick" or corpus != "paired"
        eyes = (
            face_features.untrained(face_network, seed)
            if untrained
            else _face_network(face_network, root, frames, size, seed, device, progress)
        )
        inputs["video"] = eyes.features(inputs["video"])
        # One scale for all channels: one that is silent in training has none of its own.
        standardise["video"] = (0, 1, 2)
        said["video"] |= {"features": eyes.said}
    names, labels = classes(corpus, manifest)
    return Dataset(
        samples=Samples({name: torch.from_numpy(array) for name, array in inputs.items()}, labels),
        manifest=manifest,
        n_segments=1,
        classes=names,
        prepare=prepare,
        features={"clips_left_out": left_out, **said},
        standardise=standardise,
        images=dealt_groups(manifest, frames, seed, root) if corpus == "paired" else None,
    )


def prepare(inputs: dict[str, Tensor], generator: torch.Generator | None) -> dict[str, Tensor]:
    """Turn stored pictures, if there are any, into (N, frames, 3, size, size)."""
    video = inputs.get("video")
    if video is not None and video.dtype == torch.uint8:
        return inputs | {"video": face_features.normalised(video)}
    return inputs


def _check(corpus: str, modality: str, spatial: str, face_network: str, order) -> None:
    choose("corpus", corpus, ("ravdess", "paired", "synthetic"))
    choose("modality", modality, MODALITIES)
    choose("spatial", spatial, ("features", "pixels"))
    choose("face_network", face_network, network.Spatial.WIDTHS)
    if isinstance(order, str) and order != ADAPTIVE:
        raise ExperimentError(f"unknown order {order!r}: give a number, 0 ≤ p < 4, or {ADAPTIVE!r}")
    refuse_silent_pictures(corpus, modality)


# --- sound ---------------------------------------------------------------------------------


def mfcc_recipe(order: float | str = ADAPTIVE, n_mfcc: int = 10):
    """Return the recipe of the audio stream: FrFT-MFCC, or at order 1 the same as plain MFCC."""
    from emolib.features.frft import FrftMfcc

    return FrftMfcc(order=None if order == ADAPTIVE else float(order), n_mfcc=n_mfcc)


def _mfcc(manifest: pd.DataFrame, order, n_mfcc: int, n_jobs: int, progress: bool):
    recipe = mfcc_recipe(order, n_mfcc)
    ids, values, said = extracted(manifest, recipe, n_jobs, progress)
    options = asdict(recipe)
    if recipe.order is not None:
        del options["orders"]  # candidates of the adaptive order only
    said = {
        "front_end": "MFCC" if recipe.order == 1 else "FrFT-MFCC",
        **options,
        "digest": said["digest"],
        "problems": said["problems"],
    }
    return ids, values, said


# --- faces ---------------------------------------------------------------------------------


def face_recipe(frames: int = FRAMES, size: int = SIZE):
    """Return the recipe of filmed faces: grey, (frames, size, size), from the same 3.6 s."""
    from emolib.features.window import WindowFaces

    return WindowFaces(frames=frames, size=size, grey=True, detector="haar")


def spare_pictures(root: str | Path | None = None, frames: int = FRAMES, seed: int = 0):
    """Return the rows of FER2013 that no paired clip shows, nor a near-duplicate of.

    Returns
    -------
    ndarray of int
        Rows of ``fer2013.images()``, ascending.
    """
    from emolib.corpora import fer2013, pictures

    groups = pictures.near_duplicates(fer2013.images(below(root, "fer2013")))
    shown = dealt_groups(corpora.load("paired", root), frames, seed, root)
    return np.flatnonzero(~np.isin(groups, shown))


def _face_network(
    name: str, root, frames: int, size: int, seed: int, device: str, progress: bool
) -> face_features.FaceNetwork:
    from emolib.corpora import fer2013

    if size != SIZE:
        raise ExperimentError(
            f"the frozen face network is made from FER2013 pictures of {SIZE}×{SIZE}: leave "
            f"size={SIZE}, or train it with the rest (spatial='pixels')"
        )
    rows = spare_pictures(root, frames, seed)
    emotions = (
        fer2013.manifest(below(root, "fer2013"))["emotion"].map(fer2013.CLASSES.index).to_numpy()
    )
    pictures = np.array(fer2013.images(below(root, "fer2013"))[rows])
    return face_features.trained(
        name, pictures, emotions[rows], seed=seed, device=device, progress=progress
    )


# --- the full runs -------------------------------------------------------------------------

#: The orders of the study, the ordinary transform first. Orders beyond one repeat those below
#: it, because the folded power of a real frame is the same at p and 2 - p. One of them is trained
#: all the same: how far 1.25 comes out from 0.75 is what rounding alone does to a result.
ORDERS = (1.0, ADAPTIVE, 0.95, 0.9, 0.75, 0.5, 1.25)
_FRONT_ENDS = {1.0: "ordinary MFCC", ADAPTIVE: "FrFT-MFCC, order by frame"}
_FACES = f"of {FRAMES} faces of {SIZE}×{SIZE}"


def _voice(order: float | str, residual: bool = True) -> Experiment:
    """Return one front end on real voices, with plain or residual blocks."""
    front_end = _FRONT_ENDS.get(order, f"FrFT-MFCC, p = {order}")
    return Experiment(
        "ravdess",
        "audio",
        data={"order": order},
        options={"residual": residual},
        note=f"{front_end}, {'residual' if residual else 'plain'} blocks",
    )


def _rung(front_end: str, options: Mapping[str, Any]) -> Experiment:
    """Return one rung of Tables V and VII on paired data, with frozen face features."""
    order = 1.0 if front_end == "mfcc" else ADAPTIVE
    name, width = options["spatial"], network.Spatial.WIDTHS[options["spatial"]]
    return Experiment(
        "paired",
        "both",
        data={"order": order, "face_network": name},
        options={**options, "spatial": "features", "spatial_width": width},
        note=f"{_FRONT_ENDS[order]}, frozen {name} features {_FACES}, {options['fusion']} fusion, "
        f"{'residual' if options['residual'] else 'plain'} blocks",
    )


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


FULL: dict[str, Experiment] = {
    # Does the fractional transform help? (seven orders, one network)
    **{f"audio-{order}": _voice(order) for order in ORDERS},
    # The rungs of Tables V and VII that differ in the audio stream alone.
    "audio-1.0-plain": _voice(1.0, residual=False),
    "audio-adaptive-plain": _voice(ADAPTIVE, residual=False),
    # What the split is worth.
    "audio-adaptive-clip": replace(_voice(ADAPTIVE), split="clip", allow_leak="clip"),
    # Tables V and VII.
    **{f"paired-rung{i}": _rung(*rung) for i, rung in enumerate(network.LADDER, start=1)},
    # Table III; its third row is paired-rung5.
    "paired-audio": Experiment("paired", "audio", note=_FRONT_ENDS[ADAPTIVE]),
    "paired-video": Experiment(
        "paired",
        "video",
        options={"spatial": "features"},
        note=f"frozen mobilenetv2 features {_FACES}",
    ),
    # For a GPU.
    "paired-both-224": Experiment(
        "paired",
        "both",
        data={"spatial": "pixels", "size": 224, "frames": 15},
        note="MobileNetV2 trained with the rest, 15 faces enlarged to 224×224",
    ),
}
