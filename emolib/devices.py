"""What a network costs, counted by hooks, and what that means on small boards.

Papers print "FLOPs" for at least four different things. Here each has a name of its own:

========================  ====================================================================
``macs``                  multiply-accumulates of convolutions, dense and recurrent layers and
                          matrix products
``flops``                 2·macs, and one addition for each bias
``flops_paper``           Ding et al., equation 3, on *output* maps: 2·macs, and one addition for
                          each output of such a layer whether it has a bias or not
``macs_bn_act``           macs + 2 for each normalised value + 1 for each activation
``weight_bytes``          all parameters as stored
``activation_bytes``      the input and the output of every layer, all kept (Ding's "Mem.")
``arithmetic_intensity``  flops / (weight_bytes + activation_bytes)
``intensity_paper``       flops_paper / activation_bytes (Ding: "FLOPs/memory")
========================  ====================================================================
"""

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from emolib import paths

BOARDS = paths.DATA / "devices.csv"
SIZE_LIMIT_MB = 0.3  # what Ding et al. ask of a model for a Raspberry Pi 4B (Section V-C)

# --- counting ------------------------------------------------------------------------------------

_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_GATE_ACTIVATIONS = {"RNN": 1, "GRU": 3, "LSTM": 5}  # LSTM squashes its cell state once more
# Operations called as functions, outside any layer, by what they count as.
_ACTIVATION_OPS = {
    "relu",
    "sigmoid",
    "tanh",
    "gelu",
    "silu",
    "mish",
    "elu",
    "leaky_relu",
    "_prelu_kernel",
    "hardswish",
    "hardsigmoid",
    "hardtanh",
    "softplus",
    "_softmax",
    "_log_softmax",
    "log_sigmoid_forward",
}
_NORM_OPS = {"native_batch_norm", "_native_batch_norm_legit_no_training", "native_layer_norm",
             "native_group_norm", "cudnn_batch_norm"}  # fmt: skip
_COPY_OPS = {"clone", "copy", "_to_copy", "contiguous", "lift_fresh_copy", "detach"}
_BIASED_OPS = {"addmm", "baddbmm"}

COLUMNS = ("layer", "type", "output_shape", "parameters", "macs", "bias_additions", "products",
           "normalised", "activations", "outputs")  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class Cost:
    """What one forward pass of one sample costs; the conventions are those of this module.

    ``layers`` has one row a layer (or operation called outside any layer), in order of execution,
    with the columns of `COLUMNS`: ``products`` are the outputs of layers that multiply, all
    in numbers of values.
    """

    layers: pd.DataFrame
    parameters: int
    macs: int
    flops: int
    flops_paper: int
    macs_bn_act: int
    weight_bytes: int
    activation_bytes: int

    @property
    def arithmetic_intensity(self) -> float:
        """FLOP per byte if every weight and every layer output is moved once."""
        return self.flops / (self.weight_bytes + self.activation_bytes)

    @property
    def intensity_paper(self) -> float:
        """Ding's FLOPs/memory: equation 3 over layer outputs, the weights left out."""
        return self.flops_paper / self.activation_bytes

    def to_dict(self) -> dict[str, float]:
        """Return every number but the table, ready for JSON."""
        fields = [field.name for field in dataclasses.fields(self) if field.name != "layers"]
        return {
            **{name: getattr(self, name) for name in fields},
            "arithmetic_intensity": self.arithmetic_intensity,
            "intensity_paper": self.intensity_paper,
        }


