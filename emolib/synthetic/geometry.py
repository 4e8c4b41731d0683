"""The shape of a synthetic face: 68 points, action units, and the pose of the head.

Lengths are in units of the distance between the pupils; the origin lies between the eyes, x
points to the right of the picture, y down, z out of the face. Points have the numbers of the
iBUG/dlib scheme.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

#: Point → the same point of the mirror image.
MIRROR = np.array([
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31,
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65,
])  # fmt: skip

# The left half (and the midline) of an average face; the right half is its mirror image.
_HALF = {
    0: (-1.07, 0.00), 1: (-1.06, 0.32), 2: (-1.02, 0.63), 3: (-0.95, 0.93), 4: (-0.83, 1.21),
    5: (-0.64, 1.44), 6: (-0.44, 1.63), 7: (-0.22, 1.765), 8: (0.00, 1.81),
    17: (-0.87, -0.28), 18: (-0.73, -0.40), 19: (-0.55, -0.44), 20: (-0.37, -0.41),
    21: (-0.20, -0.34),
    27: (0.00, 0.02), 28: (0.00, 0.25), 29: (0.00, 0.48), 30: (0.00, 0.70),
    31: (-0.22, 0.84), 32: (-0.11, 0.89), 33: (0.00, 0.92),
    36: (-0.76, 0.01), 37: (-0.60, -0.10), 38: (-0.40, -0.10), 39: (-0.24, 0.04),
    40: (-0.41, 0.10), 41: (-0.60, 0.10),
    48: (-0.41, 1.205), 49: (-0.26, 1.145), 50: (-0.09, 1.10), 51: (0.00, 1.115),
    59: (-0.27, 1.325), 58: (-0.12, 1.375), 57: (0.00, 1.385),
    60: (-0.37, 1.209), 61: (-0.14, 1.217), 62: (0.00, 1.225), 67: (-0.14, 1.222), 66: (0.0, 1.23),
}  # fmt: skip

# Points that are not landmarks but move with the skin: cheeks (0 1), folds beside the nose
# (2 3), forehead (4 5 6), and the anchors that hold still.
_SOFT = np.array(
    [(-0.64, 0.6), (0.64, 0.6), (-0.45, 0.95), (0.45, 0.95), (-0.5, -0.8), (0.5, -0.8), (0, -0.75)]
)
_STILL = np.array([
    *((x, -1.25) for x in (-0.9, -0.3, 0.3, 0.9)),
    *((x, y) for x in (-1.5, 1.5) for y in (-1.9, -1.0, -0.2, 0.7)),
    *((x, -1.9) for x in (-0.75, 0.0, 0.75)),
    *((s * x, y) for s in (-1, 1) for x, y in ((1.0, -0.5), (0.5, -0.12), (0.5, 0.12))),
    (-1.6, 1.5), (1.6, 1.5), (-1.6, 2.4), (1.6, 2.4), (0, 2.4),
])  # fmt: skip

# Action unit → {point: (dx, dy)} at activation 1 on the left; the right half mirrors it.
# Points from 68 on are those of _SOFT.
_UNITS: Mapping[str, Mapping[int, tuple[float, float]]] = {
    "1": {21: (0.03, -0.19), 20: (0.02, -0.12), 19: (0, -0.04), 18: (0, 0.02), 74: (0, -0.07)},
    "2": {17: (-0.01, -0.11), 18: (-0.01, -0.18), 19: (-0.01, -0.18), 20: (0, -0.09),
          72: (0, -0.08)},
    "4": {21: (0.07, 0.15), 20: (0.06, 0.14), 19: (0.05, 0.10), 18: (0.04, 0.03), 17: (0.03, -0.02),
          27: (0, 0.03), 74: (0, 0.05)},
    "6": {68: (0.02, -0.10), 17: (0, 0.02)},
    "9": {31: (-0.03, -0.09), 32: (-0.01, -0.06), 33: (0, -0.04), 30: (0, -0.05), 29: (0, -0.03),
          21: (0.03, 0.09), 20: (0.02, 0.07), 50: (0, -0.05), 51: (0, -0.04), 49: (0, -0.04),
          61: (0, -0.04), 62: (0, -0.03), 70: (-0.02, -0.09), 68: (0.02, -0.06)},
    "10": {49: (0.01, -0.09), 50: (0, -0.10), 51: (0, -0.08), 61: (0, -0.10), 62: (0, -0.09),
           48: (-0.01, -0.02), 60: (-0.01, -0.02), 31: (-0.03, -0.03), 70: (-0.02, -0.08)},
    "11": {70: (-0.02, -0.05), 49: (0, -0.02)},
    "12": {48: (-0.17, -0.15), 60: (-0.17, -0.145), 49: (-0.09, -0.035), 50: (-0.02, 0.025),
           51: (0, 0.03), 61: (-0.06, 0.0), 62: (0, 0.03), 67: (-0.06, 0.02), 66: (0, 0.03),
           59: (-0.09, -0.03), 58: (-0.03, 0.01), 57: (0, 0.015), 68: (-0.01, -0.09),
           70: (-0.10, -0.07), 4: (-0.02, -0.02), 31: (-0.02, -0.01)},
    "14": {48: (-0.08, -0.05), 60: (-0.09, -0.05), 49: (-0.03, 0.0), 59: (-0.03, -0.01),
           70: (-0.04, -0.02)},
    "15": {48: (-0.02, 0.105), 60: (-0.02, 0.10), 49: (-0.01, 0.04), 59: (-0.01, 0.055),
           50: (0, -0.01), 61: (0, 0.02), 67: (0, 0.02), 70: (0, 0.02)},
    "16": {57: (0, 0.10), 58: (-0.01, 0.10), 59: (-0.02, 0.06), 66: (0, 0.11), 67: (-0.01, 0.10)},
    "17": {57: (0, -0.06), 58: (0, -0.06), 59: (0, -0.04), 66: (0, -0.05), 67: (0, -0.05),
           50: (0, -0.05), 51: (0, -0.05), 49: (0, -0.02), 61: (0, -0.05), 62: (0, -0.05),
           8: (0, -0.05), 7: (0, -0.04)},
    "18": {48: (0.15, 0.0), 60: (0.17, 0.0), 49: (0.07, -0.02), 61: (0.05, 0), 67: (0.05, 0),
           59: (0.07, 0.02), 50: (0.01, -0.01), 58: (0.02, 0.02), 57: (0, 0.02)},
    "20": {48: (-0.17, 0.06), 60: (-0.17, 0.05), 49: (-0.08, 0.02), 59: (-0.08, 0.05),
           61: (-0.06, 0.0), 67: (-0.06, 0.02), 58: (-0.03, 0.03), 57: (0, 0.02),
           70: (-0.05, 0.02)},
    "23": {49: (0.02, 0.025), 50: (0, 0.045), 51: (0, 0.05), 59: (0.02, -0.04), 58: (0, -0.065),
           57: (0, -0.065), 48: (0.05, 0.0), 60: (0.05, 0.0)},
    "24": {50: (0, 0.015), 51: (0, 0.015), 58: (0, -0.02), 57: (0, -0.02), 7: (0, -0.02),
           8: (0, -0.02)},
    "25": {50: (0, -0.02), 51: (0, -0.02), 61: (-0.02, -0.05), 62: (0, -0.05), 67: (-0.03, 0.06),
           66: (0, 0.065), 58: (-0.01, 0.06), 57: (0, 0.06), 59: (-0.01, 0.035)},
    "26": {8: (0, 0.30), 7: (0.01, 0.285), 6: (0.03, 0.24), 5: (0.03, 0.17), 4: (0.02, 0.09),
           3: (0.01, 0.03), 57: (0, 0.30), 58: (0.01, 0.29), 59: (0.03, 0.20), 66: (0, 0.30),
           67: (0.0, 0.275), 48: (0.07, 0.07), 60: (0.05, 0.07), 49: (0.02, 0), 61: (0.0, -0.01),
           70: (0.04, 0.04)},
}  # fmt: skip
#: Units with a shape of their own; 5, 7, 43 and 45 move the lids (`Shape.points`).
UNITS = tuple(_UNITS)
LIDS = ("5", "6", "7", "43", "45")


def _displacements() -> np.ndarray:
    """Return (units × left/right, 75, 2): what each unit does on each half of the picture."""
    soft_mirror = np.array([69, 68, 71, 70, 73, 72, 74])
    # The table names cheeks, folds and forehead by one number each.
    alias = {68: 68, 70: 70, 72: 72, 74: 74}
    mirror = np.concatenate([MIRROR, soft_mirror])
    sides = np.zeros((len(_UNITS), 2, 75, 2))
    for unit, moves in enumerate(_UNITS.values()):
        for point, (dx, dy) in moves.items():
            left = alias.get(point, point)
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
    for index, (x, y) in _HALF.items():
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

    def points(self, units: Mapping[str, float]) -> np.ndarray:
        """Return the 68 points under action units, (68, 2)."""
        return self.move(units)[:68]

    def soft(self) -> np.ndarray:
        """Return the points at rest that carry the skin, (75 + still, 2)."""
        return np.concatenate([self.neutral(), _SOFT * (self.width, 1), _STILL])

    def move(self, units: Mapping[str, float]) -> np.ndarray:
        """Return landmarks and soft points, (75, 2), under `units` (name → activation).

        A trailing L or R acts on that half of the picture only. Eyelids never cross and lips
        never interpenetrate.
        """
        rest = np.concatenate([self.neutral(), _SOFT * (self.width, 1)])
        points = rest + np.tensordot(weights(units), DISPLACEMENTS, axes=2)
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
    for outer, inner, sign in [
        (50, 61, 1),
        (51, 62, 1),
        (52, 63, 1),
        (58, 67, -1),
        (57, 66, -1),
        (56, 65, -1),
    ]:
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
        found = seen / stretch
        for _ in range(steps):
            found = (seen - depth_at(found + pivot)[..., None] * slide) / stretch
        return found + pivot
