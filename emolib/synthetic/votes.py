"""What made-up people said of synthetic faces, in the tables of CREMA-D and FERPlus.

Most name what was meant; of every few clips one has a tie and one is taken for another emotion,
so that every path of the loaders is walked. No vote is a finding about people.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from emolib import paths

_LETTERS = "ADFHNS"
#: Conditions in the order of their numbers, with the columns of ``summaryTable.csv``.
_CONDITIONS = ("Voice", "Face", "MultiModal")
#: In each round of seven clips: which is tied, and which is taken for another emotion.
_ROUND, _TIED, _MISTAKEN = 7, 3, 5
_FERPLUS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
#: Number in Kaggle's table → column of the votes.
_FER2013 = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")


def write(folder: Path, names: Sequence[str], sexes: Mapping[str, str]) -> None:
    """Write the four tables of CREMA-D beside its clips.

    Parameters
    ----------
    folder
        Of the corpus.
    names
        Stems of the clips, such as 1001_DFA_ANG_XX.
    sexes
        Actor → sex.
    """
    _write(
        folder / "SentenceFilenames.csv",
        [("Stimulus_Number", "Filename"), *enumerate(names, 1)],
    )
    people = [(actor, 30, sex.capitalize(), "Unknown", "Unknown") for actor, sex in sexes.items()]
    _write(
        folder / "VideoDemographics.csv", [("ActorID", "Age", "Sex", "Race", "Ethnicity"), *people]
    )
    summary: list[tuple] = [
        ("", "FileName", *(f"{c}{w}" for c in _CONDITIONS for w in ("Vote", "Level")))
    ]
    tabulated: list[tuple] = [("", *_LETTERS, "fileName", "numResponses", "agreement", "emoVote")]
    for number, name in enumerate(names, 1):
        cells: list[object] = []
        for condition in range(len(_CONDITIONS)):
            counts = _counts(name.split("_")[2][0], number - 1 + condition)
            most = max(counts.values())
            vote = ":".join(letter for letter in _LETTERS if counts[letter] == most)
            cells += [vote, 60.0]
            row = (*counts.values(), name, sum(counts.values()), most / sum(counts.values()), vote)
            tabulated.append((f"{condition + 1}{number:05}", *row))
        summary.append((number, name, *cells))
    _write(folder / "processedResults" / "summaryTable.csv", summary)
    _write(folder / "processedResults" / "tabulatedVotes.csv", tabulated)


def _counts(meant: str, number: int) -> dict[str, int]:
    """Return how many of ten people chose each letter."""
    other = _LETTERS[(_LETTERS.index(meant) + 1) % len(_LETTERS)]
    kind = number % _ROUND
    chosen = {_TIED: (5, 5), _MISTAKEN: (3, 7)}.get(kind, (8, 2))
    return dict.fromkeys(_LETTERS, 0) | dict(zip((meant, other), chosen, strict=True))


def write_ferplus(table: Path) -> None:
    """Write ``fer2013new.csv`` beside a table of pictures: ten votes for each of its rows."""
    columns = (*_FERPLUS, "unknown", "NF")
    rows: list[tuple] = [("Usage", "Image name", *columns)]
    with table.open(encoding="utf-8", newline="") as file:
        for number, picture in enumerate(csv.DictReader(file)):
            meant = _FER2013[int(picture["emotion"])]
            other = _FERPLUS[(_FERPLUS.index(meant) + 1) % len(_FERPLUS)]
            chosen = {_TIED: (5, 5), _MISTAKEN: (3, 7)}.get(number % _ROUND, (8, 2))
            counts = dict.fromkeys(columns, 0) | dict(zip((meant, other), chosen, strict=True))
            rows.append((picture["Usage"], f"fer{number:07}.png", *counts.values()))
    _write(table.with_name("fer2013new.csv"), rows)


def _write(path: Path, rows: Iterable[Sequence]) -> None:
    """Write a table; one that is there and says the same keeps its time stamp."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    if path.is_file() and path.read_text("utf-8") == text.getvalue():
        return
    with paths.atomic(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