def cost(model: nn.Module, inputs: Mapping[str, Tensor]) -> Cost:
    """Count what one sample costs in evaluation mode.

    Parameters
    ----------
    model
        Any network; it is run once, on the device where it lies, and left as it was.
    inputs
        Named tensors for ``forward``, batch first; only the first sample is used.

    Notes
    -----
    Hooks count the layers of ``torch.nn``; matrix products, activations and concatenations that
    a model calls as functions are seen by a dispatch mode and get rows of their own. Reshaping
    (but for an ``nn.Flatten`` layer) makes no new values and is not counted.

    Examples
    --------
    >>> from emolib import models
    >>> cost(models.build("ding"), models.example_inputs("ding")).macs
    7162368
    """
    counter = _Counter(model)
    training = {module: module.training for module in model.modules()}
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its fused kernels would hide the products
    model.eval()
    try:
        for name, value in inputs.items():
            counter.add(name, "input", value[:1])
        with torch.no_grad(), counter:
            model(**{name: value[:1] for name, value in inputs.items()})
    finally:
        counter.remove()
        torch.backends.mha.set_fastpath_enabled(fast)
        for module, mode in training.items():
            module.training = mode

    layers = pd.DataFrame(counter.rows.values(), columns=list(COLUMNS))
    total = layers.sum(numeric_only=True)
    macs = int(total["macs"])
    parameters = list(model.parameters())
    element_size = next((p.element_size() for p in parameters), 4)
    return Cost(
        layers=layers,
        parameters=sum(p.numel() for p in parameters),
        macs=macs,
        flops=2 * macs + int(total["bias_additions"]),
        flops_paper=2 * macs + int(total["products"]),
        macs_bn_act=macs + 2 * int(total["normalised"]) + int(total["activations"]),
        weight_bytes=sum(p.numel() * p.element_size() for p in parameters),
        activation_bytes=element_size * int(total["outputs"]),
    )


