"""One file from the waveform or the picture to named emotions: a network with its front end.

A card says what a network was trained on. Its paper declares how that is made, so the front end
is built from the paper's own recipe, scale and preparation, and written into the ONNX file
together with the network. The names of the emotions, the rate, the licence and the whole card
lie in the file's metadata: `emolib.export.answer` asks the file with onnxruntime and NumPy alone.
"""

import inspect
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from emolib import __version__, corpora, paths, registry
from emolib.export import network
from emolib.export.front_ends import Grey, Sound, Spoken, Square
from emolib.export.network import ExportError
from emolib.features.faces import FaceBox, FaceFrames
from emolib.papers import dataset, engine, ishtiaq, streams

#: Samples a second of the waveform that a file takes; microphones and browsers give the first.
RATES = (48_000, 16_000)
#: What recipes that keep the rate of the source were computed from.
RECORDED_AT = {"ravdess": 48_000, "paired": 48_000}
#: Modality → the file's input, and what the published file of the network is called.
INPUTS = {"audio": "waveform", "video": "picture"}
NAMES = {"audio": "voice", "video": "face"}


# --- from a recipe's values to what a paper's `prepare` is given ---------------------------------


def _as_rows(values: Tensor) -> Tensor:
    """Every segment of Ding's is a sample: (B, 6, 40) → (6 · B, 40)."""
    return values.flatten(0, 1)


def _as_sequences(values: Tensor, pooled: bool = True) -> Tensor:
    """Lu's mean over a clip is a sequence of one step, and the only version: (B, 1, 40, 1)."""
    return (values.transpose(1, 2) if pooled else values)[:, None]


def _only_version(values: Tensor) -> Tensor:
    """There is one version of what training has several of: (B, …) → (B, 1, …)."""
    return values[:, None]


class _Levelled(nn.Module):
    """Ishtiaq's spoken part of a clip at its level: (B, 64, T) → (B, 64, 64)."""

    def __init__(self, level: str):
        super().__init__()
        self.level = level
        self.spoken = Spoken(ishtiaq.STEPS, ishtiaq.TRIM_DB, ishtiaq.FLOOR_DB)

    def forward(self, decibels: Tensor) -> Tensor:
        words = self.spoken(decibels)
        if self.level == "absolute":
            return words
        axes = (1, 2) if self.level == "clip" else (2,)
        words = words - words.mean(axes, keepdim=True)
        if self.level == "band":
            return words
        return words / words.std((1, 2), correction=0, keepdim=True).clamp(min=1e-3)


class _Scaled(nn.Module):
    """Values on the scale of the training rows; `by_row` where each row has a scale of its own."""

    mean: Tensor
    sd: Tensor

    def __init__(self, scale: Mapping[str, Any], by_row: bool):
        super().__init__()
        for name in ("mean", "sd"):
            flat = torch.tensor(scale[name], dtype=torch.float64).flatten().float()
            self.register_buffer(name, flat[:, None] if by_row else flat)

    def forward(self, values: Tensor) -> Tensor:
        return (values - self.mean) / self.sd


class Whole(nn.Module):
    """A network and what comes before it: a waveform or a picture to probabilities.

    Parameters
    ----------
    front
        The input to values of the medium, samples first; several samples a clip follow each other.
    prepare
        The paper's own last step, as in `training.fit`.
    judge
        The network.
    medium
        "audio" or "video".
    samples
        A clip; their probabilities are averaged.
    """

    def __init__(
        self, front: nn.Module, prepare: Callable, judge: nn.Module, medium: str, samples: int = 1
    ):
        super().__init__()
        self.front, self.judge = front, judge
        self.prepare, self.medium, self.samples = prepare, medium, samples

    def forward(self, given: Tensor) -> Tensor:
        """Return probabilities ``(B, C)``.

        Parameters
        ----------
        given
            Waveforms, float ``(B, n)`` in [-1, 1]; or pictures, uint8 ``(B, H, W, 3)``.
        """
        logits = self.judge(**self.prepare({self.medium: self.front(given)}, None))
        probabilities = logits.softmax(1)
        return probabilities.unflatten(0, (-1, self.samples)).mean(1)


