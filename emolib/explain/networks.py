"""Networks to explain: published ones with the clips that tested them, or one trained here."""

# ruff: noqa: PD011 - the `values` of an attribution are tensors, not a DataFrame's

import importlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from emolib import corpora, models, paths, registry
from emolib.corpora import splits
from emolib.corpora.manifest import subset
from emolib.explain.areas import region_scores, regions_of
from emolib.explain.chance import Learned, UnlearnedError, learned
from emolib.explain.methods import COMPLETE, integrated_gradients
from emolib.papers import streams
from emolib.papers.dataset import scaled
from emolib.papers.experiment import choose
from emolib.training import Samples

_FILES = {"audio": "voice", "video": "face"}


# --- published ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Published:
    """A network of a full run, and its card.

    Attributes
    ----------
    model
        In evaluation mode.
    card
        What it was trained on, and how well it did: see `emolib.app.weights.publish`.
    """

    model: nn.Module
    card: dict[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return tuple(self.card["classes"])

    @property
    def learned(self) -> Learned:
        """How it compares with chance, by the test that its card tells of."""
        return learned(self.card)


@dataclass(frozen=True)
class Tested:
    """Samples that a published network has not been trained on, as it takes them.

    Attributes
    ----------
    inputs
        Named tensors, N samples.
    labels, clips, actors
        Class number, clip and speaker of each sample, (N,).
    """

    inputs: dict[str, Tensor]
    labels: Tensor
    clips: np.ndarray
    actors: np.ndarray


def published(key: str, modality: str) -> Published:
    """Return the published network of a paper for "audio" or "video".

    Raises
    ------
    UnlearnedError
        If there is none.
    ExperimentError
        If the modality is unknown.
    """
    from safetensors.torch import load_file

    choose("modality", modality, streams.MODALITIES)
    file = paths.find(paths.WEIGHTS / key / f"{_FILES.get(modality, modality)}.safetensors")
    if not file.is_file():
        there = ", ".join(f"{paper} {name}" for paper, name in every_published())
        raise UnlearnedError(
            f"no weights of {key} for {modality} are published: there are {there}; explain one of "
            f"them, or train {key} with `emolib train {key} --weights FOLDER`"
        )
    card = json.loads(file.with_suffix(".json").read_text())
    if paths.sha256(file) != card["sha256"]:
        raise UnlearnedError(f"{file} is not the file its card describes: fetch both again")
    model = models.build(card["paper"], len(card["classes"]), **card["options"])
    model.load_state_dict(load_file(file))
    return Published(model.eval(), card)


def every_published() -> list[tuple[str, str]]:
    """Return paper and modality of all published networks of one medium."""
    names = {file: modality for modality, file in _FILES.items()}
    return [
        (file.parent.name, names[file.stem])
        for file in paths.files(paths.WEIGHTS, "*/*.safetensors")
        if file.stem in names
    ]


def tested(network: Published, *, clips: int | None = None) -> Tested:
    """Return clips of the speakers, or the pictures, that tested a network, from the recordings.

    Only these clips are made, so that nothing has to be stored beforehand.

    Parameters
    ----------
    network
        A published one.
    clips
        About how many, evenly from all emotions and speakers; all by default.

    Raises
    ------
    CorpusError
        If the recordings are not here.
    """
    make = _pictures if network.card["modality"] == "video" else _voices
    return make(network, clips)


def _voices(network: Published, clips: int | None) -> Tested:
    """Make the inputs of some clips, as the paper's loader makes those of a corpus."""
    card = network.card
    manifest = corpora.heard(corpora.load("ravdess"), "ravdess")
    manifest = _some(manifest, _unseen(manifest, card), clips)
    module = importlib.import_module(registry.module(card["paper"]))
    parts = [
        streams.of_clip(module.declare, clip, "audio", **card.get("data", {}))
        for clip in manifest.to_dict("records")
    ]
    stored = torch.cat([part.samples.inputs["audio"] for part in parts])
    samples = Samples({"audio": stored}, torch.zeros(len(stored), dtype=torch.long))
    given = parts[0].prepare(dict(scaled(samples, _scales(card)).inputs), None)
    return _labelled(given, manifest, card["classes"], parts[0].n_segments)


def _pictures(network: Published, clips: int | None) -> Tested:
    """Take the pictures that tested a face network, of the corpus that it was tested on."""
    card = network.card
    module = importlib.import_module(registry.module(card["paper"]))
    # What a clip shows first is what it shows in the test, however many training draws from.
    fewer = {"draws": 1} if "draws" in inspect.signature(module.declare).parameters else {}
    options = {**card.get("data", {}), **fewer}
    data = module.load(card["corpus"], "video", progress=False, **options)
    manifest = data.manifest.assign(place=np.arange(len(data.manifest)))
    chosen = _some(manifest, _unseen(manifest, card), clips)
    rows = chosen["place"].to_numpy()[:, None] * data.n_segments + np.arange(data.n_segments)
    samples = scaled(data.samples.take(torch.as_tensor(rows.ravel())), _scales(card))
    given = data.prepare(dict(samples.inputs), None)
    return _labelled(given, chosen, card["classes"], data.n_segments)


def _unseen(manifest: pd.DataFrame, card: Mapping[str, Any]) -> pd.Series:
    """Tell which clips or pictures the network has not been trained on."""
    known = manifest["emotion"].isin(card["classes"])
    if card["tested_on_actors"]:
        return known & manifest["actor"].isin(card["tested_on_actors"])
    split = splits.make("official", manifest)
    tested_on = np.zeros(len(manifest), bool)
    tested_on[split.indices(manifest, card["fold"], "test")] = True
    return known & tested_on


def _some(manifest: pd.DataFrame, usable: pd.Series, clips: int | None) -> pd.DataFrame:
    """Return about so many of the usable clips: of each emotion as many, speakers taking turns."""
    manifest = subset(manifest, usable)
    if clips is None or clips >= len(manifest):
        return manifest
    turn = manifest.groupby(["emotion", "actor"]).cumcount()
    order = manifest.assign(turn=turn).sort_values(["turn", "actor"], kind="stable")
    number = order.groupby("emotion").cumcount().reindex(manifest.index)
    return subset(manifest, number < -(-clips // manifest["emotion"].nunique()))


def _scales(card: Mapping[str, Any]) -> dict[str, tuple[Tensor, Tensor]]:
    """Return mean and sd of the training rows that the card tells, by input."""
    told = card.get("scale") or {}
    if not told and "standardise" in card["input"]:
        told = {"audio": card["input"]["standardise"]}
    scales = {}
    for name, one in told.items():
        mean, sd = (torch.tensor(one[which], dtype=torch.float64) for which in ("mean", "sd"))
        scales[name] = (mean[:, None], sd[:, None]) if mean.ndim == 1 else (mean, sd)
    return scales


def _labelled(
    given: Mapping[str, Tensor], manifest: pd.DataFrame, classes: list[str], segments: int
) -> Tested:
    labels = torch.tensor([classes.index(emotion) for emotion in manifest["emotion"]])
    return Tested(
        dict(given),
        labels.repeat_interleave(segments),
        np.repeat(manifest["clip_id"].to_numpy(), segments),
        np.repeat(manifest["actor"].to_numpy(), segments),
    )


# --- in one call -------------------------------------------------------------------------------


class Shares(NamedTuple):
    """What the regions of each modality contribute to a network's answers.

    ``table`` has the columns ``modality, region, share, area, density`` of `region_scores`;
    ``relative_gap`` is that of the `Attribution` with so many ``steps``, over ``samples`` of them;
    ``learned`` says how the network compares with chance, and ``network`` which it is.
    """

    table: pd.DataFrame
    relative_gap: float
    steps: int
    samples: int
    learned: Learned
    network: str


def regions(
    key: str,
    corpus: str | None = None,
    modality: str | None = None,
    *,
    epochs: int = 3,
    samples: int = 64,
    seed: int = 0,
    progress: bool = True,
    root: str | Path | None = None,
) -> Shares:
    """Say which regions a network's answers rest on, by integrated gradients relative to the mean.

    Parameters
    ----------
    key
        The paper.
    corpus
        None explains the published network on recordings that tested it. A corpus trains a new one
        on it briefly, and asks about actors that this training has not seen (`engine.trained`).
    modality
        What the network sees; None: of published ones the voice, if there is one, else the face;
        of a new one both.
    epochs, seed
        Of the training.
    samples
        How many test samples to explain, evenly spaced among them all.
    root
        Of the corpus.

    Raises
    ------
    UnlearnedError
        If there is no published network.
    """
    if corpus is None:
        medium = modality or _published_medium(key)
        network = published(key, medium)
        model, name = network.model, f"published weights of {network.card['title']}"
        asked = tested(network, clips=samples)
        inputs, labels, told = asked.inputs, asked.labels, network.learned
    else:
        from emolib.papers import engine

        data, fit, test = engine.trained(
            key, corpus, modality or "both", epochs=epochs, seed=seed, progress=progress, root=root
        )
        model, name = fit.model, f"{key} on {corpus} after {epochs} epochs"
        told = learned(model, data.prepare(test.inputs, None), test.labels)
        chosen = test.take(torch.arange(0, len(test), max(1, len(test) // samples)))
        inputs, labels = data.prepare(chosen.inputs, None), chosen.labels
    attribution = integrated_gradients(
        model, inputs, labels, baselines="mean", steps=32, tolerance=COMPLETE, most=1024
    )
    scores = [
        region_scores(attribution, regions_of(medium, value), modality=medium).assign(
            modality=medium
        )
        for medium, value in attribution.values.items()
    ]
    table = pd.concat(scores, ignore_index=True)
    columns = ["modality", "region", "share", "area", "density"]
    return Shares(
        table[columns], attribution.relative_gap, attribution.steps, len(labels), told, name
    )


def _published_medium(key: str) -> str:
    there = [medium for paper, medium in every_published() if paper == key]
    return min(there, default="audio")
