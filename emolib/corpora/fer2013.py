"""FER2013: 35,887 faces from the web, 48×48 grey, seven emotions (Goodfellow et al. 2013).

Three published forms are read: ``fer2013.csv`` (also compressed, ``.csv.xz``, ``.csv.gz``),
``icml_face_data.csv`` (the same, with blanks in its header), and class folders
``train/angry/*.jpg``. FERPlus (Barsoum et al. 2016) adds ten people's votes for each picture,
in ``fer2013new.csv`` beside it.
"""

import lzma
import warnings
import zlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from emolib.corpora import pictures
from emolib.corpora.manifest import (
    EMOTION_WORDS,
    EMOTIONS,
    NAMES,
    CorpusError,
    FileProblem,
    build,
    locate,
    missing,
)

frames = pictures.repeated
CLASSES = tuple(emotion for emotion in EMOTIONS if emotion not in ("calm", "contempt"))

#: The integers of the ``emotion`` column.
CODES = ("angry", "disgust", "fearful", "happy", "sad", "surprised", "neutral")
USAGES = ("Training", "PublicTest", "PrivateTest")
#: Columns of ``fer2013new.csv``; the last two are votes for "no idea" and "not a face".
FERPLUS = tuple(NAMES["fer2013"]["votes"])

_PARTS = {"test": "PublicTest", "train": "Training"}
_TABLES = ("fer2013.csv", "icml_face_data.csv")
_PACKED = ("", ".xz", ".gz", ".bz2", ".zip")
_PIXELS = pictures.SIDE**2


def manifest(root: str | Path | None = None, *, labels: str = "fer2013") -> pd.DataFrame:
    """List the pictures of FER2013.

    Parameters
    ----------
    root
        Folder of the corpus.
    labels
        "fer2013": the published label. "ferplus": what most FERPlus raters chose; pictures
        whose votes are tied, or went to "unknown" or "not a face", are left out (one line of
        ``attrs["problems"]`` counts them).

    Returns
    -------
    DataFrame
        The manifest; ``row`` is the picture's position in ``images(root)``.

    Raises
    ------
    CorpusError
        If no published form is found, or the table is damaged (the message names the row).
    """
    _check_labels(labels)
    folder = locate("fer2013", root)
    found = _pictures(folder)
    table, problems = found.numbered("fer2013"), found.problems
    if labels == "ferplus":
        emotions = _majority(ferplus(folder))
        kept = emotions.notna().to_numpy()
        if undecided := int((~kept).sum()):
            cause = f"{undecided} pictures have no FERPlus majority (a tie, unknown, or not a face)"
            problem = FileProblem(cause, "use labels='fer2013' to keep them")
            problems = [*problems, problem.line(folder / "fer2013new.csv")]
        table = table.assign(emotion=emotions.to_numpy())[kept]
    return build(table, problems, folder)


def images(root: str | Path | None = None, *, labels: str = "fer2013") -> np.ndarray:
    """Return the pictures in the order of ``manifest(root, labels=labels)``.

    Returns
    -------
    ndarray of uint8, shape (N, 48, 48)
        Memory-mapped from a cache, read-only.
    """
    _check_labels(labels)
    folder = locate("fer2013", root)
    pixels = _pictures(folder).pixels
    return pixels if labels == "fer2013" else pixels[_majority(ferplus(folder)).notna().to_numpy()]


def ferplus(root: str | Path | None = None) -> pd.DataFrame:
    """Return the FERPlus votes of every picture, in the order of ``manifest(root)``.

    Returns
    -------
    DataFrame of int, shape (N, 10)
        Columns `FERPLUS`, indexed by clip_id.

    Raises
    ------
    CorpusError
        If ``fer2013new.csv`` is missing or belongs to other rows.
    """
    folder = locate("fer2013", root)
    path = folder / "fer2013new.csv"
    if not path.is_file():
        raise CorpusError(
            f"{path} is missing: take it from https://github.com/microsoft/FERPlus (MIT)"
        )
    votes = pd.read_csv(path)
    clips = _pictures(folder).table
    if len(votes) != len(clips) or not (votes["Usage"] == clips["usage"]).all():
        raise CorpusError(
            f"{path} has {len(votes)} rows for {len(clips)} pictures, or in another order: both "
            "files must list the same pictures in the same order"
        )
    return votes[list(FERPLUS)].set_axis(clips["clip_id"]).astype(int)


def _check_labels(labels: str) -> None:
    if labels not in ("fer2013", "ferplus"):
        raise CorpusError(f"unknown labels {labels!r}: known are fer2013, ferplus")


