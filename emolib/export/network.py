"""A paper's network as an ONNX file, in 32 or 8 bits, compared with PyTorch."""

import dataclasses
import json
import logging
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from emolib import devices, models, paths
from emolib.errors import EmolibError

Inputs = Mapping[str, Tensor]
MOST_CLASSES = 1000
#: Version of ONNX's operators that is written, and the oldest that has all that is needed.
OPSET, OLDEST = 23, 18


class ExportError(EmolibError, RuntimeError):
    """A network could not be written as ONNX, or a file could not be quantised or run."""


# --- a paper's network ---------------------------------------------------------------------------


def write(
    key: str,
    out: str | Path | None = None,
    *,
    weights: str | Path | None = None,
    classes: int | None = None,
    int8: bool = False,
    opset: int = OPSET,
) -> pd.DataFrame:
    """Write a paper's network as ONNX, and compare what was written with PyTorch.

    Parameters
    ----------
    key
        The paper.
    out
        File to write; by default ``<key>.onnx`` in the current folder.
    weights
        Trained weights (.safetensors); random ones otherwise, good for size and speed alone.
    classes
        Number of emotions; by default those of the weights' card, or 8.
    int8
        Also write a copy with eight-bit weights beside it.
    opset
        Version of ONNX's operators.

    Returns
    -------
    DataFrame
        One row a file: ``file``, ``MB``, ``largest difference`` of a logit, ``median ms`` of one
        sample.

    Raises
    ------
    ExportError
        If the weights cannot be read or belong to another network, or `out` is a folder.
    """
    out = Path(out or f"{key}.onnx")
    if out.is_dir():
        raise ExportError(f"{out} is a folder: name a file in it, such as {out / key}.onnx")
    model, options = _network(key, Path(weights) if weights else None, classes)
    inputs = models.example_inputs(key, batch=2, **options)
    one = {name: value[:1] for name, value in inputs.items()}
    files = [export(model, inputs, out, opset=opset)]
    if int8:
        files.append(quantize(files[0]))
    table = pd.DataFrame({"file": map(str, files), "MB": map(size_mb, files)})
    table["largest difference"] = [parity(model, file, inputs).max_abs_diff for file in files]
    return table.assign(**{"median ms": [latency(file, one).median_ms for file in files]})


def _network(
    key: str, weights: Path | None, classes: int | None
) -> tuple[nn.Module, dict[str, Any]]:
    """Return a paper's network with its weights, and the options that a card beside them names."""
    if classes is not None and not 2 <= classes <= MOST_CLASSES:
        raise ExportError(f"{classes} classes: give 2 to {MOST_CLASSES}")
    if weights is None:
        return models.build(key, classes or 8), {}
    model, card = trained(key, weights, classes)
    return model, card.get("options", {})