class _Counter(TorchDispatchMode):
    """Collects one row a layer by hooks, and the operations between layers by dispatch."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.rows: dict[tuple[str, str], dict] = {}
        self._names = {module: name for name, module in model.named_modules()}
        self._stack: list[nn.Module] = []
        self._inside = 0  # how many counted layers we are in: they answer for their operations
        self._seen: set[nn.Module] = set()
        self._handles = []
        for module in self._names:
            self._handles.append(module.register_forward_pre_hook(self._enter))
            self._handles.append(module.register_forward_hook(self._leave))

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()

    def add(self, layer: str, kind: str, output: Tensor, **counts: int) -> None:
        """Add a call to its row; a layer that is used twice costs twice."""
        row = self.rows.setdefault(
            (layer, kind),
            {**dict.fromkeys(COLUMNS, 0), "layer": layer, "type": kind},
        )
        row["output_shape"] = tuple(output.shape[1:])
        for name, count in {"outputs": output.numel(), **counts}.items():
            row[name] += count

    def _enter(self, module: nn.Module, _inputs) -> None:
        self._stack.append(module)
        self._inside += _is_layer(module)

    def _leave(self, module: nn.Module, inputs, output) -> None:
        self._stack.pop()
        self._inside -= _is_layer(module)
        first = module not in self._seen
        self._seen.add(module)
        parameters = sum(p.numel() for p in module.parameters(recurse=_is_layer(module)))
        if _is_layer(module) and not self._inside and not isinstance(module, nn.Identity):
            output = output[0] if isinstance(output, tuple) else output
            counts = {"parameters": parameters if first else 0, **_count(module, inputs, output)}
            self.add(self._names[module], type(module).__name__, output, **counts)
        elif parameters and first and not self._inside:
            name = self._names[module]
            self.add(name, "own parameters", torch.empty(0, 0), parameters=parameters)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if not self._inside:
            self._operation(func, args, kwargs, output)
        return output

    def _operation(self, func, args, kwargs, output) -> None:
        """Count an operation that a model calls as a function."""
        value = output[0] if isinstance(output, (tuple, list)) and output else output
        sources = [t for t in _tensors((args, kwargs)) if t.numel()]
        if not isinstance(value, Tensor) or not sources or not value.numel():
            return
        name = func._schema.name.removeprefix("aten::").removesuffix("_")
        shared = value.untyped_storage().data_ptr()
        in_place = any(t.untyped_storage().data_ptr() == shared for t in sources)
        counts = {}
        if func.overloadpacket in flop_registry:
            counts["macs"] = (
                flop_registry[func.overloadpacket](*args, **kwargs, out_val=output) // 2
            )
            counts["products"] = value.numel()
            biased = name in _BIASED_OPS or (name == "convolution" and args[2] is not None)
            counts["bias_additions"] = value.numel() if biased else 0
        elif name.startswith("_scaled_dot_product"):
            query, key, values = args[:3]
            counts["macs"] = sdpa_flop_count(query.shape, key.shape, values.shape) // 2
            # Both products leave values: the attention weights and their mixture.
            counts["products"] = query.shape[:-1].numel() * key.shape[-2] + value.numel()
            counts["activations"] = query.shape[:-1].numel() * key.shape[-2]
        elif name in _ACTIVATION_OPS:
            counts["activations"] = value.numel()
        elif name in _NORM_OPS:
            counts["normalised"] = value.numel()
        if counts or not (in_place or name in _COPY_OPS):
            where = self._names[self._stack[-1]] if self._stack else ""
            kept = 0 if in_place else value.numel()
            self.add(where, name, value, **{"outputs": kept, **counts})


def _is_layer(module: nn.Module) -> bool:
    """Tell whether a module is counted as one layer instead of by what it calls."""
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return True
    own = type(module).__module__
    if not own.startswith("torch.nn.modules") or own.endswith(".container"):
        return False  # an empty Sequential is a shortcut, not a layer
    return not list(module.children())


def _tensors(tree) -> list[Tensor]:
    from torch.utils._pytree import tree_leaves

    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _count(module: nn.Module, inputs: tuple, output: Tensor) -> dict[str, int]:
    """Return what one call of a layer counts, besides its parameters and outputs."""
    kind = type(module).__module__.rsplit(".", 1)[-1]
    n = output.numel()
    bias = getattr(module, "bias", None) is not None
    if isinstance(module, nn.Linear):
        macs = n * module.in_features
        return {"macs": macs, "products": n, "bias_additions": n * bias}
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        # Each input value meets every kernel weight of its group once.
        macs = inputs[0].numel() * module.weight[0].numel()
        return {"macs": macs, "products": n, "bias_additions": n * bias}
    if isinstance(module, nn.modules.conv._ConvNd):
        macs = n * module.weight[0].numel()  # C_in / groups · kernel
        return {"macs": macs, "products": n, "bias_additions": n * bias}
    if isinstance(module, nn.RNNBase):
        return _count_recurrent(module, inputs[0])
    if isinstance(module, nn.RNNCellBase):
        gates = module.weight_ih.numel() + module.weight_hh.numel()
        rows = module.weight_ih.shape[0]
        activations = _GATE_ACTIVATIONS[type(module).__name__.removesuffix("Cell")]
        return {
            "macs": gates,
            "products": 2 * rows,
            "bias_additions": 2 * rows * bool(module.bias),
            "activations": activations * module.hidden_size,
        }
    if kind == "activation":
        return {"activations": n}
    if kind in ("batchnorm", "instancenorm") or isinstance(module, nn.LayerNorm | nn.GroupNorm):
        return {"normalised": n}
    return {}


def _count_recurrent(module: nn.RNNBase, sequence: Tensor) -> dict[str, int]:
    """Count a GRU, LSTM or RNN: both matrices of every gate at every step."""
    mode = module.mode.split("_")[0]
    packed = isinstance(sequence, nn.utils.rnn.PackedSequence)
    # Steps of one sample, however the axes are ordered.
    steps = sequence.data.shape[0] if packed else sequence.numel() // sequence.shape[-1]
    directions = 2 if module.bidirectional else 1
    weights = sum(p.numel() for name, p in module.named_parameters() if name.startswith("weight_"))
    rows = _GATES[mode] * module.hidden_size * directions * module.num_layers
    units = module.hidden_size * directions * module.num_layers
    return {
        "macs": steps * weights,
        "products": 2 * steps * rows,
        "bias_additions": 2 * steps * rows * bool(module.bias),
        "activations": steps * units * _GATE_ACTIVATIONS[mode],
    }


# --- time ----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Latency:
    """Measured time of one forward pass, in milliseconds, over `runs` passes.

    `processor_ms` is the mean time of a pass that processors spent on it, summed over threads: on
    a busy machine it says more than the clock.
    """

    median_ms: float
    fastest_ms: float
    slowest_ms: float
    runs: int
    threads: int
    device: str
    processor_ms: float = math.nan


def timed(call, *, runs: int, warmup: int, threads: int, device: str, wait=lambda: None) -> Latency:
    """Time `call` `runs` times after `warmup` calls that do not count.

    Parameters
    ----------
    call
        A function without arguments.
    runs, warmup
        Passes that count, and passes before them (allocation, kernel choice, caches).
    threads, device
        Recorded in the result.
    wait
        Called before each clock reading; waits for a device that works asynchronously.
    """
    for _ in range(warmup):
        call()
    times = []
    spent = time.process_time()
    for _ in range(runs):
        wait()
        start = time.perf_counter()
        call()
        wait()
        times.append(1000 * (time.perf_counter() - start))
    spent = 1000 * (time.process_time() - spent) / runs
    return Latency(statistics.median(times), min(times), max(times), runs, threads, device, spent)


def latency(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    *,
    runs: int = 10,
    warmup: int = 3,
    threads: int = 1,
) -> Latency:
    """Measure a forward pass in evaluation mode; 10 passes, as Ding et al. (Section III-E).

    Parameters
    ----------
    model
        Run where its parameters lie.
    inputs
        Named tensors for ``forward``; give a batch of one for the delay a user would feel.
    runs, warmup
        Passes that count, and passes before them.
    threads
        Processor threads that PyTorch may use; restored afterwards.
    """
    device = next(model.parameters()).device
    inputs = {name: value.to(device) for name, value in inputs.items()}
    training, before = model.training, torch.get_num_threads()
    model.eval()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            return timed(
                lambda: model(**inputs),
                runs=runs,
                warmup=warmup,
                threads=threads,
                device=str(device),
                wait=torch.cuda.synchronize if device.type == "cuda" else lambda: None,
            )
    finally:
        torch.set_num_threads(before)
        model.train(training)


def peak_bytes(call: Callable[[], object]) -> int:
    """Return how many bytes PyTorch held at most while `call` ran, above what was there before.

    Every allocation and release of PyTorch's processor allocator is recorded and summed; nothing
    is estimated, and nothing else that the process holds (Python, libraries) is in it. Build the
    network inside `call` if its weights shall count.

    Examples
    --------
    >>> peak_bytes(lambda: torch.zeros(1000).add(1)) // 4000  # two arrays
    2
    """
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        call()
    events = [e for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def training_step(
    build: Callable[[], nn.Module],
    inputs: Mapping[str, Tensor],
    labels: Tensor,
    *,
    runs: int = 3,
    threads: int = 1,
) -> tuple[Latency, int, int]:
    """Measure forward, backward and AdamW step of one batch, in time and in memory.

    Parameters
    ----------
    build
        Makes the network.
    inputs, labels
        The batch.
    runs
        Steps that are timed, after one that is not.
    threads
        Processor threads that PyTorch may use; restored afterwards.

    Returns
    -------
    latency, peak_training_bytes, peak_inference_bytes
        The time of a step in *processor* milliseconds, so that other programs' load does not
        count; what training holds at most (weights, gradients, both moments, everything kept for
        the way back); and what a forward pass without gradients holds, weights included.
    """

    def trained(steps: int, each: Callable = lambda step: step()) -> None:
        model = build().train()
        optimizer = torch.optim.AdamW(model.parameters())

        def step() -> None:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(**inputs), labels).backward()
            optimizer.step()

        for _ in range(steps):
            each(step)

    def clocked(step: Callable) -> None:
        start = time.process_time()
        step()
        times.append(1000 * (time.process_time() - start))

    def inferred() -> None:
        with torch.inference_mode():
            build().eval()(**inputs)

    times: list[float] = []
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        trained(1 + runs, clocked)
        peaks = peak_bytes(lambda: trained(2)), peak_bytes(inferred)
    finally:
        torch.set_num_threads(before)
    times = times[1:]  # the first allocates and chooses kernels
    latency = Latency(statistics.median(times), min(times), max(times), runs, threads, "cpu")
    return latency, *peaks


# --- boards --------------------------------------------------------------------------------------


def boards(path: Path | None = None) -> pd.DataFrame:
    """Return the boards that the papers name and how fast they claim to be.

    Returns
    -------
    DataFrame
        ``board``, ``memory``, ``bandwidth_gb_s`` (GB/s), ``peak_gflops`` (FP32, GFLOP/s),
        ``provenance`` ("printed": as a paper prints it; "derived": from the vendor's data
        sheet by the arithmetic in ``source``), ``source``, and ``balance`` (FLOP/byte), the
        intensity above which the processor and no longer the memory is the limit. Lu et al.
        print this balance as "arithmetic intensity"; it is the board's, never the model's.
    """
    table = pd.read_csv(path or BOARDS)
    table["balance"] = table["peak_gflops"] / table["bandwidth_gb_s"]
    return table


def roofline(costs: Cost | Mapping[str, Cost], table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Bound the time of an inference by the roofline model.

    Parameters
    ----------
    costs
        One cost, or name to cost.
    table
        Boards as `boards` returns them (the default).

    Returns
    -------
    DataFrame
        One row a model and board: ``arithmetic_intensity`` (FLOP/byte), ``attainable_gflops``
        = min(peak, intensity × bandwidth), ``limit`` ("compute" or "memory"), and ``bound_ms``,
        the time below which no implementation of these operations can get on that
        board. It is a lower bound: real networks of this size reach a small part of it.
    """
    table = boards() if table is None else table
    costs = {"model": costs} if isinstance(costs, Cost) else costs
    rows = []
    for name, one in costs.items():
        for board in table.itertuples():
            roof = one.arithmetic_intensity * board.bandwidth_gb_s
            attainable = min(board.peak_gflops, roof)
            rows.append(
                {
                    "model": name,
                    "board": board.board,
                    "arithmetic_intensity": one.arithmetic_intensity,
                    "balance": board.balance,
                    "attainable_gflops": attainable,
                    "limit": "memory" if roof < board.peak_gflops else "compute",
                    "bound_ms": one.flops / attainable / 1e6,
                }
            )
    return pd.DataFrame(rows)


