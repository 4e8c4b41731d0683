"""Blocks that a page builds, set beside the library's: one set of weights must do for both.

A chapter writes each part of its network in the few lines that its equation is. Whether these lines
are the network that the rest of the book trains and judges is not a matter of opinion: with the
library's weights in them they have to give the library's outputs.
"""

import html
import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from emolib import paths
from emolib.book.tables import Table
from emolib.errors import EmolibError

if TYPE_CHECKING:
    from torch import Tensor, nn


class BlockError(EmolibError, AssertionError):
    """What a page built is not what the library has; the message says where they part."""


def same(built: "nn.Module", library: "nn.Module", *inputs: "Tensor", **named: "Tensor") -> Table:
    """Give a network the library's weights and show that nothing else tells them apart.

    The weights go over in the order in which both were built, since a page may call its parts by
    other names. Both are in evaluation afterwards.

    Parameters
    ----------
    built
        The page's network; it keeps the weights.
    library
        The library's.
    *inputs, **named
        What both are given.

    Returns
    -------
    Table
        Parameters of both, shape of the outputs, and the largest difference between them.

    Raises
    ------
    BlockError
        If the weights do not fit in this order, or the outputs differ.
    """
    import torch

    mine, theirs = built.state_dict(), library.state_dict()
    pairs = itertools.zip_longest(mine.items(), theirs.items(), fillvalue=("nothing", None))
    for (name, value), (other, known) in pairs:
        if _shape(value) != _shape(known):
            raise BlockError(
                f"the weights part at {name} {_shape(value)}, where the library has {other} "
                f"{_shape(known)}: build the parts in its order"
            )
    built.load_state_dict(dict(zip(mine, theirs.values(), strict=True)))
    with torch.inference_mode():
        ours, known = (_answer(network.eval()(*inputs, **named)) for network in (built, library))
    if ours.shape != known.shape or not torch.allclose(ours, known, atol=1e-5, rtol=1e-4):
        raise BlockError(
            f"with the same weights the outputs differ ({tuple(ours.shape)} and "
            f"{tuple(known.shape)}): compare the two forward passes line by line"
        )
    sizes = [sum(p.numel() for p in network.parameters()) for network in (built, library)]
    row = {
        "parameters, this page": f"{sizes[0]:,}",
        "parameters, library": f"{sizes[1]:,}",
        "output": "×".join(map(str, ours.shape)),
        "largest difference": f"{float((ours - known).abs().max()):.0e}",
    }
    return Table(
        pd.DataFrame([row]), "this page's network and the library's, with one set of weights"
    )


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(getattr(value, "shape", ()))


def _answer(output: Any) -> Any:
    """Return what a network answers; what it says beside it (attention weights) is left aside."""
    return output[0] if isinstance(output, tuple) else output


@dataclass(frozen=True)
class Source:
    """The library's own lines, folded on a page."""

    name: str
    text: str

    def _repr_html_(self) -> str:
        lines = len(self.text.splitlines())
        return (
            f"<details><summary>{html.escape(self.name)}, as the library has it ({lines} lines)"
            f"</summary><pre><code>{html.escape(self.text)}</code></pre></details>"
        )

    def __repr__(self) -> str:
        """Return the name and the lines."""
        return f"# {self.name}\n{self.text}"


def source(thing: Callable) -> Source:
    """Return the source of a class or function, with the file that it stands in."""
    file = Path(inspect.getsourcefile(thing) or "")
    place = file.relative_to(paths.PROJECT) if file.is_relative_to(paths.PROJECT) else file.name
    return Source(f"{thing.__name__} in {place}", inspect.getsource(thing))
