"""Trained networks that judge files: read by their cards, and published from finished runs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emolib import paths, registry
from emolib.emotions import EMOTIONS
from emolib.errors import EmolibError

if TYPE_CHECKING:
    import torch

    from emolib.results import Result

WEIGHTS = paths.WEIGHTS / "mostafa"
#: Modality → file; networks that take several media at once are called by their modality.
FILES = {"video": "face", "audio": "voice"} | {
    name: name for name in ("both", "text", "audio-text", "video-text", "all")
}


class PredictionError(EmolibError, ValueError):
    """A file or weights that cannot be used; the message names the cause and the remedy."""


@dataclass(frozen=True)
class PublishedNetwork:
    """A trained network and its card."""

    model: "torch.nn.Module"
    card: dict[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return tuple(self.card["classes"])

    @property
    def own(self) -> bool:
        """Whether it was trained here: the card says how the paper's streams make its inputs."""
        return "data" in self.card

    def probabilities(self, inputs: "torch.Tensor") -> np.ndarray:
        """Return class probabilities (B, C) of prepared inputs (B, 1, H, W)."""
        import torch

        with torch.inference_mode():
            logits = self.model(**{self.card["modality"]: inputs})
        return logits.softmax(1).numpy()


@lru_cache(maxsize=4)
def network(modality: str, folder: Path = WEIGHTS) -> PublishedNetwork:
    """Return the trained network for "video" (faces) or "audio" (voices).

    Raises
    ------
    PredictionError
        If weights or card are missing, do not belong together, or were trained with another
        order of the emotions than `EMOTIONS`.
    """
    from safetensors.torch import load_file
    from torch import channels_last

    from emolib import models

    file = paths.find(Path(folder) / f"{FILES[modality]}.safetensors")
    card = _card(file)
    model = models.build(card.get("paper", "mostafa"), len(card["classes"]), **card["options"])
    try:
        model.load_state_dict(load_file(file))
    except RuntimeError as error:
        raise PredictionError(
            f"{file} does not fit the network {card['options']}: take both from one training"
        ) from error
    return PublishedNetwork(model.eval().to(memory_format=channels_last), card)


def own_networks(folder: Path) -> tuple[str, ...]:
    """Return the modalities of the networks in a folder that a reader trained and published."""
    cards = {
        modality: paths.find(Path(folder) / f"{name}.json") for modality, name in FILES.items()
    }
    return tuple(name for name, card in cards.items() if card.is_file() and "data" in _read(card))


def judging(folder: Path) -> tuple[str, ...]:
    """Return the modalities that the networks in a folder judge; the package's come in pairs."""
    return own_networks(folder) or ("video", "audio")


def _read(card: Path) -> dict[str, Any]:
    try:
        return json.loads(card.read_bytes())
    except ValueError as error:
        raise PredictionError(f"{card}: not readable ({error}): fetch it again") from error


def _card(file: Path) -> dict[str, Any]:
    """Return the card of weights, when it is theirs and both name the emotions in one order."""
    from safetensors import SafetensorError, safe_open

    for needed in (file, file.with_suffix(".json")):
        if not needed.is_file():
            paper = file.parent.name if file.parent.name in registry.NETWORKS else "mostafa"
            raise PredictionError(
                f"{needed} is missing: get it from the repository, or train it with "
                f"`emolib train {paper}` and weights.publish"
            )
    try:
        card = json.loads(file.with_suffix(".json").read_text())
        with safe_open(file, "pt") as opened:
            stored = json.loads((opened.metadata() or {}).get("classes", "[]"))
    except (SafetensorError, ValueError) as error:
        raise PredictionError(f"{file}: not readable ({error}): fetch it again") from error
    usual = [name for name in EMOTIONS if name in card["classes"]]
    if not card["classes"] == stored == usual:
        raise PredictionError(
            f"{file} orders its outputs {', '.join(stored) or '(not said)'}, its card "
            f"{', '.join(card['classes'])}, all corpora {', '.join(usual)}: labels would be mixed "
            "up; take weights and card from the same training"
        )
    if paths.sha256(file) != card["sha256"]:
        raise PredictionError(f"{file} is not the file its card describes: fetch both again")
    return card


