"""The five papers' networks, each rebuilt in one file that reads like its paper, and our own.

Every model is an ``nn.Module`` whose ``forward(audio=None, video=None, text=None)`` takes named
tensors and returns logits of shape ``(B, n_classes)``.
"""

import importlib
import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from emolib import registry
from emolib.errors import misfit

if TYPE_CHECKING:  # importing a model's file imports torch
    from torch import Tensor, nn

#: Smallest and largest value of an option that is a number; none of a dropout exceeds one.
_LIMITS = {"n_classes": (2, 1000)}
_USUAL_LIMITS, _RATE = (0.01, 100_000), (0, 1)


def _module(key: str) -> ModuleType:
    """Import ``emolib.models.<key>``; only then does that paper's file cost anything."""
    return importlib.import_module(f"{__name__}.{registry.network(key).key}")


def build(key: str, n_classes: int = 8, **options: Any) -> "nn.Module":
    """Build one of the networks with fresh random weights.

    Parameters
    ----------
    key
        One of `emolib.registry.NETWORKS`.
    n_classes
        Number of emotions, the width of the logits: 2 to 1000.
    **options
        What the paper's ablations vary; each is documented in ``emolib.models.<key>``.

    Raises
    ------
    UnknownPaperError
        If there is no such paper.
    ModelError
        If there is no such option, or not with such a value.

    Examples
    --------
    >>> model = build("ding", n_classes=7, hidden=14, dropout=0.5)  # the SAVEE head
    >>> sum(p.numel() for p in model.parameters())
    61495
    """
    module = _module(key)
    from emolib.models.layers import ModelError

    network = getattr(module, registry.network(key).model)
    known = _parameters(network, *getattr(module, "PARTS", ()))
    for name, value in {"n_classes": n_classes, **options}.items():
        if name not in known:
            raise ModelError(f"{key} has no option {name!r}: there are {', '.join(known)}")
        if problem := _misfit(name, value, known[name]):
            raise ModelError(f"{name}={value!r} of {key}: {problem}")
    try:
        return network(n_classes, **options)
    except ModelError:
        raise
    except Exception as error:
        if not options:  # nobody's options: a bug
            raise
        raise ModelError(f"{key} cannot be built with {options}: {error}") from error


def _parameters(*functions: Any) -> Mapping[str, inspect.Parameter]:
    """Return the named parameters of a network and of the parts it passes its options on to."""
    return {
        name: parameter
        for function in reversed(functions)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY or name == "n_classes"
    }


def _misfit(name: str, value: Any, parameter: inspect.Parameter) -> str:
    """Return what is wrong with the value of an option, or nothing."""
    if problem := misfit(value, parameter.annotation):
        return problem
    low, high = _LIMITS.get(name, _RATE if name.endswith("dropout") else _USUAL_LIMITS)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"give a number from {low} to {high}" if number and not low <= value <= high else ""


def example_inputs(key: str, batch: int = 2, **options: Any) -> "dict[str, Tensor]":
    """Return random inputs of the shapes that ``build(key, **options)`` expects.

    Options that do not change the inputs (a dropout rate, say) may be given and are left aside,
    so that one dictionary serves `build` and this function.
    """
    function = _module(key).example_inputs
    parameters = inspect.signature(function).parameters
    return function(batch=batch, **{name: options[name] for name in options if name in parameters})


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


def count_parts(key: str, model: "nn.Module") -> dict[str, int]:
    """Return the parameters of each part of a network, where its paper speaks of parts."""
    count = getattr(_module(key), "count_parts", None)
    return count(model) if count else {}
