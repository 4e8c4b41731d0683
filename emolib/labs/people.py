"""How well people do: the bar that a recogniser of acted emotions is held against.

``data/results/baselines/people.csv`` is committed, so that a page can draw people beside models
without the recordings. Its CREMA-D rows are recounted from every single rating; the others are
quoted from the papers that the rows name.
"""

import hashlib
from pathlib import Path

import pandas as pd

from emolib import paths

#: What the raters had → the modality of a model that has as much.
MODALITIES = {"voice": "audio", "face": "video", "audiovisual": "both"}
COLUMNS = ("corpus", "modality", "clips", "ratings", "correct", "accuracy", "how", "source")

_HEAD = """\
# Share of answers that name the intended emotion, by people (0 to 1).
# how: recounted = every single rating was counted by emolib.labs.people.recount;
#      quoted = as the source prints it, to the digits given here.
# source: for what was recounted, the SHA-256 of the votes; otherwise a key of book/references.bib.
"""


def path() -> Path:
    """Return where the table lies, a recounted one or the committed one."""
    return paths.find(paths.RESULTS / "baselines" / "people.csv")


def people(corpus: str | None = None) -> pd.DataFrame:
    """Return how often people name the intended emotion.

    Parameters
    ----------
    corpus
        One corpus; all by default. A corpus without a row gives an empty table.

    Returns
    -------
    DataFrame
        Columns corpus, modality (audio, video, both, image), clips, ratings, correct, accuracy
        (0 to 1), how (recounted or quoted), source.
    """
    table = pd.read_csv(path(), comment="#", dtype={"source": str})
    for column in ("clips", "ratings", "correct"):
        table[column] = table[column].astype("Int64")
    return table if corpus is None else table[table["corpus"] == corpus].reset_index(drop=True)


def recount(root: str | Path | None = None) -> pd.DataFrame:
    """Count the ratings of CREMA-D again; columns as in `people`.

    The digest is that of the votes themselves, in the order of clips and conditions: both files
    that CREMA-D's votes come in give the same.
    """
    from emolib.corpora import cremad

    votes = cremad.human_votes(root).sort_values(["clip_id", "condition"])
    digest = hashlib.sha256(votes.to_csv(index=False, lineterminator="\n").encode()).hexdigest()
    table = cremad.human_accuracy(root).reset_index()
    table["accuracy"] = table["accuracy"].round(6)
    return table.assign(
        corpus="cremad",
        modality=table["condition"].map(MODALITIES),
        how="recounted",
        source=f"sha256:{digest}",
    )[list(COLUMNS)]


def save(table: pd.DataFrame) -> Path:
    """Write the table of people atomically and return its path."""
    with paths.atomic(paths.RESULTS / "baselines" / "people.csv") as temporary:
        temporary.write_text(_HEAD + table.to_csv(index=False, lineterminator="\n"))
    return path()
