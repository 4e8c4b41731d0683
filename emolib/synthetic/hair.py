"""Hair of a synthetic portrait: what hangs behind the face, and what frames it."""

from dataclasses import dataclass

import cv2
import numpy as np

from emolib.synthetic.canvas import Canvas, circle, mirrored, spline
from emolib.synthetic.person import Person
from emolib.synthetic.tables import table

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Cut:
    """One way to wear hair, in face units for a face of average width.

    Attributes
    ----------
    volume
        How far the hair stands off the skull.
    opening
        The hairline: right half of the edge of the face, from the middle down. A cut whose
        opening ends below 0.6 hangs beside the face.
    left
        The left half, if it is not the mirror image.
    curl
        0 straight, 1 wavy, above 2 tight locks.
    crown
        Where the strands begin.
    back
        Volume, lower end and flare of the hair behind the head; empty for short hair.
    sheer
        Share of the skin that shines through, for hair cut very short.
    """

    volume: float
    opening: Points
    left: Points = ()
    curl: float = 0.3
    crown: tuple[float, float] = (0.0, -1.42)
    back: tuple[float, ...] = ()
    sheer: float = 0.0
    knot: bool = False


CUTS = {name: Cut(**cut) for name, cut in table("hair")["cuts"].items()}


def paint_behind(canvas: Canvas, person: Person, width: float, key: np.ndarray) -> None:
    """Paint the hair behind the head; `width` is half that of the face, `key` the light."""
    cut = CUTS[person.cut]
    if not cut.back:
        return
    volume, bottom, flare = cut.back
    shape = canvas.area(_outline(width, volume, bottom, flare), 0)
    mask = canvas.ragged(shape, 0.045 if cut.curl > 2.4 else 0.022)
    # It falls beside the neck, not before it.
    neck = mirrored(spline(np.array([(0.50, 1.0), (0.52, 1.6), (0.70, 2.0), (1.15, 2.7)])))
    mask = mask * (1 - canvas.ragged(canvas.area(neck, 0), 0.02))
    # Under the chin the hair lies in the shadow of the head.
    shadow = 0.86 * (1 - 0.45 * canvas.bump(0, 1.3, 0.85, 0.9, 1.0))
    canvas.over(mask, _colour(person, _strands(canvas, cut, key) * shadow))


def paint_before(
    canvas: Canvas, person: Person, width: float, key: np.ndarray, skin: np.ndarray
) -> np.ndarray:
    """Paint the hair around the face over `skin` (its mask) and return where it lies, (h, w)."""
    cut = CUTS[person.cut]
    right = spline(np.array(cut.opening)) * (width, 1)
    left = spline(np.array(cut.left)) * (width, 1) if cut.left else right * (-1, 1)
    lowest = right[-1, 1]
    hanging = lowest > 0.6
    # Below the hairline everything is face, or for short hair neck and air.
    aside = 0.0 if hanging else 0.4
    beside, beyond = right[-1, 0] + aside, left[-1, 0] - aside
    under = [(beside, lowest), (beside, 2.7), (beyond, 2.7), (beyond, lowest)]
    opening = canvas.area(np.concatenate([right, under, left[::-1]]), 0)
    flare = cut.back[2] if hanging else 0.0
    shell = canvas.area(_outline(width, cut.volume, max(lowest, 0.32), flare), 0)
    tight = cut.curl > 2.4
    outer = canvas.ragged(shell, 0.045 if tight else 0.020, 0.05 if tight else 0.03)
    inner = canvas.ragged(opening, 0.040 if tight else 0.028, 0.035 if tight else 0.022)
    mask = np.clip(outer * (1 - inner), 0, 1)
    if cut.knot:
        knot = canvas.area(circle() * (0.38, 0.27) + np.array([0, -1.60]), 0)
        light = _strands(canvas, Cut(0, (), curl=1.0, crown=(0.0, -1.85)), key)
        canvas.over(canvas.ragged(knot, 0.02), _colour(person, light * 0.85))
    mask = mask * (1 - cut.sheer * skin)
    canvas.darken(canvas.blur(mask, 0.05) * skin * (1 - mask), 0.42)  # its shadow on the brow
    light = _strands(canvas, cut, key) * (1 - 0.35 * canvas.blur(opening, 0.09))
    canvas.over(mask, _colour(person, light))
    return mask


def _outline(width: float, volume: float, bottom: float, flare: float) -> np.ndarray:
    """Return the outer edge: `volume` off the skull, down to `bottom`, `flare` wider there."""
    side, down = 1.08 + volume * 0.9, np.linspace(0.15, 1, 5)
    half = [
        (0, -1.45 - volume),
        (0.42, -1.40 - volume * 0.95),
        (0.80, -1.16 - volume * 0.8),
        (1.02 + volume * 0.7, -0.72 - volume * 0.35),
        (side, -0.25),
        *((side + flare * d**1.5, -0.25 + (bottom + 0.25) * d) for d in down),
    ]
    end = [(half[-1][0] - 0.10, bottom + 0.07), (half[-1][0] - 0.35, bottom + 0.10)]
    return mirrored(spline(np.array(half + (end if bottom > 0.6 else []))) * (width, 1))


def _colour(person: Person, light: np.ndarray) -> np.ndarray:
    gloss = 30 * np.clip(light - 1.1, 0, 1)
    return np.clip(np.array(person.hair, np.float32) * light[..., None] + gloss[..., None], 0, 255)


def _strands(canvas: Canvas, cut: Cut, key: np.ndarray) -> np.ndarray:
    """Return the brightness of hair, (h, w) about 1: strands that run away from the crown."""
    side = 1 + 0.14 * np.sign(key[0]) * np.clip(canvas.x, -1, 1)[None]
    if cut.curl > 2.4:
        return _locks(canvas) * side
    dx, dy = canvas.x[None] - cut.crown[0], canvas.y[:, None] - cut.crown[1]
    angle, radius = np.arctan2(dx, dy + 0.02), np.hypot(dx, dy)
    angle = angle + cut.curl * (0.10 * canvas.noise(0.10) + 0.05 * np.sin(9 * radius))
    total = np.zeros(canvas.shape, np.float32)
    for strands, along, weight in ((90, 5, 0.5), (260, 9, 0.5), (34, 3, 0.55)):
        table = canvas.rng.standard_normal((along * 4, strands)).astype(np.float32)
        u = ((angle / np.pi + 1) / 2 * (strands - 1)).astype(np.float32)
        v = (radius / 4.5 * (along * 4 - 1)).astype(np.float32)
        total += weight * cv2.remap(table, u, v, cv2.INTER_CUBIC, None, cv2.BORDER_REFLECT)
    sheen = np.exp(-0.5 * ((radius - 0.62) / 0.20) ** 2) * (0.5 + 0.5 * np.cos(angle * 2 + 1.0))
    return (0.80 + 0.20 * total + 0.50 * sheen) * side


def _locks(canvas: Canvas) -> np.ndarray:
    """Return the brightness of tight locks, (h, w) about 1: a relief of small coils in light."""
    relief = np.zeros(canvas.shape, np.float32)
    for size, weight in ((0.022, 0.5), (0.045, 1.0), (0.09, 0.8)):
        relief += weight * np.tanh(canvas.noise(size))
    slope = np.gradient(canvas.blur(relief, 0.008))[0]
    light = np.tanh(slope / (2.2 * slope.std()))
    top = np.exp(-0.5 * ((canvas.y + 1.30) / 0.45) ** 2)[:, None]
    depth = 0.07 * np.clip(relief / relief.std(), -2, 2)
    return 0.80 + 0.26 * light + depth + 0.28 * top
