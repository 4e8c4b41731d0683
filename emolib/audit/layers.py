"""Parameters and operations, recounted from a printed architecture."""

import math
from dataclasses import dataclass

from emolib.audit.printed import AuditError
from emolib.audit.tables import Table


@dataclass(frozen=True)
class LayerCount:
    """Parameters and multiply-accumulates of one printed layer, and its output shape."""

    name: str
    branch: str
    output: tuple[int, ...]
    parameters: int
    macs: int


def count_layers(item: Table) -> list[LayerCount]:
    """Count the layers of a printed architecture.

    Operations: ``conv`` (1D or 2D by its input), ``pool``, ``flatten``, ``gap``, ``dense``,
    ``concat`` (joins all branches; its own branch goes on from there). Shapes are
    channels × height × width, channels × length, or features.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for key, text in item.directives.items():
        if key == "input" or key.startswith("input "):
            shapes[key.removeprefix("input").strip()] = tuple(int(x) for x in text.split("x"))
    counts = []
    for row in item.rows:
        get = {c: item.cells.get((row, c)) for c in item.columns}
        branch, op = get.get("branch") or "", get["op"].lower()
        kernel, stride, padding = (
            int(get.get(name) or default)
            for name, default in (("kernel", 1), ("stride", 1), ("padding", 0))
        )
        if op == "concat":
            shape: tuple[int, ...] = (sum(math.prod(s) for b, s in shapes.items() if b != branch),)
        elif branch in shapes:
            shape = shapes[branch]
        else:
            raise AuditError(f"{item.title}: layer {row!r} has no '# input {branch}:' line.")
        parameters = macs = 0
        if op in ("conv", "pool"):
            size = tuple((s + 2 * padding - kernel) // stride + 1 for s in shape[1:])
            channels = int(get["out"]) if op == "conv" else shape[0]
            if op == "conv":
                weights = shape[0] * channels * kernel ** len(size)
                bias = (get.get("bias") or "yes").lower() != "no"
                parameters, macs = weights + bias * channels, weights * math.prod(size)
            shape = (channels, *size)
        elif op in ("flatten", "gap"):
            shape = (math.prod(shape),) if op == "flatten" else (shape[0],)
        elif op == "dense":
            out = int(get["out"])
            parameters, macs = shape[0] * out + out, shape[0] * out
            shape = (out,)
        elif op != "concat":
            raise AuditError(
                f"{item.title}: layer {row!r}: unknown op {op!r}. "
                "Known: conv, pool, flatten, gap, dense, concat."
            )
        shapes[branch] = shape
        counts.append(LayerCount(row, branch, shape, parameters, macs))
    return counts
