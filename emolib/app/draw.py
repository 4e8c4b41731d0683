"""Faces and their emotions drawn into a picture, as in Fig. 2 of Mostafa et al."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emolib.app.predict import UNSURE, FaceReading

if TYPE_CHECKING:
    from PIL import ImageDraw

Strip = tuple[float, float, float, float]  # left, top, right, bottom in pixels


def annotate(image: np.ndarray, faces: Sequence[FaceReading], voice: str = "") -> np.ndarray:
    """Draw an ellipse around every face with its emotion at it, and the voice below (Fig. 2).

    A label stands above its face or, where that would cover another face or label, below it.
    """
    from PIL import Image, ImageDraw, ImageFont

    from emolib.plots import EMOTION_COLORS

    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    size = max(14, image.shape[1] // 45)
    font, low = ImageFont.load_default(size), image.shape[0] - 6
    for face in faces:
        left, top, right, bottom = face.box
        room = 0.1 * (bottom - top)
        color = EMOTION_COLORS.get(face.reading.emotion, "#ffffff")
        pen.ellipse((left, top - room, right, bottom + room), outline=color, width=size // 6)
    # Among several faces there is no room for the word, and no need of it.
    word, small = ("FACE: ", font) if len(faces) == 1 else ("", ImageFont.load_default(0.8 * size))
    taken = [face.box for face in faces]
    for face in faces:
        sure = face.reading.emotion != UNSURE
        text = word + (str(face.reading) if sure else UNSURE).upper()
        others = [box for box in taken if box is not face.box]
        strip = label_strip(face.box, _size(pen, text, small), image.shape[:2], others)
        _write(pen, text, strip, small)
        taken.append(strip)
    if voice:
        width, height = _size(pen, voice, font)
        _write(pen, voice, (8, low - height, 8 + width, low), font)
    return np.array(picture)


def label_strip(
    box: Strip, size: tuple[float, float], frame: tuple[int, int], taken: Sequence[Strip]
) -> Strip:
    """Return where a label of `size` (width, height) goes: above or below, over nothing taken.

    Parameters
    ----------
    box
        The face.
    frame
        Height and width of the picture; the label stays inside it where it fits.
    taken
        What it should not cover. Where everything is taken it covers the least.
    """
    width, height = size
    left = float(np.clip((box[0] + box[2] - width) / 2, 0, max(0, frame[1] - width)))
    face = box[3] - box[1]
    tops = (box[1] - 0.12 * face - height, box[3] + 0.12 * face)  # clear of the ellipse
    steps = (np.array(tops) + height * np.outer((0, 1, 2), (-1, 1))).ravel()
    inside = np.clip(steps, 0, max(0, frame[0] - height)).tolist()
    strips = [(left, top, left + width, top + height) for top in inside]
    return min(strips, key=lambda strip: sum(_overlap(strip, other) for other in taken))


def _overlap(one: Strip, other: Strip) -> float:
    """Return the area that two rectangles share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)


def _size(pen: "ImageDraw.ImageDraw", text: str, font: Any) -> tuple[float, float]:
    """Return width and height of the strip behind a text."""
    left, top, right, bottom = pen.textbbox((0, 0), text, font)
    return right - left + 8, bottom - top + 8


def _write(pen: "ImageDraw.ImageDraw", text: str, strip: Strip, font: Any) -> None:
    """Write white on a dark strip: readable on any picture."""
    pen.rectangle(strip, fill="#191919")
    middle = (strip[0] + strip[2]) / 2, (strip[1] + strip[3]) / 2
    pen.text(middle, text, fill="white", font=font, anchor="mm")