class _Steps(nn.Sequential):
    """Layers and plain functions, one after the other."""

    def __init__(self, *steps: Callable):
        super().__init__(*(one for one in steps if isinstance(one, nn.Module)))
        self.steps = steps

    def forward(self, values: Tensor) -> Tensor:
        for step in self.steps:
            values = step(values)
        return values


# --- the front end of a card ---------------------------------------------------------------------


def build(judge: nn.Module, card: Mapping[str, Any], rate: int = RATES[0]) -> Whole:
    """Put the front end that a card asks for before its network.

    Parameters
    ----------
    judge
        The network.
    card
        With ``paper``, ``modality``, ``corpus``, and ``data`` (the options of the paper's streams)
        or the name of the ``experiment`` that has them; and the scale, where the paper has one.
    rate
        Samples a second of the waveforms that it will be given.

    Raises
    ------
    ExportError
        If the card names what cannot be put into a file, or lacks the scale.
    """
    medium = card["modality"]
    if medium not in INPUTS:
        raise ExportError(
            f"{card['paper']}: a network of {medium!r} takes several inputs: export one of a voice "
            "or a face alone"
        )
    declared, options = _declaration(card)
    made = _voice if medium == "audio" else _face
    front = made(card, declared.streams[medium], options, rate)
    samples = declared.segments if medium == "audio" else 1
    return Whole(front, declared.prepare, judge, medium, samples).eval()


def _declaration(card: Mapping[str, Any]) -> tuple[streams.Declaration, dict[str, Any]]:
    """Return what a paper declares under the options of a card, and those options.

    They are on the card, or those of the experiment that it names.
    """
    declare = engine.paper(card["paper"]).declare
    data = card.get("data")
    if data is None:
        data = engine.declared(card["paper"], card["experiment"]).data
    known = inspect.signature(declare).parameters
    options = {name: value for name, value in data.items() if name in known}
    request = streams.Request("table", card["modality"], "quick", progress=False)
    return declare(request, **options), options


def _voice(
    card: Mapping[str, Any], stream: streams.Stream, options: Mapping[str, Any], rate: int
) -> nn.Module:
    recipe: Any = stream.recipes["original"]
    sound = Sound(recipe, rate, RECORDED_AT.get(card["corpus"], rate))
    pooled = sound.segments is not None
    before: list[Callable] = []
    if card["paper"] == "ishtiaq":
        before.append(_Levelled(options.get("level", "clip")))
    if stream.standardise:
        before.append(_Scaled(_scale(card), by_row=not pooled))
    form: dict[str, Callable] = {
        "ding": _as_rows,
        "lu": partial(_as_sequences, pooled=pooled),
        "yang": nn.Identity(),
    }
    return _Steps(sound, *before, form.get(card["paper"], _only_version))


