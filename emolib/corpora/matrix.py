"""Which paper can be trained on which corpus: now, after a step, or never."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from emolib import registry
from emolib.corpora.sources import SOURCES, Source
from emolib.media import MEDIA, MODALITIES


@dataclass(frozen=True)
class Cell:
    """One paper on one corpus.

    Attributes
    ----------
    paper, corpus
        Their keys.
    media
        What its network can be given now.
    modalities
        What it can be trained with now.
    lacks
        Media that it could be given and the corpus has not got.
    missing
        Medium that is not here → how to get it.
    """

    paper: str
    corpus: str
    media: tuple[str, ...]
    modalities: tuple[str, ...]
    lacks: tuple[str, ...]
    missing: Mapping[str, str]


def matrix(kinds: Mapping[str, Collection[str]]) -> list[Cell]:
    """Return every paper on every corpus, corpus by corpus.

    Parameters
    ----------
    kinds
        Corpus → the kinds of files that are here, as ``manifest.attrs["kinds"]`` has them.

    Examples
    --------
    >>> cell = next(one for one in matrix({"ravdess": ["audio"]}) if one.paper == "ding")
    >>> cell.modalities, cell.missing
    (('audio',), {'video': 'emolib data get ravdess --part speech-video'})
    """
    return [
        _cell(paper, SOURCES[corpus], {*here})
        for corpus, here in kinds.items()
        for paper in registry.PAPERS.values()
    ]


def _cell(paper: registry.Paper, source: Source, here: set[str]) -> Cell:
    has = [medium for medium in paper.media if medium in source.has]
    now = tuple(medium for medium in has if here & {*source.has[medium]})
    return Cell(
        paper=paper.key,
        corpus=source.name,
        media=now,
        modalities=tuple(name for name in paper.modalities if {*MODALITIES[name]} <= {*now}),
        lacks=tuple(medium for medium in paper.media if medium not in source.has),
        missing={medium: _step(source, medium) for medium in has if medium not in now},
    )


def _step(source: Source, medium: str) -> str:
    """Say how to get a medium of a corpus."""
    if medium == "video" and source.film_part:
        return f"emolib data get {source.name} --part {source.film_part}"
    return source.manual.format(folder="its folder") or f"emolib data get {source.name}"


def rows(cells: Sequence[Cell]) -> list[dict[str, str]]:
    """Return the cells as a table for a person: a row a corpus, a column a paper."""
    table: dict[str, dict[str, str]] = {}
    for cell in cells:
        row = table.setdefault(cell.corpus, {"corpus": cell.corpus})
        row[cell.paper] = " ".join(cell.media) or "–"
    for corpus, row in table.items():
        own = [cell for cell in cells if cell.corpus == corpus]
        lacks = [medium for medium in MEDIA if any(medium in cell.lacks for cell in own)]
        steps: dict[str, list[str]] = {}
        for medium in MEDIA:
            for step in {cell.missing[medium] for cell in own if medium in cell.missing}:
                steps.setdefault(step, []).append(MEDIA[medium])
        row["never"] = ", ".join(f"no {MEDIA[medium]}" for medium in lacks)
        row["missing"] = "; ".join(f"{', '.join(media)}: {how}" for how, media in steps.items())
    return list(table.values())
