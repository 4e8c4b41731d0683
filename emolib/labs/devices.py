"""How long this machine takes for every network, and whether the band foretold it.

`machines` measures the processor and the memory, `latencies` every network in four ways of running
it, and `misses` compares the times with the band of `emolib.devices` and names the layers that
took longer than their share of the work. Weights are random: a time does not depend on them.
"""

import datetime
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from emolib import devices, export, models, paths, registry, results

RUNTIMES = ("eager", "compiled", "ONNX Runtime", "ONNX Runtime int8")
BATCHES = (1, 16)
THREADS = (1, 2)
#: Seconds that the passes of one cell may take, and how many passes there are at least and most.
SECONDS, FEWEST, MOST = 1.0, 5, 300
CALIBRATED_ON = 2  # random samples: ranges decide about answers, not about time

Inputs = Mapping[str, Tensor]


def networks(keys: Iterable[str] = ()) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the networks that are timed: name → paper and options; voice, face, and both.

    Parameters
    ----------
    keys
        Papers; all by default.
    """
    return {
        f"{key} {name}".strip(): (key, options)
        for key in keys or registry.PAPERS
        for name, options in (
            ("voice", {"modality": "audio"}),
            ("face", {"modality": "video"}),
            ("", {}),
        )
    }


def counted(keys: Iterable[str] = ()) -> dict[str, devices.Cost]:
    """Return what each of `networks` costs."""
    return {
        name: devices.cost(models.build(key, **options), _example(key, options, 1))
        for name, (key, options) in networks(keys).items()
    }


def machines(threads: Iterable[int] = THREADS) -> pd.DataFrame:
    """Measure this machine with one thread and with two.

    Returns
    -------
    DataFrame
        The fields of `devices.Machine`, the ``processor``, and when and with what it was measured.
    """
    rows = [vars(devices.machine(n)) for n in threads]
    return pd.DataFrame(rows).assign(**_provenance())


def latencies(
    keys: Iterable[str] = (),
    *,
    runtimes: Iterable[str] = RUNTIMES,
    batches: Iterable[int] = BATCHES,
    threads: Iterable[int] = THREADS,
    seconds: float = SECONDS,
    progress: bool = True,
) -> pd.DataFrame:
    """Measure a forward pass of every network, in every way, here and now.

    Returns
    -------
    DataFrame
        ``network``, ``runtime``, ``batch``, ``threads``; ``p50_ms``, ``p95_ms``, ``fastest_ms`` by
        the clock and ``processor_ms`` summed over threads; ``runs``; ``prepared_s``, what it took
        to compile or to export; ``load`` of the machine; ``why`` there is no time, if there is
        none; and when and with what it was measured.
    """
    rows: list[dict[str, Any]] = []
    for name, (key, options) in tqdm(networks(keys).items(), disable=not progress):
        ways = _Ways(models.build(key, **options).eval(), _example(key, options, CALIBRATED_ON))
        for runtime, batch, n in itertools.product(runtimes, batches, threads):
            row = {"network": name, "runtime": runtime, "batch": batch, "threads": n}
            inputs = _example(key, options, batch)
            rows.append(row | _timed(partial(ways.measure, runtime, inputs, threads=n), seconds))
    return pd.DataFrame(rows).assign(**_provenance())


def misses(
    measured: pd.DataFrame, machine: pd.DataFrame, *, runtime: str = "ONNX Runtime"
) -> pd.DataFrame:
    """Compare what was measured for one sample on one thread with the band, and say why it differs.

    Parameters
    ----------
    measured
        As `latencies` gives it.
    machine
        As `machines` gives it: in place of the data sheet that a board would have.
    runtime
        Whose processor time is compared: other programs' load stretches the clock's fivefold.

    Returns
    -------
    DataFrame
        ``network``, its million multiply-accumulates ``mmacs``; ``measured_ms``, ``low_ms``,
        ``likely_ms``, ``high_ms``; ``ratio`` measured / likely, ``within`` the band, whether the
        network's size is ``inside`` those fitted; and the layers that are to ``blame``: the kind
        whose share of the time exceeds its share of the work most (eager), with both shares.
    """
    chosen = measured.query("runtime == @runtime and batch == 1 and threads == 1")
    here = machine[machine["threads"] == 1].iloc[0]
    band, times = devices.band(), chosen.set_index("network")["processor_ms"]
    rows = []
    for name, (key, options) in networks().items():
        if name not in times.index:
            continue
        model, inputs = models.build(key, **options).eval(), _example(key, options, 1)
        cost = devices.cost(model, inputs)
        moved = cost.weight_bytes + cost.activation_bytes
        likely = band.likely_ms(cost.flops, moved, here["peak_gflops"], here["bandwidth_gb_s"])
        ms = float(times[name])
        rows.append(
            {
                "network": name,
                "mmacs": cost.macs / 1e6,
                "measured_ms": ms,
                "low_ms": likely / band.factor,
                "likely_ms": likely,
                "high_ms": likely * band.factor,
                "ratio": ms / likely,
                "within": likely / band.factor <= ms <= likely * band.factor,
                "inside": band.flops[0] <= cost.flops <= band.flops[1],
                **_blamed(shares(model, inputs)),
            }
        )
    return pd.DataFrame(rows)


def missed() -> pd.DataFrame:
    """Return `misses` of the times and the machine that are stored.

    Raises
    ------
    DeviceError
        If they are not.
    """
    measured, machine = stored("latencies"), stored("machine")
    if measured.empty or machine.empty:
        raise devices.DeviceError(
            "this machine is not measured yet: run `emolib study lab_devices/machine "
            "lab_devices/latencies` first"
        )
    return misses(measured, machine)


def shares(model: nn.Module, inputs: Inputs, *, runs: int = 5) -> pd.DataFrame:
    """Time each layer of a pass, and compare its share of the time with its share of the work.

    Returns
    -------
    DataFrame
        By kind of layer: ``layers``, ``time`` and ``work``, shares of the pass and of its
        multiply-accumulates. What no layer accounts for is "between layers".
    """
    cost = devices.cost(model, inputs)
    kinds = {name: _kind(module) for name, module in model.named_modules()}
    work = cost.layers.groupby(cost.layers["layer"].map(kinds).fillna("between layers"))["macs"]
    spent: dict[str, float] = {}
    started: dict[str, float] = {}

    def before(name: str) -> Callable[..., None]:
        return lambda *_: started.update({name: time.perf_counter()})

    def after(name: str) -> Callable[..., None]:
        def add(*_: Any) -> None:
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - started[name]

        return add

    timed = [row.layer for row in cost.layers.itertuples() if row.layer in kinds and row.layer]
    leaves = {name: module for name, module in model.named_modules() if name in timed}
    hooks = []
    for name, module in leaves.items():
        hooks += [module.register_forward_pre_hook(before(name))]
        hooks += [module.register_forward_hook(after(name))]
    begun = time.perf_counter()
    with devices.evaluating(model, fused=True), torch.inference_mode():
        for _ in range(runs):
            model(**inputs)
    whole = time.perf_counter() - begun
    for hook in hooks:
        hook.remove()
    outer = {name for name in spent if any(other.startswith(f"{name}.") for other in spent)}
    seconds = pd.Series({name: value for name, value in spent.items() if name not in outer})
    table = pd.DataFrame(
        {
            "layers": seconds.groupby(kinds).size(),
            "time": seconds.groupby(kinds).sum() / whole,
            "work": work.sum() / max(cost.macs, 1),
        }
    ).fillna(0.0)
    table.loc["between layers", "time"] = max(0.0, 1 - seconds.sum() / whole)
    return table.fillna(0.0).sort_values("time", ascending=False).rename_axis("kind")


def _kind(module: nn.Module) -> str:
    """Name a layer by what decides its speed."""
    if isinstance(module, nn.modules.conv._ConvNd):
        if module.groups > 1:
            return "depthwise convolution"
        return "pointwise convolution" if {*module.kernel_size} == {1} else "convolution"
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return "recurrent"
    if isinstance(module, nn.Linear):
        return "dense"
    kind = type(module).__module__.rsplit(".", 1)[-1]
    return {"batchnorm": "normalisation", "pooling": "pooling"}.get(kind, kind)


def _blamed(table: pd.DataFrame) -> dict[str, Any]:
    excess = (table["time"] - table["work"]).idxmax()
    worst = table.loc[excess]
    return {"blame": excess, "of_time": worst["time"], "of_work": worst["work"]}


def _example(key: str, options: Mapping[str, Any], batch: int) -> dict[str, Tensor]:
    return models.example_inputs(key, batch=batch, **options)


def _timed(measure: Callable[..., devices.Latency], seconds: float) -> dict[str, Any]:
    """Measure one cell, or say in a line why it has no time."""
    begun = time.perf_counter()
    try:
        first = measure(runs=1, warmup=1)
        prepared = time.perf_counter() - begun - first.fastest_ms / 1000
        runs = int(min(max(seconds / (first.fastest_ms / 1000), FEWEST), MOST))
        took = measure(runs=runs, warmup=1)
    except Exception as error:  # of a compiler, an exporter or a runtime: the other cells go on
        line = (str(error).splitlines() or [""])[0]
        return {"why": f"{type(error).__name__}: {line}"[:160], "load": os.getloadavg()[0]}
    return {
        "p50_ms": took.median_ms,
        "p95_ms": took.p95_ms,
        "fastest_ms": took.fastest_ms,
        "processor_ms": took.processor_ms,
        "runs": took.runs,
        "prepared_s": prepared,
        "load": os.getloadavg()[0],
    }


class _Ways:
    """The ways to run one network; what they take is made once."""

    def __init__(self, model: nn.Module, calibration: Inputs):
        self._model, self._calibration = model, calibration
        self._folder = TemporaryDirectory()

    def measure(
        self, runtime: str, inputs: Inputs, *, threads: int, runs: int, warmup: int
    ) -> devices.Latency:
        """Time so many passes after so many that do not count."""
        settings: Any = {"runs": runs, "warmup": warmup, "threads": threads}
        if runtime in ("eager", "compiled"):
            network = self._model if runtime == "eager" else self.compiled
            return devices.latency(network, inputs, **settings)
        file = self.int8 if runtime.endswith("int8") else self.file
        return export.latency(file, inputs, **settings)

    @cached_property
    def compiled(self) -> nn.Module:
        """The network behind `torch.compile`; compiled anew for every shape and thread count."""
        if not (shutil.which("c++") or shutil.which("g++")):
            raise devices.DeviceError("torch.compile takes a C++ compiler: install g++")
        return cast("nn.Module", torch.compile(self._model, dynamic=False))

    @cached_property
    def file(self) -> Path:
        """The network as ONNX."""
        return export.export(
            self._model, self._calibration, Path(self._folder.name) / "network.onnx"
        )

    @cached_property
    def int8(self) -> Path:
        """The network as ONNX, quantised with static ranges of random samples."""
        return export.quantize(self.file, self._calibration)


def _provenance() -> dict[str, str]:
    return {
        "processor": results.device_name("cpu"),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "torch": str(torch.__version__),
        "onnxruntime": version("onnxruntime"),
    }


# --- what was stored -----------------------------------------------------------------------------


def stored(name: str) -> pd.DataFrame:
    """Return one of the tables of this lab: "machine", "latencies", "misses"; empty without it."""
    file = paths.find(paths.RESULTS / "lab_devices" / f"{name}.csv")
    return pd.read_csv(file) if file.exists() else pd.DataFrame()
