"""Parameters and operations, recounted from a printed architecture."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emolib.audit.printed import AuditError

if TYPE_CHECKING:
    from emolib.audit.tables import PrintedTable


@dataclass(frozen=True)
class LayerCount:
    """Parameters and multiply-accumulates of one printed layer, and its output shape."""

    output: tuple[int, ...]
    parameters: int
    macs: int


def count_layers(item: "PrintedTable") -> Iterator[LayerCount]:
    """Count the layers of a printed architecture, one after the other.

    Operations: ``conv`` (1D or 2D by its input), ``pool``, ``flatten``, ``gap``, ``dense``,
    ``concat`` (joins all branches; its own branch goes on from there). Shapes are
    channels × height × width, channels × length, or features.

    Raises
    ------
    AuditError
        At a layer that cannot be counted.
    """
    shapes = item.inputs
    for row in item.rows:
        cell = {column: item.cells.get((row, column), "").lower() for column in item.columns}
        branch, op = item.cells.get((row, "branch"), ""), cell["op"]
        if op == "concat":
            shape: tuple[int, ...] = (sum(math.prod(s) for b, s in shapes.items() if b != branch),)
        elif branch in shapes:
            shape = shapes[branch]
        else:
            shown = f"{branch[:40]!r} has no '# input {branch[:40]}:' line"
            raise AuditError(f"column 'branch': {shown}. Add it above the header.")
        parameters = macs = 0
        if op in ("conv", "pool"):
            kernel, stride = (_whole(cell, name, "1") for name in ("kernel", "stride"))
            padding = _whole(cell, "padding", "0")
            size = tuple((s + 2 * padding - kernel) // stride + 1 for s in shape[1:])
            if min(size, default=0) < 1:
                raise AuditError(f"a kernel of {kernel} does not fit into {shape}. See the input.")
            channels = _whole(cell, "out") if op == "conv" else shape[0]
            if op == "conv":
                weights = shape[0] * channels * kernel ** len(size)
                parameters = weights + (cell.get("bias") != "no") * channels
                macs = weights * math.prod(size)
            shape = (channels, *size)
        elif op in ("flatten", "gap"):
            shape = (math.prod(shape),) if op == "flatten" else (shape[0],)
        elif op == "dense":
            out = _whole(cell, "out")
            parameters, macs, shape = (shape[0] + 1) * out, shape[0] * out, (out,)
        elif op != "concat":
            known = "conv, pool, flatten, gap, dense, concat"
            raise AuditError(f"column 'op': unknown op {op[:40]!r}. Known: {known}.")
        shapes[branch] = shape
        yield LayerCount(shape, parameters, macs)


def _whole(cell: Mapping[str, str], column: str, default: str = "") -> int:
    """Read a size of a layer; where it may be left out there is a default, and padding may be 0."""
    text = cell.get(column) or default
    if not text.isdecimal() or not (column != "padding") <= int(text) < 10**9:
        shown = f"column {column!r}: {text[:40]!r} is no size of a layer"
        raise AuditError(f"{shown}. Type a whole number.")
    return int(text)
