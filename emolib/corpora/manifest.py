"""The manifest: one row for each clip, the same columns for every corpus."""

import hashlib
from collections.abc import Iterable, Mapping

import pandas as pd

EMOTIONS = (
    "neutral",
    "calm",
    "happy",
    "sad",
    "angry",
    "fearful",
    "disgust",
    "surprised",
    "contempt",
)
COLUMNS = (
    "clip_id",
    "path",
    "corpus",
    "actor",
    "emotion",
    "intensity",
    "statement",
    "repetition",
    "modality",
    "channel",
    "text",
    "duration_s",
    "sample_rate",
    "usage",
)
_DEFAULTS = {"duration_s": float("nan"), "sample_rate": pd.NA}


class CorpusError(ValueError):
    """A corpus is missing, empty, or not in the form its loader expects."""


def build(rows: Iterable[Mapping], problems: Iterable[Mapping] = ()) -> pd.DataFrame:
    """Turn rows into a checked manifest.

    Parameters
    ----------
    rows
        Mappings with at least ``clip_id, path, corpus, emotion, modality``; other columns of
        `COLUMNS` default to "" (``duration_s`` and ``sample_rate`` to missing), and further
        columns are kept behind them.
    problems
        Files that were found but not understood: mappings ``path, cause, remedy``, kept in
        ``manifest.attrs["problems"]``.

    Raises
    ------
    CorpusError
        If a clip appears twice or carries an unknown emotion.
    """
    frame = pd.DataFrame(list(rows))
    for column in COLUMNS:
        if column not in frame:
            frame[column] = _DEFAULTS.get(column, "")
    extra = [column for column in frame if column not in COLUMNS]
    frame = frame[[*COLUMNS, *extra]].reset_index(drop=True)
    frame["duration_s"] = frame["duration_s"].astype("float64")
    frame["sample_rate"] = frame["sample_rate"].astype("Int64")

    twice = frame.loc[frame["clip_id"].duplicated(), "clip_id"]
    if len(twice):
        paths = frame.loc[frame["clip_id"] == twice.iloc[0], "path"].tolist()
        raise CorpusError(
            f"clip {twice.iloc[0]!r} is there {len(paths)} times ({', '.join(map(str, paths))}): "
            "keep one copy of each recording in the corpus folder"
        )
    unknown = sorted(set(frame["emotion"]) - set(EMOTIONS))
    if unknown:
        raise CorpusError(
            f"unknown emotion {', '.join(map(repr, unknown))}: known are {', '.join(EMOTIONS)}"
        )
    frame.attrs["problems"] = [dict(problem) for problem in problems]
    return frame


def digest(manifest: pd.DataFrame) -> str:
    """Return a SHA-256 over what the clips are, independent of where they lie on the disk."""
    columns = [column for column in COLUMNS if column not in ("path", "duration_s", "sample_rate")]
    text = manifest[columns].sort_values("clip_id").to_csv(index=False)
    return hashlib.sha256(text.encode()).hexdigest()
