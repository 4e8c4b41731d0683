"""From PyTorch to a file that a small board can run: ONNX, eight bits, and proof of parity."""

import dataclasses
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from emolib import devices, paths
from emolib.errors import EmolibError

Inputs = Mapping[str, Tensor]


class ExportError(EmolibError, RuntimeError):
    """A network could not be written as ONNX, or a file could not be quantised or run."""


# --- files ---------------------------------------------------------------------------------------


def export(model: nn.Module, inputs: Inputs, path: str | Path) -> Path:
    """Write a network as one ONNX file whose batch size is free.

    Parameters
    ----------
    model
        Exported in evaluation mode and left as it was.
    inputs
        Named example tensors, batch first; their names become the file's inputs.
    path
        Where to write; replaced only when the export has succeeded.

    Raises
    ------
    ExportError
        If PyTorch's exporter cannot follow the network, or only for one batch size.
    """
    path = Path(path)
    # With a batch of one the exporter would take the one for a constant.
    examples = {
        name: (value if len(value) > 1 else value.repeat(2, *[1] * (value.ndim - 1))).cpu()
        for name, value in inputs.items()
    }
    batch = torch.export.Dim("batch")
    modes = {module: module.training for module in model.modules()}
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its fused kernels have no ONNX operator
    try:
        with _quiet():
            program = torch.onnx.export(
                model.eval().cpu(),
                (),
                kwargs=examples,
                dynamo=True,
                dynamic_shapes={name: {0: batch} for name in examples},
                input_names=list(examples),
                output_names=["logits"],
                verbose=False,
            )
    except Exception as error:
        raise ExportError(
            f"{type(model).__name__} cannot be written as ONNX: {str(error).splitlines()[0]}"
        ) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        model.to(device)
        for module, mode in modes.items():
            module.training = mode
    file = program.model_proto
    fixed = [
        node.name
        for node in file.graph.input
        if not node.type.tensor_type.shape.dim[0].HasField("dim_param")
    ]
    if fixed:  # the exporter falls back to the example's size without an error
        raise ExportError(
            f"{type(model).__name__} fixes the batch size of {', '.join(fixed)}: somewhere it "
            "takes a Python number of it, as len(tensor) does; use tensor.shape[0]"
        )
    _strip(file)
    with paths.atomic(path) as temporary:
        temporary.write_bytes(file.SerializeToString())
    return path


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

    path = _existing(path)
    to = Path(to) if to else path.with_name(f"{path.stem}-int8.onnx")
    with tempfile.TemporaryDirectory() as folder, paths.atomic(to) as temporary, _quiet():
        try:
            if calibration is None:
                ort.quantize_dynamic(
                    str(path),
                    str(temporary),
                    op_types_to_quantize=["MatMul", "Gemm", "GRU", "LSTM"],
                    weight_type=ort.QuantType.QInt8,
                )
            else:
                # Folds normalisation into convolutions; the symbolic kind of shape inference
                # does not know all operators of recent exporters.
                prepared = str(Path(folder) / "prepared.onnx")
                ort.quant_pre_process(str(path), prepared, skip_symbolic_shape=True)
                ort.quantize_static(
                    prepared,
                    str(temporary),
                    _Samples(calibration),
                    quant_format=ort.QuantFormat.QDQ,
                    per_channel=True,
                    weight_type=ort.QuantType.QInt8,
                    activation_type=ort.QuantType.QInt8,
                )
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ExportError(f"{path.name} cannot be quantised: {reason}") from error
    return to


def size_mb(path: str | Path) -> float:
    """Return the size of a file in MB (10⁶ bytes), the unit of the papers' limits."""
    return _existing(path).stat().st_size / 1e6


# --- running and comparing -----------------------------------------------------------------------


def run(path: str | Path, inputs: Inputs, *, threads: int = 1) -> np.ndarray:
    """Return the logits ``(B, C)`` that onnxruntime computes from a file."""
    session = _session(path, threads)
    return session.run(["logits"], _arrays(session, inputs))[0]


@dataclasses.dataclass(frozen=True)
class Parity:
    """How far a file's logits are from the network's own, over `samples` samples."""

    max_abs_diff: float
    mean_abs_diff: float
    same_answers: float  # share of samples whose most likely class is the same
    samples: int


def parity(model: nn.Module, path: str | Path, inputs: Inputs, *, threads: int = 1) -> Parity:
    """Compare a network and its file on the same samples."""
    modes = {module: module.training for module in model.modules()}
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    try:
        with torch.inference_mode():
            placed = {name: value.to(device) for name, value in inputs.items()}
            expected = model.eval()(**placed).cpu().numpy()
    finally:
        for module, mode in modes.items():
            module.training = mode
    found = run(path, inputs, threads=threads)
    difference = np.abs(found - expected)
    return Parity(
        max_abs_diff=float(difference.max()),
        mean_abs_diff=float(difference.mean()),
        same_answers=float(np.mean(found.argmax(axis=1) == expected.argmax(axis=1))),
        samples=len(expected),
    )


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
    session = _session(path, threads)
    arrays = _arrays(session, inputs)
    return devices.timed(
        lambda: session.run(["logits"], arrays),
        runs=runs,
        warmup=warmup,
        threads=threads,
        device="onnxruntime cpu",
    )


# --- inside --------------------------------------------------------------------------------------


class _Samples:
    """Hands calibration samples to onnxruntime one by one."""

    def __init__(self, inputs: Inputs):
        arrays = {name: value.detach().cpu().numpy() for name, value in inputs.items()}
        count = len(next(iter(arrays.values())))
        self._samples = iter(
            [{name: value[i : i + 1] for name, value in arrays.items()} for i in range(count)]
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._samples, None)


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise ExportError(f"{path} does not exist: write it with emolib.export.export first")
    return path


def _session(path: str | Path, threads: int):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(
            str(_existing(path)), options, providers=["CPUExecutionProvider"]
        )
    except ExportError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise ExportError(f"{path} is not an ONNX file that can be run: {reason}") from error


def _arrays(session, inputs: Inputs) -> dict[str, np.ndarray]:
    wanted = [node.name for node in session.get_inputs()]
    missing = [name for name in wanted if name not in inputs]
    if missing:
        raise ExportError(
            f"the file needs {', '.join(wanted)}, but {', '.join(missing)} is not given"
        )
    return {name: inputs[name].detach().cpu().numpy() for name in wanted}


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
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