def trained(
    key: str, weights: Path, classes: int | None = None
) -> tuple[nn.Module, dict[str, Any]]:
    """Return a paper's network with trained weights, and the card beside them (or nothing).

    Parameters
    ----------
    key
        The paper.
    weights
        A .safetensors file.
    classes
        Number of emotions; by default those of the card, or 8.

    Raises
    ------
    ExportError
        If the weights cannot be read, or are of another network or number of emotions.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    if not weights.is_file():
        raise ExportError(f"{weights} is no file: give the .safetensors that `emolib train` wrote")
    beside = weights.with_suffix(".json")
    try:
        card = json.loads(beside.read_bytes()) if beside.is_file() else {}
    except ValueError as error:
        raise ExportError(f"{beside}: not readable ({error}): fetch it again") from error
    if card.get("paper", key) != key:
        raise ExportError(f"{weights} are weights of {card['paper']}: give weights of {key}")
    known = card.get("classes")
    if classes is not None and known and classes != len(known):
        raise ExportError(
            f"{weights} tell {len(known)} emotions apart, not {classes}: leave out --classes, or "
            f"train with {classes}"
        )
    options, n_classes = card.get("options", {}), classes or len(known or range(8))
    model = models.build(key, n_classes, **options)
    try:
        load_model(model, weights)
    except SafetensorError as error:
        raise ExportError(f"{weights}: not readable ({error}): train or fetch it again") from error
    except RuntimeError as error:
        raise ExportError(
            f"{weights} does not fit {key} with {n_classes} classes ({_reason(error, 1)}): give "
            f"weights of {key}, and as many classes as they were trained on"
        ) from error
    return model, card


# --- files ---------------------------------------------------------------------------------------


def export(model: nn.Module, inputs: Inputs, path: str | Path, *, opset: int = OPSET) -> Path:
    """Write a network as one ONNX file whose batch size is free.

    Parameters
    ----------
    model
        Exported in evaluation mode and left as it was.
    inputs
        Named example tensors, batch first; their names become the file's inputs.
    path
        Where to write; replaced only when the export has succeeded.
    opset
        Version of ONNX's operators.

    Raises
    ------
    ExportError
        If PyTorch's exporter cannot follow the network, or only for one batch size.
    """
    # With a batch of one the exporter would take the one for a constant.
    examples = {
        name: (value if len(value) > 1 else value.repeat(2, *[1] * (value.ndim - 1))).cpu()
        for name, value in inputs.items()
    }
    free = {name: {0: "batch"} for name in examples}
    file = program(model, examples, free, [*examples], ["logits"], opset)
    with paths.atomic(path) as temporary:
        temporary.write_bytes(file.SerializeToString())
    return Path(path)


def program(
    model: nn.Module,
    examples: Inputs | tuple[Tensor, ...],
    free: Any,
    inputs: list[str],
    outputs: list[str],
    opset: int = OPSET,
) -> Any:
    """Return a network as an ``onnx.ModelProto`` without the exporter's notes.

    Parameters
    ----------
    model
        Exported in evaluation mode and left as it was.
    examples
        What it is called with, by name or by place.
    free
        For each of them, axis → name, where the size of an axis may be any.
    inputs, outputs
        Names in the file.
    opset
        Version of the operators, from `OLDEST` on.

    Raises
    ------
    ExportError
        If PyTorch's exporter cannot follow the network, or only for one size.
    """
    name, device = type(model).__name__, _device(model)
    if not OLDEST <= opset <= OPSET:
        raise ExportError(f"opset {opset}: give {OLDEST} to {OPSET}, which has what {name} needs")
    sizes = {axis: torch.export.Dim(axis) for axes in _each(free) for axis in axes.values()}
    shapes = [{at: sizes[axis] for at, axis in axes.items()} for axes in _each(free)]
    by_name = isinstance(examples, Mapping)
    given: Any = {"input_names": inputs, "output_names": outputs, "opset_version": opset}
    given["dynamic_shapes"] = dict(zip(examples, shapes, strict=True)) if by_name else shapes
    if by_name:
        given["kwargs"] = examples
    try:
        with _quiet(), devices.evaluating(model):
            called: Any = () if by_name else examples
            exported: Any = torch.onnx.export(
                model.cpu(), called, dynamo=True, verbose=False, **given
            )
    except Exception as error:
        raise ExportError(f"{name} cannot be written as ONNX: {_reason(error)}") from error
    finally:
        model.to(device)
    file = exported.model_proto
    first = {node.name: node.type.tensor_type.shape.dim[0] for node in file.graph.input}
    fixed = [node for node, size in first.items() if not size.HasField("dim_param")]
    if fixed:  # the exporter falls back to the example's size without an error
        raise ExportError(
            f"{name} fixes the batch size of {', '.join(fixed)}: somewhere it "
            "takes a Python number of it, as len(tensor) does; use tensor.shape[0]"
        )
    _strip(file)
    return file


def quantize(
    path: str | Path, calibration: Inputs | None = None, *, to: str | Path | None = None
) -> Path:
    """Store a network's weights in eight bits.

    Parameters
    ----------
    path
        FP32 file from `export`.
    calibration
        Samples (of the training part) from which the ranges of all activations are taken: then
        convolutions and dense layers compute in int8 (static quantisation, one scale a channel).
        Without them only dense and recurrent layers are stored in eight bits and activations are
        scaled as they come (dynamic quantisation).
    to
        Where to write; by default beside `path` as ``<stem>-int8.onnx``.

    Raises
    ------
    ExportError
        If onnxruntime cannot quantise the file.
    """
    from onnxruntime import quantization as ort

    path, eight = _existing(path), ort.QuantType.QInt8
    to = Path(to) if to else path.with_name(f"{path.stem}-int8.onnx")
    with tempfile.TemporaryDirectory() as folder, paths.atomic(to) as temporary, _quiet():
        try:
            if calibration is None:
                dense = ["MatMul", "Gemm", "GRU", "LSTM"]
                ort.quantize_dynamic(
                    str(path), str(temporary), op_types_to_quantize=dense, weight_type=eight
                )
            else:
                # Folds normalisation into convolutions; the symbolic kind of shape inference
                # does not know all operators of recent exporters.
                prepared = str(Path(folder) / "prepared.onnx")
                ort.quant_pre_process(str(path), prepared, skip_symbolic_shape=True)
                samples, pairs = _one_by_one(calibration), ort.QuantFormat.QDQ
                types = {"weight_type": eight, "activation_type": eight}
                ort.quantize_static(
                    prepared, str(temporary), samples, pairs, per_channel=True, **types
                )
        except Exception as error:
            raise ExportError(f"{path.name} cannot be quantised: {_reason(error)}") from error
    return to


def size_mb(path: str | Path) -> float:
    """Return the size of a file in MB (10⁶ bytes), the unit of the papers' limits."""
    return _existing(path).stat().st_size / 1e6


