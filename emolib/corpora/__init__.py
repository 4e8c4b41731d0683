"""Which recordings exist: one manifest for every corpus.

>>> from emolib import corpora
>>> corpora.classes("cremad")
('neutral', 'happy', 'sad', 'angry', 'fearful', 'disgust')
"""

import inspect
from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from emolib.corpora.manifest import EMOTIONS, CorpusError, FileProblem, by_name, known
from emolib.corpora.sources import SOURCES, lacks
from emolib.media import MEDIA

__all__ = [
    "CORPORA", "EMOTIONS", "SOURCES", "CorpusError",
    "carrying", "classes", "heard", "load", "options",
]  # fmt: skip

#: What a manifest takes that says where it lies or how it is made, and not which clips are meant.
_PLACES = ("root", "modality", "seed", "n_jobs", "progress")


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


def options(name: str) -> tuple[str, ...]:
    """Return what can be asked of a corpus for a network, besides where it lies.

    Examples
    --------
    >>> options("mead")
    ('files', 'view', 'intensity')
    """
    taken = inspect.signature(CORPORA[name].manifest).parameters
    own = tuple(one for one in taken if one not in _PLACES)
    return ("files", *own) if len(SOURCES[name].kinds) > 1 else own


def carrying(
    name: str,
    media: Collection[str],
    root: str | Path | None = None,
    *,
    files: str | None = None,
    **asked: Any,
) -> pd.DataFrame:
    """Return the manifest of the files that carry what a network is to be given.

    Of the kinds of files that do, the best that is there is listed; films before sound files
    where faces are wanted. Sound files whose film is missing are then among the problems. Of one's
    own recordings all are listed that carry it.

    Parameters
    ----------
    name
        One of `CORPORA`.
    media
        Names in `sources.MEDIA`.
    root
        Folder of the corpus.
    files
        Only this kind of files, such as "audiovisual" for the sound of films.
    asked
        Further `options` of the corpus, such as ``view="left_30"``.

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
        return module.manifest(root, **asked)
    lead = max(media, key=("text", "audio", "video").index)
    known(f"files for {MEDIA[lead]} of {source.title}", files, source.has[lead])
    refusals = []
    for kind in (files,) if files else source.has[lead]:
        try:
            clips = module.manifest(root, modality=kind, **asked)
        except CorpusError as error:
            refusals.append(error)
        else:
            if {"audio", "video"} <= {*media}:
                clips.attrs["problems"] += _without_film(module, root, kind, asked)
            return clips
    films = f"; films: emolib data get {name} --part {source.film_part}"
    raise CorpusError(f"{refusals[0]}{films if lead == 'video' and source.film_part else ''}")


def _without_film(
    module: ModuleType, root: str | Path | None, kind: str, asked: Mapping[str, Any]
) -> list[dict[str, str]]:
    """Return the sound files that no film is named like, as problems."""
    try:
        with by_name():  # a film that cannot be read is a problem of its own
            films, sounds = (
                module.manifest(root, modality=one, **_which(asked)) for one in (kind, "audio")
            )
    except CorpusError:  # there are none
        return []
    take = _take(films)
    alone = sounds.loc[~sounds[take].isin(films[take]), "path"]
    problem = FileProblem(
        "a sound without its film, and a face is needed too",
        "fetch the film, or train on voices alone",
    )
    return [problem.line(path) for path in alone]


def heard(
    clips: pd.DataFrame, name: str, root: str | Path | None = None, **asked: Any
) -> pd.DataFrame:
    """Return the clips with the files that hold their sound: of a silent film, its twin's."""
    silent = clips["sample_rate"].isna()
    if not silent.any() or "audio" not in SOURCES[name].kinds:
        return clips
    take = _take(clips)
    try:
        sounds = CORPORA[name].manifest(root, modality="audio", **_which(asked))
    except CorpusError:  # none are here: the films say themselves that they are silent
        return clips
    twin = clips[take].map(sounds.drop_duplicates(take).set_index(take)["path"])
    return clips.assign(path=clips["path"].mask(silent & twin.notna(), twin))


def _take(clips: pd.DataFrame) -> str:
    """Return the column that a film and its sound file have in common."""
    return "twin" if "twin" in clips else "clip_id"


def _which(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what says which recordings are meant, and not what they are called."""
    apart = ("files", "labels", "raters")
    return {option: value for option, value in asked.items() if option not in apart}


def called(name: str, root: str | Path | None = None) -> str:
    """Return what names a corpus in files: its key, and of one's own recordings also which."""
    own = getattr(CORPORA[name], "called", None)
    return f"{name}-{own(root)}" if own and root else name


def classes(name: str) -> tuple[str, ...]:
    """Return the emotions of a corpus in the order of `EMOTIONS`."""
    return CORPORA[name].CLASSES
