"""Which recordings exist: one manifest for every corpus.

>>> from emolib import corpora
>>> corpora.classes("cremad")
('neutral', 'happy', 'sad', 'angry', 'fearful', 'disgust')
"""

from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pandas as pd

from emolib.corpora.manifest import EMOTIONS, CorpusError
from emolib.corpora.sources import SOURCES, lacks

__all__ = ["CORPORA", "EMOTIONS", "SOURCES", "CorpusError", "carrying", "classes", "heard", "load"]


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


def carrying(name: str, media: Collection[str], root: str | Path | None = None) -> pd.DataFrame:
    """Return the manifest of the files that carry what a network is to be given.

    Of the kinds of files that do, the best that is there is listed; films before sound files
    where faces are wanted. Of one's own recordings all are listed that carry it.

    Parameters
    ----------
    name
        One of `CORPORA`.
    media
        Names in `sources.MEDIA`.
    root
        Folder of the corpus.

    Raises
    ------
    CorpusError
        If the name is unknown, the corpus lacks a medium, or its files are not here.
    """
    module, source = CORPORA[name], SOURCES[name]
    if by_files := getattr(module, "carrying", None):
        return by_files(media, root)
    for medium in media:
        if medium not in source.has:
            raise CorpusError(lacks(name, medium))
    if len(source.kinds) == 1:
        return module.manifest(root)
    lead = max(media, key=("text", "audio", "video").index)
    refusals = []
    for kind in source.has[lead]:
        try:
            return module.manifest(root, modality=kind)
        except CorpusError as error:
            refusals.append(error)
    films = f"; films: emolib data get {name} --part {source.film_part}"
    raise CorpusError(f"{refusals[0]}{films if lead == 'video' and source.film_part else ''}")


def heard(clips: pd.DataFrame, name: str, root: str | Path | None = None) -> pd.DataFrame:
    """Return the clips with the files that hold their sound: of a silent film, its twin's."""
    silent = clips["sample_rate"].isna()
    if not silent.any() or "audio" not in SOURCES[name].kinds:
        return clips
    take = "twin" if "twin" in clips else "clip_id"
    try:
        sounds = CORPORA[name].manifest(root, modality="audio").drop_duplicates(take)
    except CorpusError:  # none are here: the films say themselves that they are silent
        return clips
    twin = clips[take].map(sounds.set_index(take)["path"])
    return clips.assign(path=clips["path"].mask(silent & twin.notna(), twin))


def called(name: str, root: str | Path | None = None) -> str:
    """Return what names a corpus in files: its key, and of one's own recordings also which."""
    own = getattr(CORPORA[name], "called", None)
    return f"{name}-{own(root)}" if own and root else name


def classes(name: str) -> tuple[str, ...]:
    """Return the emotions of a corpus in the order of `EMOTIONS`."""
    return CORPORA[name].CLASSES
