"""What eight bits cost: files and answers of trained networks before and after, on the same clips.

A network is stored in int8 in two ways. *Static*: ranges of weights and activations are taken from
clips of the training part (onnxruntime). *Trained for it*: before that, some epochs are trained in
which every weight and every input of a layer is rounded as it will be; the gradient passes through.
Beside it stands the same training without rounding, so that what the epochs do is not taken for
what the rounding does.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.ao import quantization
from torch.nn.utils import parametrize

from emolib import evaluation, export, models, paths, results, training
from emolib.papers import engine
from emolib.papers.dataset import Dataset
from emolib.training import Samples, TrainingRecipe

CALIBRATED_ON = 128
#: Short and gentle: the network is trained already.
RECIPE = TrainingRecipe(optimizer="adam", lr=2e-4, batch_size=128, max_epochs=15, restore_best=True)
LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class Trained:
    """A trained network, the parts of its data, and how samples make a clip."""

    name: str
    model: nn.Module
    dataset: Dataset
    parts: tuple[Samples, Samples, Samples]
    about: str  # where it was trained and tested

    def labels(self) -> np.ndarray:
        """Return the label of each test clip."""
        return self.parts[2].labels.numpy()[:: self.dataset.n_segments]

    def clips(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the mean over a clip's segments: (clips, classes)."""
        n = self.dataset.n_segments
        return probabilities.reshape(-1, n, probabilities.shape[1]).mean(axis=1)

    def prepared(self, samples: Samples, rows: Any = slice(None)) -> dict[str, Tensor]:
        """Return what the network is given."""
        return self.dataset.prepare({k: v[rows] for k, v in samples.inputs.items()}, None)


def run(key: str, experiment: str, name: str, *, seed: int = 0, fold: int = 0) -> Trained:
    """Return the network of a committed run whose weights are on this machine.

    Raises
    ------
    ResultError
        If they are not.
    """
    result = results.load(key, experiment)
    about = f"{result.title}; seed {seed}, fold {fold}"
    return _trained(key, experiment, name, result.network(seed, fold), fold, about)


def published(key: str, name: str) -> Trained:
    """Return a network whose weights come with the package: "voice" or "face"."""
    from safetensors.torch import load_file

    file = paths.find(paths.WEIGHTS / key / f"{name}.safetensors")
    card = json.loads(file.with_suffix(".json").read_bytes())
    model = models.build(key, len(card["classes"]), **card["options"])
    model.load_state_dict(load_file(file))
    about = f"{card['title']}; published weights"
    return _trained(key, card["experiment"], f"{key} {name}", model, card["fold"], about)


def _trained(
    key: str, experiment: str, name: str, model: nn.Module, fold: int, about: str
) -> Trained:
    dataset, split, _ = engine.prepared(key, experiment)
    return Trained(name, model.eval(), dataset, dataset.parts(split, fold), about)


# --- training for it -----------------------------------------------------------------------------


@contextmanager
def rounding(model: nn.Module) -> Iterator[nn.Module]:
    """Round the weights and the inputs of all `LAYERS` to eight bits for the while.

    Weights have one scale a channel and no zero point, inputs a running range. Rounding lets the
    gradient pass. What is left behind are weights that eight bits can hold exactly.
    """
    weights = partial(
        quantization.FakeQuantize,
        observer=quantization.PerChannelMinMaxObserver,
        quant_min=-127,
        quant_max=127,
        dtype=torch.qint8,
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
    )
    inputs = partial(
        quantization.FakeQuantize,
        observer=quantization.MovingAverageMinMaxObserver,
        quant_min=0,
        quant_max=255,
    )
    layers = [module for module in model.modules() if isinstance(module, LAYERS)]
    hooks = []
    for layer in layers:
        parametrize.register_parametrization(layer, "weight", weights())
        seen = inputs()
        hooks.append(layer.register_forward_pre_hook(lambda _, given, seen=seen: seen(given[0])))
    try:
        yield model
    finally:
        for hook in hooks:
            hook.remove()
        for layer in layers:
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def trained_on(trained: Trained, *, aware: bool, recipe: TrainingRecipe = RECIPE) -> Trained:
    """Train a network some epochs more, on the same parts, with or without rounding.

    Parameters
    ----------
    trained
        Left as it is.
    aware
        Whether weights and inputs are rounded meanwhile (quantisation-aware training).
    recipe
        How long, and how.
    """
    import copy

    model = copy.deepcopy(trained.model)
    train, valid, _ = trained.parts

    def fit() -> None:
        training.fit(
            model, train, valid, recipe, seed=0, prepare=trained.dataset.prepare, progress=False
        )

    if aware:
        with rounding(model):
            fit()
    else:
        fit()
    return replace(trained, model=model.eval())


