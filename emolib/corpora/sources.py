"""Where each corpus comes from, under which terms, and what a reader has to do to get it."""

from dataclasses import dataclass


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
    """

    name: str
    title: str
    folders: tuple[str, ...]
    home: str
    terms: str
    manual: str = ""

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
        ),
        Source(
            "cremad",
            "CREMA-D",
            ("cremad", "CREMA-D"),
            "https://github.com/CheyneyComputerScience/CREMA-D",
            "ODbL 1.0 / DbCL 1.0",
        ),
        Source(
            "savee",
            "SAVEE",
            ("savee", "SAVEE"),
            "http://kahlan.eps.surrey.ac.uk/savee/",
            "research only",
            "register at the University of Surrey, then unpack the corpus into {folder}",
        ),
        Source(
            "mead",
            "MEAD",
            ("mead", "MEAD"),
            "https://wywu.github.io/projects/MEAD/MEAD.html",
            "research only",
            "ask its authors for access, then unpack video.tar and audio.tar of each actor into "
            "the actor's folder (M003, …) in {folder}",
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
        ),
        Source(
            "ckplus",
            "CK+",
            ("ckplus", "ckplus48", "CK+48"),
            "https://www.jeffcohn.net/Resources/",
            "research only; show no image",
            "ask for the Cohn-Kanade database, then put the 48×48 faces, one folder an emotion, "
            "into {folder}",
        ),
        Source(
            "paired",
            "RAVDESS voices with FER2013 faces",
            (),
            "",
            "the terms of both",
            "it is made of RAVDESS and FER2013: get these two",
        ),
        Source(
            "synthetic",
            "synthetic talking faces",
            (),
            "",
            "MIT",
            "run `emolib data synth`: it is made from a seed, on this machine",
        ),
    )
}
