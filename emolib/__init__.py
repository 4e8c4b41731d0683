"""Five papers on lightweight multimodal emotion recognition, rebuilt and put to the test.

Importing the package is light: no download, no font, no GPU. Data walks one way:
``corpora`` (which recordings exist) → ``features`` (media to arrays) → ``models`` →
``training`` → ``evaluation``, ``explain``, ``devices`` → ``results`` and ``claims`` → ``book``.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"

# The public face: each is imported when it is first asked for, as ``emolib.models``.
__all__ = [
    "audit",
    "claims",
    "corpora",
    "devices",
    "evaluation",
    "explain",
    "export",
    "features",
    "models",
    "papers",
    "plots",
    "results",
    "training",
]


def __getattr__(name: str) -> ModuleType:
    """Import a part of the package when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module 'emolib' has no attribute {name!r}")
    return importlib.import_module(f"emolib.{name}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
