"""From PyTorch to files that a small board can run: ONNX, eight bits, and proof of parity.

``network`` writes a paper's network alone; ``front_ends`` and ``whole`` put what comes before it,
from the waveform or the picture on, into the same file; ``answer`` asks such a file, with nothing
but onnxruntime and NumPy.
"""

import importlib
from typing import Any

#: What is asked of the package itself, and where it lies: `answer` must not wait for PyTorch.
_HOMES = {
    "network": (
        "ExportError", "Parity", "export", "latency", "parity", "quantize", "run", "size_mb",
        "write",
    ),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is first used."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *(name for names in _HOMES.values() for name in names)]
