"""The shape of a synthetic face: 68 points, action units, and the pose of the head.

Lengths are in units of the distance between the pupils; the origin lies between the eyes, x
points to the right of the picture, y down, z out of the face. Points have the numbers of the
iBUG/dlib scheme.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from emolib.synthetic.tables import table

_TABLE = table("geometry")

#: Point → the same point of the mirror image.
MIRROR = np.array(_TABLE["mirror"])
_SOFT, _STILL = np.array(_TABLE["soft"]), np.array(_TABLE["still"])

#: Units with a shape of their own; 5, 7, 43 and 45 move the lids (`Shape.points`).
UNITS = tuple(_TABLE["units"])
LIDS = ("5", "6", "7", "43", "45")


def _displacements() -> np.ndarray:
    """Return (units × left/right, 75, 2): what each unit does on each half of the picture."""
    mirror = np.concatenate([MIRROR, [69, 68, 71, 70, 73, 72, 74]])
    sides = np.zeros((len(UNITS), 2, 75, 2))
    for unit, moves in enumerate(_TABLE["units"].values()):
        for left, (dx, dy) in moves.items():
            right = mirror[left]
            if left == right:  # the midline moves by half with each side
                sides[unit, :, left] = (dx / 2, dy / 2)
            else:
                sides[unit, 0, left] = (dx, dy)
                sides[unit, 1, right] = (-dx, dy)
    return sides


DISPLACEMENTS = _displacements()


def template() -> np.ndarray:
    """Return the average face, (68, 2)."""
    points = np.zeros((68, 2))
    for index, (x, y) in _TABLE["landmarks"].items():
        points[index] = (x, y)
        points[MIRROR[index]] = (-x, y)
    return points


@dataclass(frozen=True)
class Shape:
    """The bones of one person, as factors on the average face."""

    width: float = 1.0
    jaw: float = 0.0
    chin: float = 0.0
    eye_size: float = 1.0
    eye_tilt: float = 0.0
    brow_height: float = 0.0
    brow_arch: float = 0.0
    nose_length: float = 1.0
    nose_width: float = 1.0
    mouth_width: float = 1.0
    lips: float = 1.0
    mouth_height: float = 0.0

    def neutral(self) -> np.ndarray:
        """Return the 68 points at rest, (68, 2)."""
        points = template()
        jaw = points[:17]
        down = np.clip(jaw[:, 1] / 1.81, 0, 1)
        jaw[:, 0] *= self.width * (1 + self.jaw * np.sin(np.pi * np.clip(down, 0, 1) ** 1.5))
        jaw[:, 1] *= 1 + self.chin * down
        points[17:27, 0] *= 0.5 + 0.5 * self.width
        points[17:27, 1] -= self.brow_height
        arch = np.array([0, 0.6, 1.0, 0.4, -0.4])
        points[17:22, 1] -= self.brow_arch * arch
        points[22:27, 1] -= self.brow_arch * arch[::-1]
        points[27:36, 1] *= self.nose_length
        points[31:36, 0] *= self.nose_width
        for first, sign in ((36, 1), (42, -1)):
            eye = points[first : first + 6]
            centre = np.array([-0.5 * sign, 0.01])
            eye -= centre
            eye *= self.eye_size
            eye[:, 1] += sign * self.eye_tilt * eye[:, 0]
            eye += centre
        mouth = points[48:]
        middle = np.array([0.0, 1.225])
        mouth -= middle
        mouth[:, 0] *= self.mouth_width
        outer = mouth[:12]
        outer[:, 1] *= self.lips
        mouth += middle
        mouth[:, 1] += 0.5 * (self.nose_length - 1) + self.mouth_height
        return points

    def soft(self) -> np.ndarray:
        """Return the points at rest that carry the skin, (75 + still, 2)."""
        return np.concatenate([self.neutral(), _SOFT * (self.width, 1), _STILL])

    def points(self, units: Mapping[str, float]) -> np.ndarray:
        """Return the 68 points under `units` (name → activation), (68, 2).

        A trailing L or R acts on that half of the picture only. Eyelids never cross and lips
        never interpenetrate.
        """
        rest = self.neutral()
        points = rest + np.tensordot(weights(units), DISPLACEMENTS, axes=2)[:68]
        _lids(points, rest, units)
        _lips(points)
        return points


def weights(units: Mapping[str, float]) -> np.ndarray:
    """Return the activation of each unit on each half, (units, 2)."""
    activation = np.zeros((len(UNITS), 2))
    for name, value in units.items():
        unit = name.rstrip("LR")
        if unit in UNITS:
            activation[UNITS.index(unit), _halves(name)] += value
        elif unit not in LIDS:
            raise KeyError(f"unknown action unit {name!r}: known are {', '.join((*UNITS, *LIDS))}")
    return activation


def _halves(name: str) -> slice:
    return {"L": slice(0, 1), "R": slice(1, 2)}.get(name[-1], slice(0, 2))


def _lids(points: np.ndarray, rest: np.ndarray, units: Mapping[str, float]) -> None:
    """Open and close the eyes: the upper lid falls to the lower one, never below."""
    lids = np.zeros((len(LIDS), 2))
    for name, value in units.items():
        if name.rstrip("LR") in LIDS:
            lids[LIDS.index(name.rstrip("LR")), _halves(name)] += value
    wide, cheek, tight, droop, blink = lids
    for side, first in enumerate((36, 42)):
        eye, still = points[first : first + 6], rest[first : first + 6]
        line = (still[0] + still[3]) / 2
        upper, lower = still[[1, 2]] - line, still[[4, 5]] - line
        up = 1 + 0.85 * wide[side] - 0.30 * tight[side] - 0.75 * droop[side] - 0.12 * cheek[side]
        low = 1 + 0.10 * wide[side] - 0.75 * tight[side] - 0.85 * cheek[side]
        low = np.clip(low, -0.3, 1.3)
        eye[[4, 5]] = line + lower * (1, low)
        eye[[1, 2]] = line + upper * (1, np.clip(up, -1.0, 1.9))
        shut = np.clip(blink[side], 0, 1)
        for above, below in ((1, 5), (2, 4)):
            gap = max(eye[below, 1] - eye[above, 1], 0.0)
            eye[above, 1] = eye[below, 1] - gap * (1 - shut)
        # A shut or sad lid pulls the outer corner a little down.
        eye[0 if side == 0 else 3, 1] += 0.02 * (droop[side] + shut)


def _lips(points: np.ndarray) -> None:
    """Keep the inner lips from crossing and the lips from vanishing."""
    for upper, lower in ((61, 67), (62, 66), (63, 65)):
        if points[upper, 1] > points[lower, 1]:
            points[[upper, lower], 1] = points[[upper, lower], 1].mean()
    above = ((50, 61, 1), (51, 62, 1), (52, 63, 1))
    below = ((58, 67, -1), (57, 66, -1), (56, 65, -1))
    for outer, inner, sign in above + below:
        thin = sign * (points[inner, 1] - points[outer, 1])
        if thin < 0.035:
            points[outer, 1] -= sign * (0.035 - thin)


@dataclass(frozen=True)
class Pose:
    """Where the head is in the picture: angles in degrees, shift in face units."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    x: float = 0.0
    y: float = 0.0

    def turned(self, yaw: float, pitch: float, roll: float) -> "Pose":
        """Return the pose with angles added."""
        return replace(self, yaw=self.yaw + yaw, pitch=self.pitch + pitch, roll=self.roll + roll)

    @property
    def _turn(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        yaw, pitch, roll = np.radians([self.yaw, self.pitch, self.roll])
        stretch = np.array([np.cos(yaw), np.cos(pitch)])
        slide = np.array([np.sin(yaw), np.sin(pitch)])
        spin = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
        return stretch, slide, spin

    def project(self, points: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Carry points (…, 2) of the upright face at `depth` (…) into the picture (…, 2).

        The head turns about the top of the neck (0, 1.3): orthographic, so a point moves by its
        depth times the sine of the angle.
        """
        stretch, slide, spin = self._turn
        pivot = np.array([0.0, 1.3])
        seen = (points - pivot) * stretch + depth[..., None] * slide
        return seen @ spin.T + pivot + (self.x, self.y)

    def unproject(self, points: np.ndarray, depth_at, steps: int = 4) -> np.ndarray:
        """Undo `project` for picture points (…, 2); `depth_at` maps (…, 2) to depths (…)."""
        stretch, slide, spin = self._turn
        pivot = np.array([0.0, 1.3])
        seen = (points - pivot - (self.x, self.y)) @ spin
        upright = seen / stretch
        for _ in range(steps):
            upright = (seen - depth_at(upright + pivot)[..., None] * slide) / stretch
        return upright + pivot
