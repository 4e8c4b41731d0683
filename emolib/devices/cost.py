"""What a network costs for one sample, counted by hooks.

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
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from emolib import models, registry

#: Gates of a recurrent unit, and its activations: an LSTM squashes its cell state once more.
_GATES = {"RNN": (1, 1), "GRU": (3, 3), "LSTM": (4, 5)}
# Operations called as functions, outside any layer, by what they count as.
_ACTIVATION_OPS = re.compile(
    "relu|sigmoid|tanh|gelu|silu|mish|elu|leaky_relu|_prelu_kernel|hardswish|hardsigmoid|hardtanh|"
    "softplus|_softmax|_log_softmax|log_sigmoid_forward"
)
_NORM_OPS = re.compile(".*(batch|layer|group)_norm(_legit_no_training)?")
_COPY_OPS = re.compile("clone|copy|_to_copy|contiguous|lift_fresh_copy|detach")
_BIASED_OPS = {"addmm", "baddbmm"}

_COUNTS = ("parameters", "macs", "bias_additions", "products", "normalised", "activations")
COLUMNS = ("layer", "type", "output_shape", *_COUNTS, "outputs")


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
        names = [*self.__dataclass_fields__, "arithmetic_intensity", "intensity_paper"]
        return {name: getattr(self, name) for name in names if name != "layers"}


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
    first = {name: value[:1] for name, value in inputs.items()}
    for name, value in first.items():
        counter.add(name, "input", value)
    with evaluating(model), torch.no_grad(), counter:
        model(**first)
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


def costs(key: str | None = None) -> dict[str, dict[str, float]]:
    """Return what the networks of the papers cost for one sample.

    Parameters
    ----------
    key
        A paper; None for all of them.

    Returns
    -------
    dict
        Design (a paper's key, and "<key> <design>" of others that it compares) → the numbers of
        `Cost`, and "parameters: <part>" where the paper speaks of parts.

    Raises
    ------
    UnknownPaperError
        If there is no such paper.
    """
    counted = {}
    for one in [key] if key else registry.PAPERS:
        for design, options in models.designs(one).items():
            model = models.build(one, **options)
            parts = models.count_parts(one, model)
            counted[design] = cost(model, models.example_inputs(one, batch=1)).to_dict() | {
                f"parameters: {part}": number for part, number in parts.items()
            }
    return counted


@contextmanager
def evaluating(model: nn.Module, *, fused: bool = False) -> Iterator[None]:
    """Use a network in evaluation mode and leave every module of it as it was.

    Parameters
    ----------
    model
        The network.
    fused
        Let attention use its fused kernels, which hide the products and have no ONNX operator.
    """
    modes = {module: module.training for module in model.modules()}
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(fused and before)
    model.eval()
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
        for module, mode in modes.items():
            module.training = mode


class _Counter(TorchDispatchMode):
    """Collects one row a layer by hooks, and the operations between layers by dispatch."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.rows: dict[tuple[str, str], dict] = {}
        self._names = {module: name for name, module in model.named_modules()}
        self._stack: list[nn.Module] = []
        self._inside = 0  # how many counted layers we are in: they answer for their operations
        self._seen: set[nn.Module] = set()
        self._hooks = ExitStack()

    def __enter__(self):
        for module in self._names:
            self._hooks.enter_context(module.register_forward_pre_hook(self._enter))
            self._hooks.enter_context(module.register_forward_hook(self._leave))
        return super().__enter__()

    def __exit__(self, *error):
        self._hooks.close()
        return super().__exit__(*error)

    def add(self, layer: str, kind: str, output: Tensor, **counts: int) -> None:
        """Add a call to its row; a layer that is used twice costs twice."""
        empty = {"layer": layer, "type": kind, **dict.fromkeys(COLUMNS[3:], 0)}
        row = self.rows.setdefault((layer, kind), empty)
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
        leaves = tree_leaves((args, kwargs))
        sources = [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.numel()]
        if not isinstance(value, Tensor) or not sources or not value.numel():
            return
        name = func._schema.name.removeprefix("aten::").removesuffix("_")
        shared = value.untyped_storage().data_ptr()
        in_place = any(t.untyped_storage().data_ptr() == shared for t in sources)
        counts = _count_operation(name, func.overloadpacket, args, kwargs, output, value)
        if counts or not (in_place or _COPY_OPS.fullmatch(name)):
            where = self._names[self._stack[-1]] if self._stack else ""
            kept = 0 if in_place else value.numel()
            self.add(where, name, value, **{"outputs": kept, **counts})


def _count_operation(name, operator, args, kwargs, output, value: Tensor) -> dict[str, int]:
    """Return what one operation counts besides its outputs, of which `value` is the first."""
    n = value.numel()
    if operator in flop_registry:
        biased = name in _BIASED_OPS or (name == "convolution" and args[2] is not None)
        macs = flop_registry[operator](*args, **kwargs, out_val=output) // 2
        return {"macs": macs, "products": n, "bias_additions": n * biased}
    if name.startswith("_scaled_dot_product"):
        query, key, values = args[:3]
        weights = query.shape[:-1].numel() * key.shape[-2]
        macs = sdpa_flop_count(query.shape, key.shape, values.shape) // 2
        # Both products leave values: the attention weights and their mixture.
        return {"macs": macs, "products": weights + n, "activations": weights}
    if _ACTIVATION_OPS.fullmatch(name):
        return {"activations": n}
    return {"normalised": n} if _NORM_OPS.fullmatch(name) else {}


def _is_layer(module: nn.Module) -> bool:
    """Tell whether a module is counted as one layer instead of by what it calls."""
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return True
    own = type(module).__module__
    if not own.startswith("torch.nn.modules") or own.endswith(".container"):
        return False  # an empty Sequential is a shortcut, not a layer
    return not list(module.children())


def _count(module: nn.Module, inputs: tuple, output: Tensor) -> dict[str, int]:
    """Return what one call of a layer counts, besides its parameters and outputs."""
    n = output.numel()
    if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
        # Each output value takes C_in / groups · kernel products; transposed, each input value.
        transposed = isinstance(module, nn.modules.conv._ConvTransposeNd)
        macs = (inputs[0].numel() if transposed else n) * module.weight[0].numel()
        return {"macs": macs, "products": n, "bias_additions": n * (module.bias is not None)}
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return _count_recurrent(module, inputs[0])
    kind = type(module).__module__.rsplit(".", 1)[-1]
    if kind == "activation":
        return {"activations": n}
    if kind in ("batchnorm", "instancenorm") or isinstance(module, nn.LayerNorm | nn.GroupNorm):
        return {"normalised": n}
    return {}


def _count_recurrent(
    module: nn.RNNBase | nn.RNNCellBase, sequence: Tensor | nn.utils.rnn.PackedSequence
) -> dict[str, int]:
    """Count a GRU, LSTM or RNN, or a cell of one: both matrices of every gate at every step."""
    kind = getattr(module, "mode", type(module).__name__).removesuffix("Cell").split("_")[0]
    gates, activations = _GATES[kind]
    if isinstance(sequence, nn.utils.rnn.PackedSequence):
        sequence = sequence.data
    steps = sequence.numel() // sequence.shape[-1]  # of one sample, however the axes are ordered
    weights = {name: p for name, p in module.named_parameters() if name.startswith("weight_")}
    # Gates times units, over all layers and directions.
    rows = sum(len(p) for name, p in weights.items() if name.startswith("weight_ih"))
    return {
        "macs": steps * sum(p.numel() for p in weights.values()),
        "products": 2 * steps * rows,
        "bias_additions": 2 * steps * rows * bool(module.bias),
        "activations": steps * rows // gates * activations,
    }