# --- running and comparing -----------------------------------------------------------------------


def run(path: str | Path, inputs: Inputs, *, threads: int = 1) -> np.ndarray:
    """Return what onnxruntime computes from a file: logits, or of a whole one probabilities."""
    return _prepared(path, inputs, threads)()[0]


@dataclasses.dataclass(frozen=True)
class Parity:
    """How far a file's logits are from the network's own, over `samples` samples."""

    max_abs_diff: float
    mean_abs_diff: float
    same_answers: float  # share of samples whose most likely class is the same
    samples: int


def parity(model: nn.Module, path: str | Path, inputs: Inputs, *, threads: int = 1) -> Parity:
    """Compare a network and its file on the same samples."""
    placed = {name: value.to(_device(model)) for name, value in inputs.items()}
    with devices.evaluating(model), torch.inference_mode():
        expected = model(**placed).cpu().numpy()
    answers = run(path, inputs, threads=threads)
    difference = np.abs(answers - expected)
    same = np.mean(answers.argmax(axis=1) == expected.argmax(axis=1))
    return Parity(float(difference.max()), float(difference.mean()), float(same), len(expected))


def latency(
    path: str | Path, inputs: Inputs, *, runs: int = 10, warmup: int = 3, threads: int = 1
) -> devices.Latency:
    """Measure one inference of a file with onnxruntime on the processor.

    Parameters
    ----------
    path
        From `export` or `quantize`.
    inputs
        Named tensors; give a batch of one for the delay a user would feel.
    runs, warmup, threads
        As for `emolib.devices.latency`.
    """
    call, device = _prepared(path, inputs, threads), "onnxruntime cpu"
    return devices.timed(call, runs=runs, warmup=warmup, threads=threads, device=device)


# --- inside --------------------------------------------------------------------------------------


def _each(free: Any) -> list[Mapping[int, str]]:
    return [*free.values()] if isinstance(free, Mapping) else [*free]


def _one_by_one(inputs: Inputs) -> SimpleNamespace:
    """Hand calibration samples to onnxruntime as it asks for them."""
    arrays = {name: value.detach().cpu().numpy() for name, value in inputs.items()}
    count = len(next(iter(arrays.values())))
    samples = ({name: value[i : i + 1] for name, value in arrays.items()} for i in range(count))
    return SimpleNamespace(get_next=partial(next, samples, None))


def _reason(error: Exception, line: int = 0) -> str:
    """Return one line of a library's long message, or the kind of error where there is none."""
    lines = str(error).splitlines() or [type(error).__name__]
    return textwrap.shorten(lines[min(line, len(lines) - 1)], 150, placeholder=" …")


def _device(model: nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise ExportError(f"{path} does not exist: write it with emolib.export.export first")
    return path


def _prepared(path: str | Path, inputs: Inputs, threads: int) -> Callable[[], Any]:
    """Load a file and return what computes its logits on `inputs`."""
    import onnxruntime as ort

    path, options = _existing(path), ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        reason = _reason(error)
        raise ExportError(f"{path} is not an ONNX file that can be run: {reason}") from error
    wanted = [node.name for node in session.get_inputs()]
    missing = [name for name in wanted if name not in inputs]
    if missing:
        needed = f"the file needs {', '.join(wanted)}"
        raise ExportError(f"{needed}, but {', '.join(missing)} is not given")
    arrays = {name: inputs[name].detach().cpu().numpy() for name in wanted}
    return partial(session.run, None, arrays)


def _strip(file) -> None:
    """Drop what the exporter notes for debugging: it weighs 10 % here and names local paths."""
    del file.metadata_props[:]
    graphs = [file.graph, *file.functions]
    while graphs:
        graph = graphs.pop()
        # Shapes between layers can be inferred, and onnxruntime trips over them when it turns
        # a dense layer's weight round.
        del graph.value_info[:]
        for part in (graph, *graph.node):
            part.doc_string = ""
            del part.metadata_props[:]
        for node in graph.node:
            graphs += [attribute.g for attribute in node.attribute if attribute.HasField("g")]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence progress reports of the exporter and of onnxruntime; errors still rise."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
