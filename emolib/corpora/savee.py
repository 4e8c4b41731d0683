"""SAVEE: four men say 120 TIMIT sentences each in seven emotions (Jackson & Haq 2014).

Files are ``DC/a01.wav`` (actor's folder, letters of the emotion, number of the sentence) or
``DC_a01.wav``; the audio-visual clips are ``DC/a01.avi``.
"""

import re
from pathlib import Path

import pandas as pd

from emolib.corpora.manifest import EMOTIONS, NAMES, FileProblem, collect, kind_of, read_name

CLASSES = tuple(emotion for emotion in EMOTIONS if emotion not in ("calm", "contempt"))
ACTORS = ("DC", "JE", "JK", "KL")
EMOTION_CODES: dict[str, str] = NAMES["savee"]["emotions"]

_NAME = re.compile(r"(?:(?P<actor>[A-Z]{2})_)?(?P<emotion>[a-z]{1,2})(?P<statement>\d{2})")
_SIDE_FILES = ("*.txt", "*.csv", "*.mat", "*.htm*")


def parse(path: Path) -> dict[str, str]:
    """Read the columns of one clip out of its file name, and the actor also from the folder.

    Raises
    ------
    FileProblem
        If the name is not one of SAVEE.
    """
    example = "an emotion and two digits, such as a01"
    fields = read_name(path.stem, _NAME, {"emotion": EMOTION_CODES}, example)
    actor = fields["actor"] or path.parent.name
    if actor not in ACTORS:
        raise FileProblem(
            f"unknown actor {actor!r}",
            f"put the file into the folder of its actor ({', '.join(ACTORS)}), or name it "
            "DC_a01.wav",
        )
    return {
        "clip_id": f"{actor}_{fields['emotion']}{fields['statement']}",
        "actor": actor,
        "emotion": EMOTION_CODES[fields["emotion"]],
        "statement": fields["statement"],
        "modality": kind_of(path),
        "channel": "speech",
        "sex": "male",
    }


def manifest(root: str | Path | None = None, *, modality: str | None = None) -> pd.DataFrame:
    """List the clips of SAVEE.

    Parameters
    ----------
    root
        Folder of the corpus.
    modality
        "audio" (wav), "audiovisual" (avi), or None for the richest that is there.
    """
    suffixes = (".wav", ".flac", ".avi", ".mp4")
    return collect("savee", root, parse, suffixes, side_files=_SIDE_FILES, modality=modality)
