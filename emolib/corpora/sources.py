"""Where each corpus comes from, under which terms, how to get it, and what it has."""

from collections.abc import Mapping
from dataclasses import dataclass, field

#: What a network can be given of a clip, and how a person says so.
MEDIA = {"audio": "voices", "video": "faces", "text": "words"}

_FILMED = {"audio": ("audio", "audiovisual"), "video": ("audiovisual", "video")}
_FILMED_WORDS = _FILMED | {"text": ("audio", "audiovisual", "video")}
_FILMS = {"audio": ("audiovisual",), "video": ("audiovisual",), "text": ("audiovisual",)}
_PICTURES = {"video": ("image",)}


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
    folders: tuple[str, ...]
    home: str
    terms: str
    manual: str = ""
    has: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
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
    source.name: source
    for source in (
        Source(
            "ravdess",
            "RAVDESS",
            ("ravdess",),
            "https://zenodo.org/records/1188976",
            "CC BY-NC-SA 4.0",
            has=_FILMED_WORDS,
            one_in=4,  # one of two sentences, one of two takes
            actor_folds=6,  # four actors each
        ),
        Source(
            "cremad",
            "CREMA-D",
            ("cremad", "CREMA-D"),
            "https://github.com/CheyneyComputerScience/CREMA-D",
            "ODbL 1.0 / DbCL 1.0",
            has=_FILMED_WORDS,
            one_in=12,  # twelve sentences
        ),
        Source(
            "savee",
            "SAVEE",
            ("savee", "SAVEE"),
            "http://kahlan.eps.surrey.ac.uk/savee/",
            "research only",
            "register at the University of Surrey, then unpack the corpus into {folder}",
            has=_FILMED,
            one_in=4,
        ),
        Source(
            "mead",
            "MEAD",
            ("mead", "MEAD"),
            "https://wywu.github.io/projects/MEAD/MEAD.html",
            "research only",
            "ask its authors for access, then unpack video.tar and audio.tar of each actor into "
            "the actor's folder (M003, …) in {folder}",
            has=_FILMED,
            one_in=30,  # thirty sentences
        ),
        Source(
            "fer2013",
            "FER2013",
            ("fer2013",),
            "https://www.kaggle.com/c/challenges-in-representation-learning-"
            "facial-expression-recognition-challenge/data",
            "Kaggle terms",
            "accept the terms on Kaggle, then put fer2013.csv or icml_face_data.csv (and, for "
            "FERPlus, fer2013new.csv) into {folder}",
            has=_PICTURES,
            pictures_of="fer2013",
            one_in=40,
        ),
        Source(
            "ckplus",
            "CK+",
            ("ckplus", "ckplus48", "CK+48"),
            "https://www.jeffcohn.net/Resources/",
            "research only; show no image",
            "ask for the Cohn-Kanade database, then put the 48×48 faces, one folder an emotion, "
            "into {folder}",
            has=_PICTURES,
            pictures_of="ckplus",
            one_in=3,  # three frames of each sequence
        ),
        Source(
            "paired",
            "RAVDESS voices with FER2013 faces",
            (),
            "",
            "the terms of both",
            "it is made of RAVDESS and FER2013: get these two",
            has=_FILMS,
            pictures_of="fer2013",
            voices_of="ravdess",
            one_in=4,
            actor_folds=6,
        ),
        Source(
            "synthetic",
            "synthetic talking faces",
            (),
            "",
            "MIT",
            "run `emolib data synth`: it is made from a seed, on this machine",
            has=_FILMS,
            actor_folds=6,
        ),
    )
}


def lacks(name: str, medium: str) -> str:
    """Say that a corpus has no such medium, what it has, and which corpora have it."""
    has = ", ".join(f"{MEDIA[one]} ({one})" for one in SOURCES[name].has)
    others = ", ".join(source.name for source in SOURCES.values() if medium in source.has)
    return (
        f"{SOURCES[name].title} has no {MEDIA[medium]}: it has {has}; corpora with "
        f"{MEDIA[medium]} are {others}"
    )
