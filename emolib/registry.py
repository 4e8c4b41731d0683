"""The papers of the book: the only list of them, from which every other one is derived.

A paper is a row of ``registry.csv``. `NETWORKS` has one more: the book's own, which claims nothing.
"""

import csv
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from emolib.errors import EmolibError
from emolib.media import MODALITIES


class UnknownPaperError(EmolibError, ValueError):
    """A key that no paper of the book has."""


@dataclass(frozen=True)
class Paper:
    """One paper.

    Attributes
    ----------
    key
        Names its files everywhere: ``models/<key>.py``, ``papers/<key>.py``,
        ``notebooks/<key>.ipynb``, ``data/claims/<key>.yml``, ``data/results/<key>/``.
    name
        What the book calls it: its first author.
    citation
        Its entry in ``book/references.bib``.
    model
        Class in ``emolib.models.<key>`` that rebuilds its network.
    media
        What the network can be given, names in `emolib.media.MEDIA`.
    idea
        The paper in one line, for the table on the first page.
    """

    key: str
    name: str
    citation: str
    model: str
    media: tuple[str, ...]
    idea: str

    @property
    def modalities(self) -> tuple[str, ...]:
        """What it can be trained with, keys of `emolib.media.MODALITIES`."""
        return tuple(name for name, media in MODALITIES.items() if {*media} <= {*self.media})


def _papers() -> dict[str, Paper]:
    """Read the list: one row a paper, in the order of the book."""
    with Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {row["key"]: Paper(**{**row, "media": tuple(row["media"].split())}) for row in rows}  # type: ignore[arg-type]


PAPERS = _papers()

#: The book's own networks: built, trained and published like a paper's, with no claims to judge.
OWN = Paper(
    "own", "Ours", "", "Own", ("audio", "video"),
    "what held of the five, and what is known to work, in one small network a modality",
)  # fmt: skip

#: Everything that `emolib.models.build` builds and `emolib train` trains.
NETWORKS = {**PAPERS, OWN.key: OWN}

#: Labs that train as papers do: ``lab_leaks`` declares its experiments in ``emolib.labs.leaks``.
LABS = ("lab_leaks", "lab_peers")


def paper(key: str) -> Paper:
    """Return a paper by its key.

    Raises
    ------
    UnknownPaperError
        Naming the keys there are.
    """
    return PAPERS[_known("paper", key, PAPERS)]


def network(key: str) -> Paper:
    """Return a paper, or the book's own networks, by its key.

    Raises
    ------
    UnknownPaperError
        Naming the keys there are.
    """
    return NETWORKS[_known("paper", key, NETWORKS)]


def module(key: str) -> str:
    """Return the name of the module in which a paper or a lab declares its experiments.

    Raises
    ------
    UnknownPaperError
        Naming the papers and labs there are.
    """
    if key in LABS:
        return f"emolib.labs.{key.removeprefix('lab_')}"
    return f"emolib.papers.{_known('paper or lab', key, (*NETWORKS, *LABS))}"


def _known(what: str, key: str, known: Collection[str]) -> str:
    if key not in known:
        raise UnknownPaperError(f"unknown {what} {key!r}: known are {', '.join(known)}")
    return key
