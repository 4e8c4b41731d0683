"""Where each corpus comes from, under which terms, how to get it, and what it has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from emolib.media import MEDIA


@dataclass(frozen=True)
class Source:
    """One corpus as its owners publish it.

    Attributes
    ----------
    name
        Key of the corpus in `emolib.corpora.CORPORA`.
    title
        Name of the corpus in print.
    folders
        Names its folder may have below the data root, the usual one first.
    home
        Address of the corpus.
    terms
        Licence or terms of use.
    manual
        What a person has to do by hand, with ``{folder}`` for the place to put it ("" if
        ``emolib data get`` can fetch it alone).
    has
        Medium → which modalities of its files carry it, the best first.
    film_part
        The part of it that ``emolib data get`` fetches films with.
    pictures_of
        The corpus whose pictures its faces are, where they are not films: the module of that
        one has `images`, and the own `frames` says which of them a clip shows.
    voices_of
        The corpus whose recordings and actors these are, if they are those of another.
    one_in
        Quick mode takes one in so many of the clips that an actor made of an emotion.
    actor_folds
        Folds of actors that a split has, where there are enough actors.
    """

    name: str
    title: str
    folders: Sequence[str]
    home: str
    terms: str
    has: Mapping[str, Sequence[str]]
    manual: str = ""
    film_part: str = ""
    pictures_of: str = ""
    voices_of: str = ""
    one_in: int = 1
    actor_folds: int = 5

    @property
    def kinds(self) -> tuple[str, ...]:
        """The modalities of its files."""
        return tuple(dict.fromkeys(kind for kinds in self.has.values() for kind in kinds))

    def how(self, folder: object = "") -> str:
        """Say in one sentence how to get the corpus into `folder`."""
        step = self.manual or f"run `emolib data get {self.name}`"
        step = step.format(folder=folder or "its folder")
        return f"{step} ({'; '.join(filter(None, (self.home, self.terms)))})"


SOURCES: dict[str, Source] = {
    name: Source(name, **fields)
    for name, fields in yaml.safe_load(
        Path(__file__).with_suffix(".yml").read_text(encoding="utf-8")
    ).items()
}


def lacks(name: str, medium: str) -> str:
    """Say that a corpus has no such medium, what it has, and which corpora have it."""
    has = ", ".join(f"{MEDIA[one]} ({one})" for one in SOURCES[name].has)
    others = ", ".join(source.name for source in SOURCES.values() if medium in source.has)
    return (
        f"{SOURCES[name].title} has no {MEDIA[medium]}: it has {has}; corpora with "
        f"{MEDIA[medium]} are {others}"
    )