def feasibility(
    costs: Cost | Mapping[str, Cost],
    table: pd.DataFrame | None = None,
    *,
    rate_hz: float = 30.0,
    size_limit_mb: float = SIZE_LIMIT_MB,
    weight_bits: int = 32,
) -> pd.DataFrame:
    """Tell which boards could run a model at a rate, and whether its weights meet a size limit.

    The paper's own test (Lu et al., Table IX) compares the work of one inference (FLOP) with a
    board's speed (FLOP/s), which says nothing without a rate: here the rate is named.

    Parameters
    ----------
    costs, table
        As for `roofline`.
    rate_hz
        Inferences a second that are asked for: 30 for every frame of a camera; one clip of 3 s
        in six segments needs 2.
    size_limit_mb
        Largest model file, in MB (10⁶ bytes); Ding et al. ask for 0.3.
    weight_bits
        Bits a weight is stored in: 32, or 8 after quantisation.

    Returns
    -------
    DataFrame
        The columns of `roofline`, and ``rate_hz``, ``load`` (share of the board's attainable
        speed that the rate takes), ``keeps_up`` (load ≤ 1), ``weights_mb``, ``fits_size``, and
        ``work_below_peak``, the paper's test.
    """
    named = {"model": costs} if isinstance(costs, Cost) else costs
    result = roofline(named, table)
    size = {name: one.parameters * weight_bits / 8 / 1e6 for name, one in named.items()}
    peaks = (boards() if table is None else table).set_index("board")["peak_gflops"]
    work = result["model"].map({name: one.flops / 1e9 for name, one in named.items()})
    result["work_below_peak"] = work <= result["board"].map(peaks)
    result["rate_hz"] = rate_hz
    result["load"] = rate_hz * result["bound_ms"] / 1000
    result["keeps_up"] = result["load"] <= 1
    result["weights_mb"] = result["model"].map(size)
    result["fits_size"] = result["weights_mb"] <= size_limit_mb
    return result
