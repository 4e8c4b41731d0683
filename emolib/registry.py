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
    citation
        Its entry in ``book/references.bib``.
    model
        Class in ``emolib.models.<key>`` that rebuilds its network.
    idea
        The paper in one line, for the table on the first page.
    """

    key: str
    name: str
    citation: str
    model: str
    idea: str


PAPERS: dict[str, Paper] = {
    paper.key: paper
    for paper in (
        Paper(
            "ding",
            "Ding",
            "ding2025",
            "Ding",
            "a few grey faces and one vector of cepstral coefficients per moment, two shallow "
            "CNNs, concatenated",
        ),
        Paper(
            "lu",
            "Lu",
            "lu",
            "Lu",
            "GhostNet with triplet and frame attention beside a 1D CNN, fused by the "
            "geometric mean",
        ),
        Paper(
            "yang",
            "Yang",
            "yang2025",
            "Yang",
            "MobileNetV2 frames and fractional-Fourier cepstra, 1D residual blocks, attention "
            "between the two",
        ),
        Paper(
            "mostafa",
            "Mostafa",
            "mostafa",
            "Mostafa",
            "a face CNN and a spectrogram CNN, each trained from scratch, shown side by side in a "
            "live app",
        ),
        Paper(
            "ishtiaq",
            "Ishtiaq",
            "ishtiaq",
            "Ishtiaq",
            "depthwise separable CNNs with GRUs for sound, face and text, joined by a small "
            "transformer",
        ),
    )
}

#: Labs that train as papers do: ``lab_leaks`` declares its experiments in ``emolib.labs.leaks``.
LABS = ("lab_leaks",)


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


def module(key: str) -> str:
    """Return the name of the module in which a paper or a lab declares its experiments.

    Raises
    ------
    UnknownPaperError
        Naming the papers and labs there are.
    """
    if key in LABS:
        return f"emolib.labs.{key.removeprefix('lab_')}"
    if key not in PAPERS:
        known = ", ".join((*PAPERS, *LABS))
        raise UnknownPaperError(f"unknown paper or lab {key!r}: known are {known}")
    return f"emolib.papers.{key}"
