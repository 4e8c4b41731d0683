"""Which recordings exist: one manifest for every corpus.

>>> from emolib import corpora
>>> corpora.classes("cremad")
('neutral', 'happy', 'sad', 'angry', 'fearful', 'disgust')
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pandas as pd

from emolib.corpora.manifest import EMOTIONS, CorpusError
from emolib.corpora.sources import SOURCES

__all__ = ["CORPORA", "EMOTIONS", "SOURCES", "CorpusError", "classes", "load"]


class _Corpora(Mapping[str, ModuleType]):
    """The corpora by key; a corpus module is imported when it is first asked for."""

    def __getitem__(self, name: str) -> ModuleType:
        if name not in SOURCES:
            raise CorpusError(f"unknown corpus {name!r}: known are {', '.join(SOURCES)}")
        return import_module(f"emolib.corpora.{name}")

    def __contains__(self, name: object) -> bool:
        return name in SOURCES

    def __iter__(self) -> Iterator[str]:
        return iter(SOURCES)

    def __len__(self) -> int:
        return len(SOURCES)


CORPORA: Mapping[str, ModuleType] = _Corpora()


def load(name: str, root: str | Path | None = None, **options) -> pd.DataFrame:
    """Return the manifest of a corpus.

    Parameters
    ----------
    name
        One of `CORPORA`.
    root
        Folder of the corpus; by default below `emolib.paths.recordings`.
    options
        What the corpus' own ``manifest`` takes, for example ``modality="audio"``.

    Raises
    ------
    CorpusError
        If the name is unknown, or the corpus is missing (the message says how to get it).
    """
    return CORPORA[name].manifest(root, **options)


def classes(name: str) -> tuple[str, ...]:
    """Return the emotions of a corpus in the order of `EMOTIONS`."""
    return CORPORA[name].CLASSES
