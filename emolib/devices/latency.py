"""How long a network takes here, what it holds meanwhile, and how fast the machine is."""

import dataclasses
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emolib.devices.cost import evaluating


@dataclasses.dataclass(frozen=True)
class Latency:
    """Measured time of one forward pass, in milliseconds, over `runs` passes.

    `processor_ms` is the mean time of a pass that processors spent on it, summed over threads: on
    a busy machine it says more than the clock. `p95_ms` is what 95 of 100 passes keep within.
    """

    median_ms: float
    fastest_ms: float
    slowest_ms: float
    runs: int
    threads: int
    device: str
    processor_ms: float = math.nan
    p95_ms: float = math.nan


def timed(
    call: Callable[[], object],
    *,
    runs: int,
    warmup: int,
    threads: int,
    device: str,
    clock: Callable[[], float] = time.perf_counter,
    wait: Callable[[], object] = lambda: None,
) -> Latency:
    """Time `call` `runs` times after `warmup` calls that do not count.

    Parameters
    ----------
    call
        A function without arguments.
    runs, warmup
        Passes that count, and passes before them (allocation, kernel choice, caches).
    threads, device
        Recorded in the result.
    clock
        Of seconds; with ``time.process_time`` other programs' load does not count.
    wait
        Called before each clock reading; waits for a device that works asynchronously.
    """
    for _ in range(warmup):
        call()
    times = []
    spent = time.process_time()
    for _ in range(runs):
        wait()
        start = clock()
        call()
        wait()
        times.append(1000 * (clock() - start))
    spent = 1000 * (time.process_time() - spent) / runs
    median, p95 = statistics.median(times), float(np.quantile(times, 0.95))
    return Latency(median, min(times), max(times), runs, threads, device, spent, p95)


def latency(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    *,
    runs: int = 10,
    warmup: int = 3,
    threads: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Latency:
    """Measure a forward pass in evaluation mode; 10 passes, as Ding et al. (Section III-E).

    Parameters
    ----------
    model
        Run where its parameters lie.
    inputs
        Named tensors for ``forward``; give a batch of one for the delay a user would feel.
    runs, warmup, clock
        As for `timed`.
    threads
        Processor threads that PyTorch may use; restored afterwards.
    """
    device = next(model.parameters()).device
    inputs = {name: value.to(device) for name, value in inputs.items()}
    settings: Any = {"runs": runs, "warmup": warmup, "threads": threads, "clock": clock}
    if device.type == "cuda":
        settings["wait"] = torch.cuda.synchronize
    with _threads(threads), evaluating(model, fused=True), torch.inference_mode():
        return timed(lambda: model(**inputs), device=str(device), **settings)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let PyTorch use so many threads of the processor, for the while."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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

    def fresh() -> Callable[[], None]:
        model = build().train()
        optimizer = torch.optim.AdamW(model.parameters())

        def step() -> None:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(**inputs), labels).backward()
            optimizer.step()

        return step

    def trained() -> None:
        step = fresh()
        step()
        step()

    def inferred() -> None:
        with torch.inference_mode():
            build().eval()(**inputs)

    settings: Any = {"runs": runs, "warmup": 1, "threads": threads, "clock": time.process_time}
    with _threads(threads):
        step = timed(fresh(), device="cpu", **settings)
        return step, peak_bytes(trained), peak_bytes(inferred)


# --- this machine --------------------------------------------------------------------------------

SIDES = (256, 512, 1024)  # of the matrices: which is fastest depends on the caches
COPIED = 64_000_000  # bytes, more than a small processor caches


@dataclasses.dataclass(frozen=True)
class Machine:
    """What this machine reaches, and how busy it was meanwhile.

    ``peak_gflops`` is the rate of a product of FP32 matrices (GFLOP/s), ``bandwidth_gb_s`` that of
    a copy, each byte read and written (GB/s): the fastest of all trials. ``noise`` is the median
    time of the products over the fastest, ``load`` the number of processes that wanted to run.
    """

    peak_gflops: float
    bandwidth_gb_s: float
    threads: int
    noise: float
    load: float


def machine(threads: int = 1, *, runs: int = 20) -> Machine:
    """Measure the processor by a matrix product and the memory by a copy.

    Parameters
    ----------
    threads
        Processor threads that PyTorch may use; restored afterwards.
    runs
        Trials of either.
    """
    source = torch.ones(COPIED // 4)
    target = torch.empty_like(source)
    settings: Any = {"runs": runs, "warmup": 2, "threads": threads, "device": "cpu"}
    peak, noise = 0.0, math.nan
    with _threads(threads), torch.inference_mode():
        for side in SIDES:
            a, b = torch.rand(2, side, side)
            took = timed(partial(torch.mm, a, b), **settings)
            reached = 2 * side**3 / took.fastest_ms / 1e6
            if reached > peak:
                peak, noise = reached, took.median_ms / took.fastest_ms
        copied = timed(lambda: target.copy_(source), **settings)
    bandwidth = 2 * COPIED / copied.fastest_ms / 1e6
    return Machine(peak, bandwidth, threads, noise, os.getloadavg()[0])