def publish(
    experiment: "str | Result",
    *,
    key: str = "mostafa",
    seed: int = 0,
    fold: int = 0,
    folder: Path | None = None,
    entries: Mapping[str, Any] | None = None,
) -> Path:
    """Copy the weights of a finished run beside a card made from its result.

    Parameters
    ----------
    experiment, key, seed, fold
        Which run of which paper; or a result that need not be saved.
    folder
        By default ``weights/<key>`` below `paths.HOME`; weights there are preferred to those
        that came with the package.
    entries
        Of the card, in place of those made here, such as "input".

    Raises
    ------
    ResultError
        If the run's weights are not stored on this machine.
    """
    from safetensors.torch import load_file

    from emolib import corpora, results

    result = results.load(key, experiment) if isinstance(experiment, str) else experiment
    key = result.key
    source = corpora.SOURCES[result.corpus]
    run = next(run for run in result.runs if (run.seed, run.fold) == (seed, fold))
    trained_on = sorted(run.counts["train"]["by_actor"])
    by_class = run.counts["test"]["by_class"]
    told = ("title", "experiment", "corpus", "modality", "classes")
    card = {
        "name": f"{key}-{FILES[result.modality]}",
        "paper": key,
        **{name: getattr(result, name) for name in told},
        "options": result.model.options,
        "parameters": result.model.parameters,
        "input": _input(result.modality),
        "split": result.split.name,
        "seed": seed,
        "fold": fold,
        "clips": {
            part: run.counts[part].get("clips", run.counts[part]["n"])
            for part in ("train", "valid", "test")
        },
        "trained_on_actors": trained_on if trained_on != [""] else [],
        "tested_on_actors": sorted({*run.counts["test"]["by_actor"]} - {""}),
        # What a constant answer would have scored: `explain.learned` compares with it.
        "chance": round(max(by_class.values()) / sum(by_class.values()), 4),
        "test_metrics": {name: round(value, 4) for name, value in run.metrics.items()},
        # One fold can be lucky: what all of them reached is what a new speaker may expect.
        "all_runs": {"n": len(result.runs)}
        | {name: round(result.summary[name].mean, 4) for name in ("accuracy", "uar")},
        "made": result.provenance.date[:10],
        "commit": run.commit,
        "recipe": result.recipe,
        "licence": f"the weights are under the terms of {source.title}: {source.terms}",
        "use": "research and teaching; not for decisions about people",
        **(entries or {}),
    }
    return write(folder or paths.WEIGHTS / key, load_file(result.weights(seed, fold)), card)


def _input(modality: str) -> dict[str, Any]:
    """Return what the networks of Mostafa et al. take."""
    from emolib.papers.mostafa import SIDE, LogMel

    if modality == "video":
        return {"shape": [1, SIDE, SIDE], "range": [-1, 1], "what": "a grey face, cut square"}
    return {
        "shape": [1, 64, 94],
        "range": "mean 0, sd 1 of each clip",
        "what": f"three seconds of speech as {LogMel()!r}",
    }


def write(folder: Path, weights: "Mapping[str, torch.Tensor]", card: Mapping[str, Any]) -> Path:
    """Write weights and card; the order of the labels is in both."""
    from safetensors.torch import save_file

    file = Path(folder) / f"{FILES[card['modality']]}.safetensors"
    with paths.atomic(file) as part:
        values = {name: value.contiguous() for name, value in weights.items()}
        save_file(values, part, metadata={"classes": json.dumps(card["classes"])})
    sealed = {**card, "bytes": file.stat().st_size, "sha256": paths.sha256(file)}
    with paths.atomic(file.with_suffix(".json")) as part:
        part.write_text(json.dumps(sealed, indent=2) + "\n")
    return file
