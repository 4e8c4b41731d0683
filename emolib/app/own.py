"""A reader's own network judges a file, a face or a piece of sound, whichever paper it is of.

Its inputs are made by the streams of its paper, of one clip as of a whole corpus. What they need is
on the card: the options of the streams, and the scale that the training rows gave.
"""

import importlib
import inspect
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emolib import registry, results
from emolib.app import weights
from emolib.app.weights import PredictionError, PublishedNetwork
from emolib.features.faces import FaceBox
from emolib.papers import dataset, streams
from emolib.papers.experiment import Experiment


def publish(
    key: str, experiment: Experiment, result: results.Result, folder: Path, *, run: int = 0
) -> Path:
    """Write the weights of a run of one's own experiment, with the card that puts them to use.

    Parameters
    ----------
    key, experiment, result
        The paper, what was run, and what came out.
    folder
        Where to write ``face.safetensors``, ``voice.safetensors`` or ``both.safetensors``, each
        with its card; networks of other modalities may lie there already.
    run
        Which of the result's runs.

    Raises
    ------
    PredictionError
        If the recordings have changed since.
    """
    from emolib.papers import engine

    chosen = result.runs[run]
    data, split, _ = engine.prepared(key, experiment, result.mode)
    scales = data.scales(data.rows(split, chosen.fold))
    media = streams.MODALITIES[result.modality]
    # What the network is given, not what is stored: versions to draw from are for training.
    given = data.prepare(dict(data.samples.take(torch.tensor([0])).inputs), None)
    entries = {
        "data": _options(key, engine.completed(key, experiment).data),
        "scale": {
            name: {"mean": mean.tolist(), "sd": sd.tolist()} for name, (mean, sd) in scales.items()
        },
        "input": {name: list(values.shape[1:]) for name, values in given.items()},
        "made_of": {name: data.features.get(name, {}) for name in media},
        "new_people": _for_new_people(result),
    }
    if [*data.manifest["clip_id"]] != result.samples.clip_ids:
        raise PredictionError("the recordings have changed since the training: train again")
    return weights.publish(
        result, seed=chosen.seed, fold=chosen.fold, folder=folder, entries=entries
    )


def inputs(
    network: PublishedNetwork,
    clip: Mapping[str, Any],
    known: Mapping[str, np.ndarray] | None = None,
) -> dict[str, torch.Tensor]:
    """Return what a network is given of one clip: named tensors, one row a segment.

    Parameters
    ----------
    network
        With a card that `publish` wrote.
    clip, known
        As for `streams.of_clip`.

    Raises
    ------
    FeatureProblem
        If the file has not got what the network is given, or cannot be read.
    """
    card = network.card
    made = streams.of_clip(
        _module(card["paper"]).declare, clip, card["modality"], known=known, **card.get("data", {})
    )
    scales = {
        name: (torch.tensor(one["mean"]).double(), torch.tensor(one["sd"]).double())
        for name, one in card.get("scale", {}).items()
    }
    return made.prepare(dict(dataset.scaled(made.samples, scales).inputs), None)


def probabilities(
    network: PublishedNetwork,
    clip: Mapping[str, Any],
    known: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Return the probabilities (C,) of the emotions of one clip, given as for `inputs`."""
    with torch.inference_mode():
        return network.model(**inputs(network, clip, known)).softmax(1).mean(0).numpy()


def of_face(network: PublishedNetwork, image: np.ndarray, face: FaceBox) -> np.ndarray:
    """Return the probabilities (C,) of a face in one picture, uint8 RGB (H, W, 3).

    The face is shown as often as the network wants frames.
    """
    card = network.card
    request = streams.Request("table", card["modality"], "quick", progress=False)
    options = {name: value for name, value in card["data"].items() if name != "seed"}
    recipes = _module(card["paper"]).declare(request, **options).streams["video"].recipes
    recipe: Any = recipes["original"]
    seen = np.stack([recipe.cut(image, face)] * recipe.frames)
    return probabilities(network, {"clip_id": "face", "path": ""}, {"video": seen})


def of_sound(network: PublishedNetwork, samples: np.ndarray, rate: int) -> np.ndarray:
    """Return the probabilities (C,) of a piece of mono sound (n,)."""
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sound.wav"
        soundfile.write(file, samples, rate, subtype="FLOAT")
        return probabilities(network, {"clip_id": "sound", "path": str(file)})


def _module(key: str) -> Any:
    return importlib.import_module(registry.module(key))


def _options(key: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that say what the inputs are, and not where they come from."""
    known = {*inspect.signature(_module(key).declare).parameters, "seed"} - {"device"}
    return {name: value for name, value in data.items() if name in known}


def _for_new_people(result: results.Result) -> dict[str, Any] | str:
    """Return what somebody new may expect, or why that was not measured."""
    if result.split.kind != "actor":
        return "not measured: the same people are in training and test"
    return {
        name: {"mean": round(one.mean, 4), "interval": [round(end, 4) for end in one.interval]}
        for name, one in result.summary.items()
        if name in ("accuracy", "uar")
    }
