"""CK+: posed faces of 118 people, the last three frames of 327 sequences (Lucey et al. 2010).

The 48×48 version has one folder an emotion and names its files subject, sequence, frame:
``S010_004_00000017.png``. The three frames of a sequence are near-duplicates, so they play the
part that segments of a clip play elsewhere: ``sequence`` says which belong together.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from emolib.corpora import pictures
from emolib.corpora.manifest import EMOTION_WORDS, EMOTIONS, FileProblem, build, locate, read_name

frames = pictures.repeated
CLASSES = tuple(emotion for emotion in EMOTIONS if emotion not in ("neutral", "calm"))

_NAME = re.compile(r"(?P<sequence>(?P<actor>S\d{3})_\d{3})_(?P<frame>\d{8})")


def parse(path: Path) -> dict[str, str]:
    """Read the columns of one frame out of its file name and its folder.

    Raises
    ------
    FileProblem
        If the name or the folder is not one of CK+.
    """
    fields = read_name(path.stem, _NAME, {}, "subject_sequence_frame such as S010_004_00000017")
    emotion = EMOTION_WORDS.get(path.parent.name.lower())
    if emotion not in CLASSES:
        raise FileProblem(
            f"its folder {path.parent.name!r} is no emotion of CK+",
            f"known are {', '.join(CLASSES)}",
        )
    return {
        "clip_id": path.stem,
        "actor": fields["actor"],
        "emotion": emotion,
        "sequence": fields["sequence"],
    }


def manifest(root: str | Path | None = None) -> pd.DataFrame:
    """List the frames of CK+.

    Returns
    -------
    DataFrame
        The manifest, with the further columns ``sequence`` (the siblings of a frame) and
        ``row`` (the picture's position in ``images(root)``).
    """
    folder = locate("ckplus", root)
    found = _pictures(folder)
    return build(found.numbered("ckplus"), found.problems, folder)


def images(root: str | Path | None = None) -> np.ndarray:
    """Return the pictures in manifest order: uint8, shape (N, 48, 48), read-only."""
    return _pictures(locate("ckplus", root)).pixels


def _pictures(folder: Path) -> pictures.Pictures:
    return pictures.in_folders("ckplus", folder, parse)