def _scale(card: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return mean and sd of the training rows, from the card of a published network."""
    scale = card.get("scale", {}).get("audio") or card.get("input", {}).get("standardise")
    if not scale:
        raise ExportError(
            f"the card of {card.get('name', card['paper'])} lacks the scale of its training rows: "
            "publish the weights again"
        )
    return scale


def _face(
    card: Mapping[str, Any], stream: streams.Stream, options: Mapping[str, Any], rate: int
) -> nn.Module:
    frames, size = stream.pictures
    if not corpora.SOURCES[card["corpus"]].pictures_of and card["paper"] == "lu":
        raise ExportError(
            f"this face network of lu was trained on the colours of {card['corpus']}'s films; what "
            "goes into a file is grey: train it on pictures (paired or fer2013)"
        )
    if card["paper"] == "yang" and options.get("spatial", "features") == "features":
        raise ExportError(
            "this face network of yang takes features of another network, which lies apart: "
            "train it with --data spatial=pixels"
        )

    def shown(grey: Tensor) -> Tensor:
        """Show one picture as often as the network wants frames."""
        if card["paper"] in ("ding", "mostafa"):
            return grey[:, None]
        values = grey[:, None, None].expand(-1, 1, frames, -1, -1)
        return values if card["paper"] == "yang" else values[:, :, :, None]

    return _Steps(Grey(), Square(size), shown)


def in_python(judge: nn.Module, card: Mapping[str, Any], given: str | Path | np.ndarray) -> Any:
    """Return the probabilities (C,) that librosa or OpenCV and PyTorch give, to compare with.

    Parameters
    ----------
    judge, card
        As for `build`.
    given
        A recording at the rate of the training, or a square picture, uint8 (H, W, 3).
    """
    medium = card["modality"]
    declared, options = _declaration(card)
    stream, known = declared.streams[medium], None
    if isinstance(given, np.ndarray):
        frames, size = stream.pictures
        side = min(size, len(given))
        grey = FaceFrames(size=side).cut(
            given, FaceBox((0, 0, given.shape[1], given.shape[0]), 1.0)
        )
        # The pictures of corpora are enlarged as `streams` does it.
        known, given = {medium: streams.resized(np.stack([grey] * frames), size)}, ""
    clip = {"clip_id": "one", "path": str(given)}
    declare = engine.paper(card["paper"]).declare
    samples = streams.of_clip(declare, clip, medium, known=known, **options).samples
    if stream.standardise:
        shape = samples.inputs[medium].shape
        mean, sd = (torch.tensor(_scale(card)[name]).double().flatten() for name in ("mean", "sd"))
        # One number a row: the axis that has as many places as there are numbers.
        rows = [-1 if size == len(mean) else 1 for size in shape]
        samples = dataset.scaled(samples, {medium: (mean.view(rows), sd.view(rows))})
    with torch.inference_mode():
        ready = declared.prepare(dict(samples.inputs), None)
        return judge.eval()(**ready).softmax(1).mean(0).numpy()


# --- files ---------------------------------------------------------------------------------------


def write(
    key: str,
    out: str | Path | None = None,
    *,
    weights: str | Path | None = None,
    only: str | None = None,
    classes: int | None = None,
    rate: int = RATES[0],
    opset: int = network.OPSET,
) -> pd.DataFrame:
    """Write a paper's trained voice and face network, each with its front end, as ONNX files.

    Parameters
    ----------
    key
        The paper.
    out
        Folder for the files, by default the current one.
    weights
        Trained weights (.safetensors) with their card, or a folder of such; by default those
        published of the paper.
    only
        "voice" or "face", where one is enough.
    classes
        Number of emotions, where it is to be checked against that of the weights.
    rate
        Samples a second of the waveform; one of `RATES`.
    opset
        Of ONNX.

    Returns
    -------
    DataFrame
        One row a file: ``network``, ``file``, ``MB``, ``input``, ``emotions``, and ``largest
        difference`` of a probability from PyTorch's on random inputs.

    Raises
    ------
    ExportError
        If there are no such weights, or they are not what is asked for.
    """
    if rate not in RATES:
        known = " or ".join(map(str, RATES))
        raise ExportError(f"{rate} samples a second: give {known}; sound is resampled inside")
    folder = Path(out or ".")
    if folder.suffix == ".onnx":
        raise ExportError(f"{folder} is one file: give a folder for {key}-voice.onnx and its like")
    rows = []
    files = published(key, Path(weights) if weights else None)
    for file in (file for file in files if only in (None, file.stem)):
        judge, card = network.trained(key, file, classes)
        if not card:
            raise ExportError(
                f"{file.with_suffix('.json')} is missing: a file of its own needs the card that "
                f"`emolib train {key} --weights FOLDER` writes beside the weights"
            )
        model = build(judge, card, rate)
        name = f"{key}-{NAMES[card['modality']]}"
        written = save(model, card, folder / f"{name}.onnx", rate=rate, opset=opset)
        rows.append(
            {
                "network": name,
                "file": str(written),
                "MB": network.size_mb(written),
                "input": INPUTS[card["modality"]],
                "emotions": len(card["classes"]),
                "largest difference": parity(model, written, example(card["modality"], rate)),
            }
        )
    return pd.DataFrame(rows)


def write_all(out: str | Path | None = None, **options: Any) -> tuple[pd.DataFrame, list[str]]:
    """Write the voice and face networks of all papers; return the table, and what is left out.

    Parameters
    ----------
    out, options
        As for `write`.
    """
    tables, missing = [], []
    for key in registry.PAPERS:
        there = [file.stem for file in published(key, None, needed=False)]
        missing += [
            f"{key}-{name}: no weights are published: train it with `emolib train {key} "
            f"--weights FOLDER`, and give the folder with --weights"
            for name in NAMES.values()
            if name not in there
        ]
        if there:
            tables.append(write(key, out, **options))
    return pd.concat(tables, ignore_index=True), missing


def published(key: str, weights: Path | None, *, needed: bool = True) -> list[Path]:
    """Return the files of trained voice and face networks, of a paper or in a folder.

    Raises
    ------
    ExportError
        If one is `needed` and there is none; the message says which files are looked for.
    """
    if weights is not None and not weights.is_dir():
        return [weights]
    folder = weights or paths.WEIGHTS / key
    wanted = [paths.find(folder / f"{name}.safetensors") for name in NAMES.values()]
    found = [file for file in wanted if file.is_file()]
    if needed and not found:
        raise ExportError(
            f"{folder} lacks voice.safetensors and face.safetensors with their cards: write them "
            f"with `emolib train {key} --weights FOLDER`, and give that folder with --weights"
        )
    return found


def save(
    model: Whole,
    card: Mapping[str, Any],
    path: str | Path,
    *,
    rate: int = RATES[0],
    opset: int = network.OPSET,
) -> Path:
    """Write a whole network with its card as one ONNX file, whose batch and length are free.

    Parameters
    ----------
    model
        From `build`.
    card
        Goes into the metadata, as ``card``, and by itself what a reader of the file needs:
        ``classes``, ``input``, ``rate``, ``licence``, ``use``, ``title``.
    path
        Where to write; replaced only when the export has succeeded.
    rate, opset
        As for `write`.

    Raises
    ------
    ExportError
        If PyTorch's exporter cannot follow the network, or the opset has not got an operator.
    """
    name = INPUTS[model.medium]
    given = example(model.medium, rate)
    axes = {"waveform": ("batch", "samples"), "picture": ("batch", "height", "width", "channels")}
    free = [axis for axis in axes[name] if axis != "channels"]
    file = network.program(
        model,
        (given,),
        (dict(enumerate(free)),),
        [name],
        ["probabilities"],
        opset,
    )
    for i, axis in enumerate(axes[name]):  # grey pictures have one channel, which the weights share
        file.graph.input[0].type.tensor_type.shape.dim[i].dim_param = axis
    told = {
        "title": card.get("title", ""),
        "classes": json.dumps(list(card["classes"])),
        "input": name,
        "rate": str(rate) if name == "waveform" else "",
        "licence": card.get("licence", ""),
        "use": card.get("use", ""),
        "card": json.dumps(card),
        "made by": f"emolib {__version__}",
    }
    for key, value in told.items():
        if value:
            file.metadata_props.add(key=key, value=value)
    with paths.atomic(path) as temporary:
        temporary.write_bytes(file.SerializeToString())
    return Path(path)


def example(medium: str, rate: int = RATES[0], batch: int = 2) -> Tensor:
    """Return random inputs: two seconds and a bit of noise, or pictures that are not square."""
    generator = torch.Generator().manual_seed(0)
    if medium == "audio":
        return 0.1 * torch.randn(batch, round(2.31 * rate), generator=generator)
    return torch.randint(0, 256, (batch, 70, 61, 3), generator=generator, dtype=torch.uint8)


def parity(model: Whole, path: str | Path, given: Tensor) -> float:
    """Return the largest difference of a probability between a file and PyTorch."""
    with torch.inference_mode():
        expected = model.eval()(given).numpy()
    answers = network.run(path, {INPUTS[model.medium]: given})
    return float(abs(answers - expected).max())