def _majority(votes: pd.DataFrame) -> pd.Series:
    """Return the emotion with the most votes; missing for ties, "unknown" and "not a face"."""
    counts = votes.to_numpy()
    winner = counts.argmax(axis=1)
    alone = (counts == counts.max(axis=1, keepdims=True)).sum(axis=1) == 1
    names = pd.Series([EMOTION_WORDS.get(FERPLUS[column]) for column in winner], votes.index)
    return names.where(alone)


def _pictures(folder: Path) -> pictures.Pictures:
    for name in _TABLES:
        for packed in _PACKED:
            path = folder / (name + packed)
            if path.is_file():
                beside = [p for p in (folder / "source_rows.csv",) if p.is_file()]
                return pictures.cached("fer2013", [path, *beside], partial(_from_table, path))
    if not any((folder / part).is_dir() for part in _PARTS):
        raise missing("fer2013", folder, f"neither {' nor '.join(_TABLES)} nor train/ and test/")
    return pictures.in_folders("fer2013", folder, _parse, _PARTS)


def _from_table(path: Path) -> pictures.Pictures:
    """Read ``emotion, pixels, Usage``; the first damaged row is named."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise CorpusError(
            f"{path} cannot be read ({error}): it is damaged or not whole; fetch it again"
        ) from error
    table.columns = table.columns.str.strip()
    if absent := [column for column in ("emotion", "pixels") if column not in table]:
        raise CorpusError(
            f"{path} has no column {' and no column '.join(absent)} (it has "
            f"{', '.join(table.columns)}): use fer2013.csv or icml_face_data.csv"
        )
    if "Usage" not in table:
        table["Usage"] = "Training"  # train.csv of the contest
    known = {str(code): emotion for code, emotion in enumerate(CODES)}
    _reject(path, ~table["emotion"].isin(list(known)), "unknown emotion " + table["emotion"])
    _reject(path, ~table["Usage"].isin(USAGES), "unknown Usage " + table["Usage"])
    rows = _source_rows(path, len(table))
    return pictures.Pictures(
        np.stack([_pixels(path, row, text) for row, text in enumerate(table["pixels"], 1)]),
        pd.DataFrame(
            {
                "clip_id": [f"fer2013-{row:05}" for row in rows],
                "path": str(path),
                "emotion": table["emotion"].map(known),
                "usage": table["Usage"],
            }
        ),
        [],
    )


def _pixels(path: Path, row: int, text: str) -> np.ndarray:
    with warnings.catch_warnings():
        # NumPy stops at the first thing that is no number, with this warning or an error.
        warnings.simplefilter("error", DeprecationWarning)
        try:
            numbers = np.fromstring(text, dtype=np.int32, sep=" ")
        except (ValueError, DeprecationWarning):
            raise _damaged(path, row, "a pixel that is not a number") from None
    if len(numbers) != _PIXELS:
        raise _damaged(path, row, f"{len(numbers)} pixels instead of {_PIXELS} (48×48)")
    if numbers.min() < 0 or numbers.max() > 255:
        raise _damaged(path, row, "a pixel outside 0 to 255")
    return numbers.astype(np.uint8).reshape(pictures.SIDE, pictures.SIDE)


def _source_rows(path: Path, count: int) -> Iterable[int]:
    """Return each row's number in the original file, so that a subset keeps the clip ids."""
    beside = path.parent / "source_rows.csv"
    if not beside.is_file():
        return range(count)
    rows = pd.read_csv(beside)["row_index"]
    if len(rows) != count:
        raise CorpusError(
            f"{beside} has {len(rows)} rows, {path.name} has {count}: they must belong together; "
            "remove source_rows.csv to number the rows as they are"
        )
    return rows


def _reject(path: Path, bad: pd.Series, found: pd.Series) -> None:
    if bad.any():
        row = int(bad.to_numpy().argmax())
        raise _damaged(path, row + 1, found.iloc[row])


def _damaged(path: Path, row: int, found: str) -> CorpusError:
    return CorpusError(
        f"row {row} of {path} (line {row + 1}) has {found}: the file is damaged or was edited; "
        "fetch it again"
    )


def _parse(path: Path) -> dict[str, str]:
    """Read the columns of one picture out of its class folder, ``train/angry/Training_1.jpg``."""
    part, word = path.parts[0], path.parent.name
    emotion = EMOTION_WORDS.get(word.lower())
    if emotion not in CLASSES:
        raise FileProblem(
            f"{word!r} is no emotion of FER2013",
            f"pictures lie in train/ and test/, one folder for {', '.join(CLASSES)}",
        )
    # Kaggle's folders keep the original part in the name: PrivateTest_10131363.jpg.
    named = path.stem.split("_")[0]
    return {
        "clip_id": f"fer2013-{part}-{word}-{path.stem}",
        "emotion": emotion,
        "usage": named if named in USAGES else _PARTS[part],
    }
