"""Still faces of 48×48 grey pixels, in the forms of FER2013 and CK+."""

from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np

from emolib import paths
from emolib.synthetic.face import Face
from emolib.synthetic.performance import apex
from emolib.synthetic.person import person
from emolib.synthetic.tables import table

#: Corpora of pictures.
CORPORA = ("fer2013", "ckplus")
#: Written last into the folder of CK+: what stands before it is whole.
LAST = "README.txt"
_LAYOUTS = table("layouts")
_SIDE = 48
#: How far a face of CK+ has come in the last three frames of a sequence.
_RISING = (0.94, 0.97, 1.0)


def write_fer2013(path: Path, seed: int, people: int = 20, emotions: Collection[str] = ()) -> None:
    """Write a CSV as Kaggle's: emotion, 48×48 pixels, usage; people do not cross usages.

    Parameters
    ----------
    path
        The file.
    people
        How many there are; each shows every emotion twice.
    emotions
        Only these; all by default.
    """
    rng = np.random.default_rng([seed, 5])
    lines = ["emotion,pixels,Usage"]
    for number in range(people):
        usage = "Training" if number < people * 0.8 else ("PublicTest", "PrivateTest")[number % 2]
        face = _camera(100 + number, seed)
        for emotion, code in _LAYOUTS["fer2013"]["codes"].items():
            for _ in range(2):
                strength, turned = rng.uniform(0.75, 1.1), rng.normal(0, (6, 3, 4))
                if emotion in (emotions or _LAYOUTS["fer2013"]["codes"]):
                    small = _picture(face, emotion, strength, turned)
                    lines.append(f"{code},{' '.join(map(str, small.ravel()))},{usage}")
    with paths.atomic(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")


def write_ckplus(folder: Path, actors: int, seed: int, emotions: Collection[str] = ()) -> None:
    """Write a folder as the 48×48 version of CK+: three rising frames of each person's emotion.

    Parameters
    ----------
    folder
        Of the corpus.
    actors
        How many people there are.
    emotions
        Only these; all by default.
    """
    codes = _LAYOUTS["ckplus"]["codes"]
    for actor in range(1, actors + 1):
        rng = np.random.default_rng([seed, 6, actor])
        face = _camera(200 + actor, seed)
        for sequence, (emotion, name) in enumerate(codes.items(), 1):
            strength, turned = rng.uniform(0.9, 1.1), rng.normal(0, (4, 2, 2))
            for frame, risen in enumerate(_RISING, 15):
                if emotion in (emotions or codes):
                    small = _picture(face, emotion, strength * risen, turned)
                    file = f"S{100 + actor}_{sequence:03}_{frame:08}.png"
                    with paths.atomic(folder / name / file) as temporary:
                        _write_png(temporary, small)
    with paths.atomic(folder / LAST) as temporary:
        temporary.write_text("Faces made by emolib.synthetic; they belong to nobody.\n")


def _camera(number: int, seed: int) -> Face:
    return Face(person(number, seed), (120, 120), zoom=1.45, detail=1.3)


def _picture(face: Face, emotion: str, strength: float, turned: np.ndarray) -> np.ndarray:
    """Return a face cut out and shrunk, uint8 (48, 48)."""
    units, pose, gaze = apex(emotion, strength)
    frame, points = face.draw(units, pose.turned(*turned), gaze)
    left, top = points.min(0) - (6, 20)
    side = (points.max(0) + 6 - (left, top)).max()
    middle = (points.min(0) + points.max(0)) / 2 - (0, 8)
    x, y = np.clip(np.round(middle - side / 2), 0, None).astype(int)
    crop = frame[y : y + round(side), x : x + round(side)]
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)


def _write_png(path: Path, picture: np.ndarray) -> None:
    from PIL import Image

    Image.fromarray(picture).save(path, "png")
