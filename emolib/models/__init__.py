"""The five papers' networks, each rebuilt in one file that reads like its paper.

Every model is an ``nn.Module`` whose ``forward(audio=None, video=None, text=None)`` takes named
tensors and returns logits of shape ``(B, n_classes)``.
"""

import importlib
import inspect
from types import ModuleType

from torch import Tensor, nn

from emolib import registry


def _module(key: str) -> ModuleType:
    """Import ``emolib.models.<key>``; only then does that paper's file cost anything."""
    return importlib.import_module(f"{__name__}.{registry.paper(key).key}")


def build(key: str, n_classes: int = 8, **options) -> nn.Module:
    """Build one of the five networks with fresh random weights.

    Parameters
    ----------
    key
        One of `emolib.registry.PAPERS`.
    n_classes
        Number of emotions, the width of the logits.
    **options
        What the paper's ablations vary; each is documented in ``emolib.models.<key>``.

    Raises
    ------
    UnknownPaperError
        If there is no such paper.

    Examples
    --------
    >>> model = build("ding", n_classes=7, hidden=14, dropout=0.5)  # the SAVEE head
    >>> sum(p.numel() for p in model.parameters())
    61495
    """
    return _module(key).build(n_classes, **options)


def network(key: str) -> type[nn.Module]:
    """Return the class of a paper's network: its parameters are the options of `build`."""
    return getattr(_module(key), registry.paper(key).model)


def example_inputs(key: str, batch: int = 2, **options) -> dict[str, Tensor]:
    """Return random inputs of the shapes that ``build(key, **options)`` expects.

    Options that do not change the inputs (a dropout rate, say) may be given and are left aside,
    so that one dictionary serves `build` and this function.
    """
    function = _module(key).example_inputs
    parameters = inspect.signature(function).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        options = {name: value for name, value in options.items() if name in parameters}
    return function(batch=batch, **options)


def variants(key: str) -> list[dict]:
    """Return the option sets that a model's file names as worth testing, the paper's own first."""
    return list(getattr(_module(key), "VARIANTS", [{}]))


def designs(key: str) -> dict[str, dict]:
    """Return the networks whose costs one paper compares, as options of `build`, its own first.

    Examples
    --------
    >>> designs("ding"), designs("ishtiaq")
    ({'ding': {}}, {'ishtiaq': {'design': 'light'}, 'ishtiaq heavy': {'design': 'heavy'}})
    """
    module = _module(key)
    if not hasattr(module, "count_parts"):
        return {key: {}}
    others = module.DESIGNS
    return {key if i == 0 else f"{key} {name}": {"design": name} for i, name in enumerate(others)}


def count_parts(key: str, model: nn.Module) -> dict[str, int]:
    """Return the parameters of each part of a network, where its paper speaks of parts."""
    count = getattr(_module(key), "count_parts", None)
    return count(model) if count else {}
