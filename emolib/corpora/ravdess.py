"""RAVDESS: 24 actors speak and sing two sentences in eight emotions (Livingstone & Russo 2018).

The file name says it all, ``03-01-06-01-02-01-12``: modality, vocal channel, emotion, intensity,
statement, repetition, actor. Odd actors are men, even actors are women.
"""

import re
from itertools import chain
from pathlib import Path

import pandas as pd

from emolib.corpora.manifest import (
    NAMES,
    CorpusError,
    FileProblem,
    collect,
    known,
    locate,
    read_name,
)
from emolib.emotions import EMOTIONS

CLASSES = EMOTIONS[:8]

#: Field of the file name → code → value, in the order of the fields.
CODES: dict[str, dict[str, str]] = NAMES["ravdess"]["codes"]
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}

#: Published twice: actor 7's two happy "dogs" recordings are the same samples under two names.
SAME_RECORDING = {"01-03-01-02-02-07": "01-03-01-02-01-07"}

_NAME = re.compile("-".join(rf"(?P<{field}>\d\d)" for field in CODES))
_SUFFIXES = {"audio": (".wav", ".flac"), "video": (".mp4",), "audiovisual": (".mp4",)}
_SIDE_FILES = ("wav_sha256.txt", "openface_au_means.csv")


def parse(path: Path) -> dict[str, str]:
    """Read the columns of one recording out of its file name.

    Raises
    ------
    FileProblem
        If the name is not one of RAVDESS, or says another modality than the file type.
    """
    example = "seven two-digit numbers such as 03-01-06-01-02-01-12"
    codes = read_name(path.stem, _NAME, CODES, example)
    row = {field: CODES[field][code] for field, code in codes.items()}
    if path.suffix.lower() not in _SUFFIXES[row["modality"]]:
        raise FileProblem(
            f"the name says {row['modality']}, the file type is {path.suffix}",
            f"expected {' or '.join(_SUFFIXES[row['modality']])}: check where the file is from",
        )
    take = path.stem[3:]
    return row | {
        "clip_id": path.stem,
        "text": STATEMENTS[row["statement"]],
        "sex": "female" if int(row["actor"]) % 2 == 0 else "male",
        "twin": SAME_RECORDING.get(take, take),
    }


def manifest(
    root: str | Path | None = None,
    *,
    modality: str | None = "audio",
    channel: str | None = "speech",
) -> pd.DataFrame:
    """List the recordings of RAVDESS.

    Parameters
    ----------
    root
        Folder of the corpus; sub-folders do not matter, only file names do.
    modality
        "audio" (03-…, wav or flac), "video" (02-…), "audiovisual" (01-…), "all", or None for
        the richest that is there.
    channel
        "speech", "song", or None for both.

    Returns
    -------
    DataFrame
        The manifest, with the further columns ``sex`` and ``twin`` (the take, the same for the
        audio-only, video-only and audio-visual versions of one performance).
    """
    known("channel", channel, CODES["channel"].values())
    suffixes = tuple(dict.fromkeys(chain.from_iterable(_SUFFIXES.values())))
    asked = {"modality": modality, "channel": channel}
    return collect("ravdess", root, parse, suffixes, side_files=_SIDE_FILES, **asked)


def action_units(root: str | Path | None = None) -> pd.DataFrame:
    """Return the mean OpenFace action units of the audio-visual twin of every audio clip.

    Returns
    -------
    DataFrame, shape (1440, 35)
        Seventeen intensities ``AU??_r`` (0 to 5) and eighteen presences ``AU??_c`` (share of
        frames, 0 to 1), indexed by the clip_id of the audio recording (03-01-…).

    Raises
    ------
    CorpusError
        If ``openface_au_means.csv`` is not in the corpus folder.
    """
    path = locate("ravdess", root) / "openface_au_means.csv"
    if not path.is_file():
        raise CorpusError(
            f"{path} is missing: run OpenFace over the audio-visual clips (01-01-*) and put the "
            "mean of each action unit per clip there (columns: clip, AU01_r, …, AU45_c)"
        )
    table = pd.read_csv(path, index_col="clip")
    table.index = "03" + table.index.str[2:]
    return table.rename_axis("clip_id").astype("float64")
