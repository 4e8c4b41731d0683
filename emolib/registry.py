"""The papers of the book: the only list of them, from which every other one is derived."""

from dataclasses import dataclass

from emolib.errors import EmolibError


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
    title
        Its subject in a few words.
    model
        Class in ``emolib.models.<key>`` that rebuilds its network.
    """

    key: str
    name: str
    title: str
    model: str


PAPERS: dict[str, Paper] = {
    paper.key: paper
    for paper in (
        Paper("ding", "Ding", "Lightweight Spatio-Temporal CNN", "Ding"),
        Paper("lu", "Lu", "Companion Robots", "Lu"),
        Paper("yang", "Yang", "Dual-Stream MFCC-MobileNetV2", "Yang"),
        Paper("mostafa", "Mostafa", "Facial Images and Audio", "Mostafa"),
        Paper("ishtiaq", "Ishtiaq", "Depthwise CNN and GRU", "Ishtiaq"),
    )
}


def paper(key: str) -> Paper:
    """Return a paper by its key.

    Raises
    ------
    UnknownPaperError
        Naming the keys there are.
    """
    if key not in PAPERS:
        raise UnknownPaperError(f"unknown paper {key!r}: known are {', '.join(PAPERS)}")
    return PAPERS[key]
