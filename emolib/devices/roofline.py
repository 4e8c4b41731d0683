"""What a board can be expected to make of a network: a bound from data sheets, and a band.

The roofline says below which time nobody gets. How far above it real software stays was published
for MobileNets on three Raspberry Pis and three phones; a `Band` is fitted on those times,

    t = flops / (c · peak) + bytes / (m · bandwidth),

with the shares c and m of the data sheet's peak and bandwidth that are reached, and its width
comes from the boards that were left out of the fitting.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, stats

from emolib.devices.boards import DeviceError, boards, latencies
from emolib.devices.cost import Cost

SIZE_LIMIT_MB = 0.3  # what Ding et al. ask of a model for a Raspberry Pi 4B (Section V-C)
CONFIDENCE = 0.95
PRECISIONS = {"FP32": 4, "int8": 1}  # bytes a value


@dataclasses.dataclass(frozen=True)
class Band:
    """A time that is likely on a board, and by which factor it may be off.

    Attributes
    ----------
    compute, memory
        Shares of the data sheet's peak and bandwidth that the fitted latencies reached.
    factor
        A board that nobody timed is expected between likely / factor and likely · factor, with
        95 % confidence.
    boards
        How many boards were fitted.
    flops
        The smallest and the largest network that was fitted: outside of it, the band is a guess.
    """

    compute: float
    memory: float
    factor: float
    boards: int
    flops: tuple[float, float]

    def likely_ms(self, flops: Any, moved: Any, peak_gflops: Any, bandwidth_gb_s: Any) -> Any:
        """Return the middle of the band (ms) for operations and bytes; numbers or columns."""
        return _time((1 / self.compute, 1 / self.memory), flops, moved, peak_gflops, bandwidth_gb_s)


def fit(table: pd.DataFrame) -> Band:
    """Fit a band on latencies as `latencies` gives them.

    The relative error counts, so the fit is one of logarithms. The factor is the t-quantile times
    the root mean square of the errors of boards that were left out in turn.

    Raises
    ------
    DeviceError
        If the table holds fewer than three boards: nothing would be left to be left out.
    """
    if (count := table["board"].nunique()) < 3:
        raise DeviceError(f"{count} boards are too few for a band: give latencies of three or more")
    shares = _shares(table)
    span = float(table["flops"].min()), float(table["flops"].max())
    return Band(*shares, _factor(_errors(table, "board"), count), count, span)


@functools.cache
def band() -> Band:
    """Return the band of all published latencies."""
    return fit(latencies())


def left_out(
    table: pd.DataFrame | None = None, by: str = "board", *, timed: str | None = None
) -> pd.DataFrame:
    """Predict what was published from what is left when a board, or a network, is left out.

    Parameters
    ----------
    table
        As `latencies` gives it, by default all.
    by
        "board" or "network": what is left out in turn.
    timed
        A network that was timed on the board in question, so that the band is scaled by how far
        that one was off. It is no longer among the rows.

    Returns
    -------
    DataFrame
        ``board``, ``threads``, ``network``, ``ms`` as published; ``likely_ms`` with ``low_ms`` and
        ``high_ms`` (95 %), all from the other rows alone; ``error``, likely / published − 1; and
        ``within``, whether the band held.
    """
    table = latencies() if table is None else table
    parts = []
    for name in table[by].unique():
        rest, asked = table[table[by] != name], table[table[by] == name]
        residuals = _residuals(rest, asked, timed)
        count = rest[by].nunique()
        factor = _factor(_errors(rest, by, timed), count)
        asked = asked.loc[residuals.index]
        likely = asked["ms"] / np.exp(residuals)
        band_ms = {"likely_ms": likely, "low_ms": likely / factor, "high_ms": likely * factor}
        parts.append(asked[["board", "threads", "network", "ms"]].assign(**band_ms))
    found = pd.concat(parts)
    held = found["ms"].between(found["low_ms"], found["high_ms"])
    return found.assign(error=found["likely_ms"] / found["ms"] - 1, within=held)


def _time(slowness, flops, moved, peak_gflops, bandwidth_gb_s):
    """Return milliseconds of computing and moving, one after the other."""
    return (slowness[0] * flops / peak_gflops + slowness[1] * moved / bandwidth_gb_s) / 1e6


def _of(table: pd.DataFrame) -> tuple[pd.Series, ...]:
    return tuple(table[name] for name in ("flops", "bytes", "peak_gflops", "bandwidth_gb_s"))


def _shares(table: pd.DataFrame) -> tuple[float, float]:
    """Return the shares of peak and bandwidth that explain the latencies best."""

    def miss(logarithms: np.ndarray) -> np.ndarray:
        return np.log(_time(np.exp(logarithms), *_of(table)) / table["ms"]).to_numpy()

    # Nobody computes faster than the peak; caches may be faster than the memory's bandwidth.
    found = optimize.least_squares(miss, [0.5, 0.5], bounds=([0, -3], [4, 4]))
    compute, memory = np.exp(-found.x)
    return float(compute), float(memory)


def _residuals(rest: pd.DataFrame, asked: pd.DataFrame, timed: str | None) -> pd.Series:
    """Return log(published / predicted) of rows that the prediction has not seen."""
    compute, memory = _shares(rest)
    miss = np.log(asked["ms"] / _time((1 / compute, 1 / memory), *_of(asked)))
    if timed is None:
        return miss
    known = asked["network"] == timed
    places = [asked["board"], asked["threads"]]
    scale = miss.where(known).groupby(places).transform("max")
    return (miss - scale)[~known]


def _errors(table: pd.DataFrame, by: str, timed: str | None = None) -> pd.Series:
    """Return the residuals of everything that is left out in turn."""
    parts = [
        _residuals(table[table[by] != name], table[table[by] == name], timed)
        for name in table[by].unique()
    ]
    return pd.concat(parts)


def _factor(errors: pd.Series, groups: int) -> float:
    """Return by which factor a further group may be off, with `CONFIDENCE`."""
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, groups - 1)
    return float(np.exp(quantile * np.sqrt((errors**2).mean())))


# --- boards and networks -------------------------------------------------------------------------


def feasibility(
    costs: Cost | Mapping[str, Cost],
    table: pd.DataFrame | None = None,
    *,
    rate_hz: float = 30.0,
    size_limit_mb: float = SIZE_LIMIT_MB,
    weight_bits: int = 32,
) -> pd.DataFrame:
    """Bound the time of an inference by the roofline model, and tell which boards could run it.

    The paper's own test (Lu et al., Table IX) compares the work of one inference (FLOP) with a
    board's speed (FLOP/s), which says nothing without a rate: here the rate is named.

    Parameters
    ----------
    costs
        One cost, or name to cost.
    table
        Boards as `boards` returns them (the default).
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
        One row a model and board: ``arithmetic_intensity`` (FLOP/byte) and the board's
        ``balance``, ``attainable_gflops`` = min(peak, intensity × bandwidth), ``limit``
        ("compute" or "memory"), and ``bound_ms``, the time below which no implementation of these
        operations can get on that board. It is a lower bound: real networks of this size reach a
        small part of it. ``low_ms``, ``likely_ms`` and ``high_ms`` are the `band` of processors
        (NaN for GPUs), from the data sheet: where a paper prints a lower peak than that, the band
        may begin below the paper's bound. Then ``rate_hz``, ``load`` (share of the board's
        attainable speed that the rate takes), ``keeps_up`` (load ≤ 1), ``weights_mb``,
        ``fits_size``, and ``work_below_peak``, the paper's test.
    """
    table = _crossed(costs, table)
    known = ["model", "board", "arithmetic_intensity", "balance"]
    flops, peak = table["flops"], table["peak_gflops"]
    roof = table["arithmetic_intensity"] * table["bandwidth_gb_s"]
    attainable = np.minimum(peak, roof)
    bound_ms = flops / attainable / 1e6
    load = rate_hz * bound_ms / 1000
    weights_mb = table["parameters"] * weight_bits / 8 / 1e6
    limit = np.where(roof < peak, "memory", "compute")
    bound = {"attainable_gflops": attainable, "limit": limit, "bound_ms": bound_ms}
    rate = {"work_below_peak": flops / 1e9 <= peak, "rate_hz": rate_hz, "load": load}
    fits = {"weights_mb": weights_mb, "fits_size": weights_mb <= size_limit_mb}
    return table[known].assign(**bound, **_banded(table), **rate, keeps_up=load <= 1, **fits)


def sustained(
    costs: Cost | Mapping[str, Cost],
    table: pd.DataFrame | None = None,
    *,
    precision: str = "FP32",
    size_limit_mb: float = SIZE_LIMIT_MB,
    limit_ms: float = 250.0,
    limit_w: float = 1.0,
) -> pd.DataFrame:
    """Say how many inferences a second each board could sustain, at which energy, with the band.

    Parameters
    ----------
    costs, table
        As for `feasibility`.
    precision
        "FP32" or "int8": a quarter of the bytes, and the nominal speed of one instruction.
    size_limit_mb, limit_ms, limit_w
        What a toy robot has: a small file, an answer in time, and little power.

    Returns
    -------
    DataFrame
        One row a model and board: ``low_ms``, ``likely_ms``, ``high_ms``; the rates
        ``low_fps``, ``likely_fps``, ``high_fps`` (1/s); the energy of one inference at the
        board's full power, ``likely_mj`` and ``high_mj`` (mJ); ``weights_mb``; and what
        ``fits_size``, ``fits_time`` (the slow end of the band) and ``fits_power``. NaN, and
        False, where a number is missing: `gaps` says why. ``inside`` is whether the network's
        size lies between those that the band was fitted on.

    Raises
    ------
    DeviceError
        If there is no such precision.
    """
    if precision not in PRECISIONS:
        raise DeviceError(f"no precision {precision!r}: give {' or '.join(PRECISIONS)}")
    table = _crossed(costs, table)
    times = _banded(table, precision)
    watts = table["watts"]
    span = band().flops
    energy = {f"{end}_mj": watts * times[f"{end}_ms"] for end in ("likely", "high")}
    rates = {
        "low_fps": 1000 / times["high_ms"],
        "likely_fps": 1000 / times["likely_ms"],
        "high_fps": 1000 / times["low_ms"],
    }
    weights_mb = table["parameters"] * PRECISIONS[precision] / 1e6
    fits = {
        "weights_mb": weights_mb,
        "fits_size": weights_mb <= size_limit_mb,
        "fits_time": times["high_ms"] <= limit_ms,
        "fits_power": watts <= limit_w,
        "inside": table["flops"].between(*span),
    }
    return table[["model", "board"]].assign(**times, **rates, watts=watts, **energy, **fits)


def _crossed(costs: Cost | Mapping[str, Cost], table: pd.DataFrame | None) -> pd.DataFrame:
    """Return a row for every model and board."""
    named = {"model": costs} if isinstance(costs, Cost) else costs
    numbers = pd.DataFrame([{"model": name, **one.to_dict()} for name, one in named.items()])
    return numbers.merge(boards() if table is None else table, how="cross")


def _banded(table: pd.DataFrame, precision: str = "FP32") -> dict[str, pd.Series]:
    """Return the band of each row: from the data sheet, or from what is printed without one."""
    peak, bandwidth = (
        table.get(f"sheet_{name}", table[name]).fillna(table[name])
        for name in ("peak_gflops", "bandwidth_gb_s")
    )
    moved = (table["weight_bytes"] + table["activation_bytes"]) * PRECISIONS[precision] / 4
    if precision == "int8":
        peak = peak * table["int8_speedup"]
    likely = band().likely_ms(table["flops"], moved, peak, bandwidth)
    if "kind" in table:
        likely = likely.where(table["kind"] != "GPU")
    bound = np.maximum(table["flops"] / peak, moved / bandwidth) / 1e6
    factor = band().factor
    low = (likely / factor).clip(lower=bound.where(likely.notna()))
    return {"low_ms": low, "likely_ms": likely, "high_ms": likely * factor}
