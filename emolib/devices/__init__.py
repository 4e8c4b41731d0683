"""What a network costs, how long it takes here, and what boards can be expected to make of it.

`cost` counts, `latency` measures, `boards` holds what is published about boards, and `roofline`
predicts: a bound that no implementation beats, and a band fitted on published latencies.
"""

from emolib.devices.boards import (
    DeviceError,
    board,
    boards,
    gaps,
    latencies,
)
from emolib.devices.cost import COLUMNS, Cost, cost, costs, evaluating
from emolib.devices.latency import (
    Latency,
    Machine,
    latency,
    machine,
    peak_bytes,
    timed,
    training_step,
)
from emolib.devices.roofline import (
    SIZE_LIMIT_MB,
    Band,
    band,
    feasibility,
    fit,
    left_out,
    sustained,
)

__all__ = [
    "COLUMNS",
    "SIZE_LIMIT_MB",
    "Band",
    "Cost",
    "DeviceError",
    "Latency",
    "Machine",
    "band",
    "board",
    "boards",
    "cost",
    "costs",
    "evaluating",
    "feasibility",
    "fit",
    "gaps",
    "latencies",
    "latency",
    "left_out",
    "machine",
    "peak_bytes",
    "sustained",
    "timed",
    "training_step",
]