# --- before and after ----------------------------------------------------------------------------


def compare(
    trained: Trained, *, more: bool = False, recipe: TrainingRecipe = RECIPE
) -> pd.DataFrame:
    """Write a network in 32 and in eight bits, and judge the files on the same test clips.

    Parameters
    ----------
    trained
        The network and its data.
    more
        Also train on with and without rounding.
    recipe
        Of that training.

    Returns
    -------
    DataFrame
        ``network``; ``form``: "FP32", "static int8", and with `more` "FP32, trained on" and
        "int8, trained for it"; size ``mb`` of the file and ``saved``, the share of the FP32
        file's; ``clips``, ``accuracy``, ``uar``; against FP32 ``points`` of accuracy (+: better),
        how many clips ``lost`` and ``won``, and ``p`` of McNemar's test; and ``tested_on``.
    """
    forms = {"FP32": (trained, False), "static int8": (trained, True)}
    if more:
        forms["FP32, trained on"] = trained_on(trained, aware=False, recipe=recipe), False
        forms["int8, trained for it"] = trained_on(trained, aware=True, recipe=recipe), True
    rows: list[dict[str, Any]] = []
    labels = trained.labels()
    with TemporaryDirectory() as folder:
        answers: dict[str, np.ndarray] = {}
        for form, (network, eight) in forms.items():
            file = _written(network, Path(folder), eight)
            answers[form] = trained.clips(_asked(file, network))
            mb = export.size_mb(file)
            first, answer = answers["FP32"], answers[form]
            right, was = answer.argmax(1) == labels, first.argmax(1) == labels
            judged = evaluation.evaluate(labels, answer, trained.dataset.classes, draws=1)
            tested = evaluation.paired_comparison(labels, first, answer)
            rows.append(
                {
                    "network": trained.name,
                    "form": form,
                    "mb": mb,
                    "saved": 1 - mb / (rows[0]["mb"] if rows else mb),
                    "clips": len(labels),
                    "accuracy": judged.accuracy,
                    "uar": judged.uar,
                    "points": 100 * float(right.mean() - was.mean()),
                    "lost": int((was & ~right).sum()),
                    "won": int((right & ~was).sum()),
                    "p": tested.mcnemar_p,
                    "tested_on": trained.about,
                }
            )
    return pd.DataFrame(rows)


def _written(trained: Trained, folder: Path, eight: bool) -> Path:
    train = trained.parts[0]
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    inputs = trained.prepared(train, chosen[:CALIBRATED_ON])
    file = export.export(trained.model, inputs, folder / "network.onnx")
    return export.quantize(file, inputs) if eight else file


def _asked(file: Path, trained: Trained, batch: int = 32) -> np.ndarray:
    """Return the file's probabilities of all test samples."""
    test = trained.parts[2]
    logits = [
        export.run(file, trained.prepared(test, slice(start, start + batch)))
        for start in range(0, len(test), batch)
    ]
    return torch.from_numpy(np.concatenate(logits)).softmax(1).numpy()


def table(key: str) -> pd.DataFrame:
    """Return `compare` of a paper's trained networks: see `NETWORKS`."""
    return pd.concat([make() for make in NETWORKS[key]], ignore_index=True)


def _ding(experiment: str, name: str) -> pd.DataFrame:
    return compare(run("ding", experiment, name), more=True)


def _published(key: str, name: str) -> pd.DataFrame:
    return compare(published(key, name))


NETWORKS: Mapping[str, tuple] = {
    "ding": (
        partial(_ding, "audio-actor", "ding voice"),
        partial(_ding, "audio-actor-standardised", "ding voice, standardised"),
        partial(_ding, "paired-both-actor-short", "ding, voice and face"),
    ),
    "lu": (partial(_published, "lu", "voice"), partial(_published, "lu", "face")),
    "mostafa": (partial(_published, "mostafa", "voice"), partial(_published, "mostafa", "face")),
}
