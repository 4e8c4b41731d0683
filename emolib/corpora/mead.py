"""MEAD: talking faces in eight emotions at three levels, from seven views (Wang et al. 2020).

Its own layout is kept: ``M003/video/front/happy/level_1/024.mp4`` for the video (with sound) and
``M003/audio/happy/level_1/024.m4a`` for the sound alone. M are men, W are women.
"""

import re
from pathlib import Path

import pandas as pd

from emolib.corpora.manifest import EMOTIONS, NAMES, collect, known, read_name

CLASSES = tuple(emotion for emotion in EMOTIONS if emotion != "calm")
EMOTION_FOLDERS: dict[str, str] = NAMES["mead"]["emotions"]
LEVELS = ("level_1", "level_2", "level_3")
VIEWS = ("front", "down", "top", "left_30", "left_60", "right_30", "right_60")

_PATH = re.compile(
    r"(?:.*/)?(?P<actor>[MW]\d{3})/(?:audio|video/(?P<view>\w+))/"
    r"(?P<emotion>\w+)/(?P<level>level_\d)/(?P<statement>\d{3})"
)


def parse(path: Path) -> dict[str, str]:
    """Read the columns of one clip out of its place in MEAD's folders.

    Raises
    ------
    FileProblem
        If the path is not one of MEAD.
    """
    values = {"view": (None, *VIEWS), "emotion": EMOTION_FOLDERS, "level": LEVELS}
    example = "actor/video/view/emotion/level/number: M003/video/front/happy/level_1/024.mp4"
    fields = read_name(path.with_suffix("").as_posix(), _PATH, values, example)
    take = "-".join(fields[field] for field in ("actor", "emotion", "level", "statement"))
    return {
        "clip_id": f"{take}-{fields['view']}" if fields["view"] else f"{take}-audio",
        "actor": fields["actor"],
        "emotion": EMOTION_FOLDERS[fields["emotion"]],
        "intensity": fields["level"],
        "statement": fields["statement"],
        "modality": "audiovisual" if fields["view"] else "audio",
        "channel": "speech",
        "sex": "male" if fields["actor"].startswith("M") else "female",
        "view": fields["view"] or "",
        "twin": take,
    }


def manifest(
    root: str | Path | None = None,
    *,
    modality: str | None = None,
    view: str = "front",
    intensity: str | None = None,
) -> pd.DataFrame:
    """List the clips of MEAD.

    Parameters
    ----------
    root
        Folder of the corpus, which holds the actors' folders.
    modality
        "audiovisual" (video with its sound), "audio" (m4a), or None for the richest.
    view
        Camera of the videos, one of `VIEWS`.
    intensity
        Only this one of `LEVELS`; None: all.

    Returns
    -------
    DataFrame
        The manifest, with the further columns ``sex``, ``view`` and ``twin`` (the take, the
        same for the sound and for every view of one performance).
    """
    known("view", view, VIEWS)
    known("intensity", intensity, LEVELS)
    return collect(
        "mead",
        root,
        lambda path: _seen_from(parse(path), view),
        (".mp4", ".m4a", ".wav", ".flac"),
        side_files=("*.txt", "*.csv", "*.tar"),
        modality=modality,
        view=view,
        intensity=intensity,
    )


def _seen_from(row: dict[str, str], view: str) -> dict[str, str]:
    """Sound has no view: it belongs to whichever was asked for."""
    return row if row["view"] else row | {"view": view}
