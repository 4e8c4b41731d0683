"""A face painted from action units: a shaded relief for the skin, curves for what moves on it.

The skin is a height field (sockets, bridge, cheeks, folds) lit once for each person; every
action unit adds its own folds to the relief and pulls the painted skin by a smooth field that
passes exactly through the landmarks. Eyes, brows and mouth are drawn on top from the landmarks
themselves, on a canvas finer than the picture, and the whole head is then turned and laid over
the room. The 68 points are therefore exact, not estimated.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from emolib.synthetic import geometry
from emolib.synthetic.canvas import Patch, circle, spline
from emolib.synthetic.geometry import Pose
from emolib.synthetic.person import Person
from emolib.synthetic.relief import Relief

#: Canvas in face units: left, top, right, bottom.
_FRAME = (-1.75, -2.05, 1.75, 2.55)
_ONE_MAP: Any = None  # cv2.remap takes x and y from one array, whatever its types say
_COARSE = 8  # displacement fields and depths live on a grid this many times coarser


class Face:
    """The painter of one person.

    Parameters
    ----------
    person
        Who.
    size
        Width and height of the picture in pixels.
    zoom
        Factor on the size of the head (1: the face is 0.39 of the picture's height wide).
    detail : float
        Pixels of the canvas for one of the picture.
    """

    def __init__(self, person: Person, size: tuple[int, int], zoom: float = 1.0, detail=1.5):
        self.person, self.size = person, size
        self.unit = 0.183 * size[1] * zoom
        self.k = self.unit * detail
        self.origin = np.array(_FRAME[:2])
        self.centre = np.array([size[0] / 2, size[1] * (0.435 if zoom <= 1.1 else 0.40)])
        relief = Relief(person, _FRAME, self.k)
        self.head = relief.head  # (h, w, 4) uint8, premultiplied
        self.folds, self.fold_units, self.fold_window = relief.folds()
        self._shaded = self.head.copy()
        self.plate = relief.room(size, self.unit, self.centre)  # (H, W, 3) uint8
        self._prepare_fields(relief)
        self._prepare_brows()
        self._prepare_view()

    # -- once for each person ------------------------------------------------------------------

    def _prepare_fields(self, relief: Relief) -> None:
        """Spread the landmarks' displacements smoothly over the skin."""
        height, width = self.head.shape[:2]
        rows, columns = -(-height // _COARSE), -(-width // _COARSE)
        grid = _grid(rows, columns) / self.k + self.origin
        points = self.person.shape.soft()
        moves = geometry.DISPLACEMENTS.reshape(-1, 75, 2)
        # The lids slide over the eyeball; the skin around them does not follow.
        still = np.zeros((len(moves), len(points), 2))
        still[:, :75] = moves
        use = np.r_[0:36, 48:60, 68 : len(points)]  # inner lips would tear the lips apart
        field = RBFInterpolator(points[use], still[:, use].transpose(1, 0, 2).reshape(len(use), -1))
        values = field(grid.reshape(-1, 2)).reshape(rows, columns, len(moves), 2)
        self.fields = np.ascontiguousarray(values.transpose(2, 0, 1, 3), np.float32)
        self.grid = grid.astype(np.float32)
        self.depth = relief.depth[_COARSE // 2 :: _COARSE, _COARSE // 2 :: _COARSE][:rows, :columns]
        missing = ((0, rows - self.depth.shape[0]), (0, columns - self.depth.shape[1]))
        self.depth = np.pad(self.depth, missing, mode="edge").astype(np.float32)

    def _prepare_brows(self) -> None:
        """Throw the hairs of the brows: place along and across, length and slant."""
        rng = np.random.default_rng([self.person.actor, 7])
        n = 70
        along, across = np.sort(rng.uniform(0, 1, n)), rng.uniform(-1, 1, n)
        self.hairs = along, across, rng.uniform(0.09, 0.15, n), rng.normal(0, 0.15, n)

    def _prepare_view(self) -> None:
        """Lay out the coarse grid of the part of the picture that the head can reach."""
        width, height = self.size
        reach = np.array([1.75, 2.3]) * self.unit
        x0 = max(0, int(self.centre[0] - reach[0]))
        x1 = min(width, int(self.centre[0] + reach[0]))
        y0 = max(0, int(self.centre[1] - reach[1]))
        y1 = min(height, int(self.centre[1] + 2.75 * self.unit))
        self.view = (slice(y0, y1), slice(x0, x1))
        columns, rows = -(-(x1 - x0) // _COARSE), -(-(y1 - y0) // _COARSE)
        self.view_grid = (_grid(rows, columns, x0, y0) - self.centre) / self.unit

    # -- once for each frame -------------------------------------------------------------------

    def draw(
        self,
        units: Mapping[str, float],
        pose: Pose = Pose(),  # noqa: B008 - frozen
        gaze: tuple[float, float] = (0.0, 0.0),
    ) -> tuple[np.ndarray, np.ndarray]:
        """Paint one frame.

        Parameters
        ----------
        units
            Action unit → activation.
        pose
            Of the head.
        gaze
            Horizontal and vertical, −1 to 1.

        Returns
        -------
        frame : uint8 (H, W, 3)
            RGB.
        landmarks : float32 (68, 2)
            In pixels: x, y.
        """
        points = self.person.shape.points(units)
        canvas = self._skin(units)
        self._eyes(canvas, points, np.asarray(gaze))
        self._brows(canvas, points)
        self._mouth(canvas, points)
        frame = self._lay(canvas, pose)
        seen = pose.project(points, self.depth_at(points)) * self.unit + self.centre
        return frame, seen.astype(np.float32)

    def depth_at(self, points: np.ndarray) -> np.ndarray:
        """Return the depth of the face (…) at points (…, 2), both in face units."""
        return self._coarse(self.depth, points.reshape(-1, 1, 2)).reshape(points.shape[:-1])

    def _coarse(self, field: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Sample a field of the coarse grid at points (h, w, 2) in face units."""
        where = ((points - self.origin) * self.k + 0.5) / _COARSE - 0.5
        where = where.astype(np.float32)
        return cv2.remap(field, where, _ONE_MAP, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)

    def _skin(self, units: Mapping[str, float]) -> np.ndarray:
        """Fold, light and pull the painted head: a new canvas (h, w, 4)."""
        activation = np.zeros(len(self.fold_units), np.float32)
        for i, fold in enumerate(self.fold_units):
            activation[i] = units.get(fold, 0) + units.get(fold.rstrip("LR"), 0)
        window = self.fold_window
        self._shaded[window] = self.head[window]
        used = np.flatnonzero(activation)
        if len(used):
            light = 1 + np.tensordot(activation[used], self.folds[used], 1)
            np.clip(light, 0.35, 1.5, out=light)
            # Light that loses strength in a fold turns warmer: skin shines through.
            tint = cv2.merge([0.2 + 0.8 * light, light, light * 1.06 - 0.06, np.ones_like(light)])
            self._shaded[window] = cv2.multiply(self.head[window], tint, dtype=cv2.CV_8U)

        weight = geometry.weights(units).astype(np.float32).ravel()
        used = np.flatnonzero(weight)
        if not len(used):
            return self._shaded.copy()
        pull = np.tensordot(weight[used], self.fields[used], 1)
        source = self.grid
        for _ in range(6):  # the point that lands here: q = p - d(q)
            source = self.grid - self._coarse(pull, source)
        return self._warp(self._shaded, (source - self.origin) * self.k, self.head.shape[:2])

    @staticmethod
    def _warp(image: np.ndarray, coarse: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Sample `image` at positions given on the coarse grid."""
        fine = cv2.resize(
            coarse.astype(np.float32), None, fx=_COARSE, fy=_COARSE, interpolation=cv2.INTER_LINEAR
        )[: shape[0], : shape[1]]
        return cv2.remap(image, fine, _ONE_MAP, cv2.INTER_LINEAR, None, cv2.BORDER_CONSTANT)

    def _lay(self, canvas: np.ndarray, pose: Pose) -> np.ndarray:
        """Turn the head and lay it over the room."""
        upright = pose.unproject(self.view_grid, self.depth_at)
        rows, columns = self.view
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        head = self._warp(canvas, (upright - self.origin) * self.k, shape)
        frame = self.plate.copy()
        through = cv2.cvtColor(255 - head[..., 3], cv2.COLOR_GRAY2RGB)
        behind = cv2.multiply(frame[rows, columns], through, scale=1 / 255)
        frame[rows, columns] = cv2.add(behind, head[..., :3])
        return frame

    # -- eyes ----------------------------------------------------------------------------------

    def _eyes(self, canvas, points, gaze) -> None:
        for first in (36, 42):
            eye = points[first : first + 6]
            middle = (eye[0] + eye[3]) / 2
            box = (middle[0] - 0.42, middle[1] - 0.36, middle[0] + 0.42, middle[1] + 0.30)
            patch = Patch(canvas, self.origin, self.k, box)
            outer_first = first == 36
            upper, lower = spline(eye[[0, 1, 2, 3]]), spline(eye[[3, 4, 5, 0]])
            self._crease(patch, upper, middle)
            if (eye[[4, 5], 1] - eye[[2, 1], 1]).mean() > 0.02:
                inner = eye[3] if outer_first else eye[0]
                opening = np.concatenate([upper, lower[1:-1]])
                low = spline(eye[[0, 1, 2, 3]] + (0, 0.055))
                self._ball(patch, opening, np.concatenate([upper, low[::-1]]), middle, inner, gaze)
            self._lashes(patch, upper, lower[1:-1], middle, outer_first)
            patch.keep()

    def _crease(self, patch: Patch, upper: np.ndarray, middle: np.ndarray) -> None:
        """Draw the fold of the lid: at rest above the opening, it stays when the lid falls."""
        crease = upper.copy()
        crest = middle[1] - 0.155 * self.person.shape.eye_size
        crease[:, 1] = np.minimum(upper[:, 1] - 0.045, 0.35 * upper[:, 1] + 0.65 * crest)
        crease[0, 1], crease[-1, 1] = upper[0, 1] - 0.03, upper[-1, 1] - 0.02
        lid = np.concatenate([crease, upper[::-1]])
        patch.shade(patch.area(lid, 0.012), (0.95, 0.90, 0.88))
        patch.shade(patch.lines([crease[1:-1]], 0.022, 0.012), (0.55, 0.44, 0.40))

    def _ball(self, patch: Patch, opening, shadow, middle, inner, gaze) -> None:
        """Draw what an open eye shows; the upper lid and its lashes throw `shadow` on it."""
        size, colour = self.person.shape.eye_size, np.array(self.person.eyes, float)
        ball, ring = patch.area(opening), circle()
        iris = middle + gaze * (0.11, 0.06) * size + (0, -0.006)
        radius = 0.122 * size
        side = -1 if self.person.light[0] < 0 else 1
        glow = iris + ring * radius * (0.62, 0.50) + (0, radius * 0.32)
        corner = inner + np.sign(middle[0] - inner[0]) * np.array([0.03, 0])
        glint = iris + np.array([side * 0.4, -0.42]) * radius
        faint = iris + np.array([-side * 0.45 * radius, 0.5 * radius])

        def paint(outline, soft, colour, opacity=1.0):
            patch.paint(patch.area(outline, soft) * ball, colour, opacity)

        patch.paint(ball, (214, 209, 205))
        paint(iris + ring * radius, 0.006, colour * 0.42)
        paint(iris + ring * radius * 0.84, 0.012, colour)
        paint(glow, 0.02, np.minimum(colour * 1.4 + 10, 255), 0.6)
        paint(iris + ring * radius * 0.46, 0.008, (14, 11, 11))
        patch.shade(patch.area(shadow, 0.022) * ball, 0.45)
        # The corners turn away from the light.
        patch.shade((1 - patch.area(middle + (opening - middle) * 0.86, 0.03)) * ball, 0.72)
        paint(corner + ring * 0.028, 0.012, (206, 140, 130), 0.8)
        paint(glint + ring * 0.027 * size, 0.004, (255, 255, 255))
        paint(faint + ring * 0.014, 0.004, (255, 255, 255), 0.5)

    def _lashes(self, patch: Patch, upper, rim, middle, outer_first: bool) -> None:
        """Draw the edges of the lids: a wet rim below, lashes above."""
        female = self.person.sex == "female"
        wet = np.array(self.person.skin, float) * (0.86, 0.66, 0.62)
        patch.paint(patch.lines([rim], 0.02, 0.008), wet, 0.75)
        patch.shade(patch.lines([rim + np.array([0, 0.012])], 0.014, 0.006), 0.62)
        lash = np.array([26, 18, 16.0]) * (1 if np.mean(self.person.hair) < 140 else 1.6)
        patch.paint(patch.lines([upper], 0.032 if female else 0.026, 0.005), lash, 0.95)
        if female:
            outer, outward = (0, -1) if outer_first else (-1, 1)
            wing = upper[outer] + np.array([[0, 0], [outward * 0.035, -0.025]])
            patch.paint(patch.lines([wing], 0.03, 0.006), lash, 0.9)
            roots = upper[2:-4:2] if outer_first else upper[4:-2:2]
            tips = roots + np.column_stack(
                [(roots[:, 0] - middle[0]) * 0.18, np.full(len(roots), -0.035)]
            )
            patch.paint(patch.lines(list(np.stack([roots, tips], 1)), 0.008), lash, 0.4)

    # -- brows ---------------------------------------------------------------------------------

    def _brows(self, canvas, points) -> None:
        thick = self.person.brow
        colour = np.array(self.person.hair, float) * 0.62 + np.array(self.person.skin) * 0.04
        for brow, sign in ((points[17:22], 1), (points[22:27][::-1], -1)):
            # From the temple (0) to the nose (1).
            left, top = brow.min(0) - 0.22
            right, bottom = brow.max(0) + 0.22
            patch = Patch(canvas, self.origin, self.k, (left, top, right, bottom))
            line = spline(brow, 6)
            tangent = np.gradient(line, axis=0)
            normal = np.stack([tangent[:, 1], -tangent[:, 0]], 1) * sign
            normal /= np.linalg.norm(normal, axis=1, keepdims=True)
            normal *= -np.sign(normal[:, 1:2])  # always up
            along = np.linspace(0, 1, len(line))
            half = thick / 2 * np.interp(along, [0, 0.35, 0.85, 1], [0.25, 0.85, 1.0, 0.75])
            outline = np.concatenate([line + normal * half[:, None],
                                      (line - normal * half[:, None])[::-1]])  # fmt: skip
            patch.paint(patch.area(outline, 0.022), colour, 0.62)

            t, across, length, slant = self.hairs
            i = t * (len(line) - 1)
            root = np.stack([np.interp(i, np.arange(len(line)), line[:, c]) for c in (0, 1)], 1)
            up = np.stack([np.interp(i, np.arange(len(line)), normal[:, c]) for c in (0, 1)], 1)
            width = np.interp(t, along, half)
            root = root - up * (across * width * 0.9)[:, None]
            # Hairs stand up near the nose and lie along the brow towards the temple.
            rise = np.interp(t, [0, 0.7, 1], [0.05, 0.40, 1.1]) + slant
            outward = np.array([-sign, 0.0])
            reach = outward * np.cos(rise)[:, None] + up * np.sin(rise)[:, None]
            tip = root + reach * (length * np.interp(t, [0, 1], [0.7, 0.85]))[:, None]
            hairs = list(np.stack([root, tip], 1))
            near = patch.area(line.mean(0) + (outline - line.mean(0)) * (1.06, 1.45), 0.018)
            patch.paint(patch.lines(hairs, 0.009) * near, colour * 0.75, 0.7)
            patch.keep()

    # -- mouth ---------------------------------------------------------------------------------

    def _mouth(self, canvas, points) -> None:
        mouth = points[48:68]
        left, top = mouth.min(0) - 0.14
        right, bottom = mouth.max(0) + 0.14
        patch = Patch(canvas, self.origin, self.k, (left, top, right, bottom))
        inner_up = spline(mouth[12:17])
        inner_low = spline(np.concatenate([mouth[16:20], mouth[12:13]]))
        lips = np.array(self.person.lips, float)
        self._lips(patch, mouth, inner_up, lips)
        gap = (mouth[[19, 18, 17], 1] - mouth[[13, 14, 15], 1]).mean()
        if gap > 0.02:
            self._inside(patch, mouth, inner_up, inner_low, points[8, 1])
        line = patch.lines([inner_up[1:-1]], 0.020 if gap < 0.03 else 0.014, 0.006)
        patch.paint(line, lips * (0.34, 0.22, 0.22), 0.85)
        corners = [mouth[[c]] + np.array([[-0.006, 0], [0.006, 0]]) for c in (0, 6)]
        patch.shade(patch.lines(corners, 0.035, 0.02), (0.66, 0.56, 0.54))
        patch.keep()

    @staticmethod
    def _lips(patch: Patch, mouth, inner_up, lips) -> None:
        outer_up, outer_low = spline(mouth[0:7]), spline(np.concatenate([mouth[6:12], mouth[:1]]))
        whole = patch.area(np.concatenate([outer_up, outer_low[1:-1]]), 0.010)
        patch.paint(whole, lips, 0.92)
        upper = patch.area(np.concatenate([outer_up, inner_up[::-1]]), 0.012)
        patch.shade(upper, (0.80, 0.74, 0.75))
        shine = 0.5 * (spline(mouth[7:12]) + spline(mouth[[16, 17, 18, 19, 12]]))
        patch.paint(patch.lines([shine[8:-8]], 0.05, 0.028), np.minimum(lips * 1.25 + 46, 255), 0.5)
        bow = 0.6 * spline(mouth[1:6]) + 0.4 * inner_up
        patch.paint(patch.lines([bow[9:-9]], 0.02, 0.018), np.minimum(lips * 1.2 + 30, 255), 0.35)
        patch.shade(patch.lines([outer_up[4:-4] - (0, 0.012)], 0.02, 0.014), (1.08, 1.07, 1.06))

    def _inside(self, patch: Patch, mouth, inner_up, inner_low, chin: float) -> None:
        """Draw what an open mouth shows: dark, tongue and teeth."""
        middle, breadth = mouth.mean(0), mouth[6, 0] - mouth[0, 0]
        inside = patch.area(np.concatenate([inner_up, inner_low[1:-1]]), 0.006)
        patch.paint(inside, (52, 18, 20))
        rest = self.person.shape.neutral()
        jaw, bite = chin - rest[8, 1], rest[62, 1]
        x = np.linspace(-0.42, 0.42, 25)
        tongue = np.array([middle[0], bite + 0.17 + 0.95 * jaw]) + circle() * (0.25, 0.10)
        patch.paint(patch.area(tongue, 0.02) * inside, (178, 84, 84), 0.9)
        for edge, far, tone, bend in (
            (bite + 0.075, bite - 0.4, 1.0, -0.30),
            (bite + 0.115 + jaw * 0.95, bite + 0.9, 0.84, -0.10),
        ):
            arch = np.stack([x + middle[0] * 0.5, edge + bend * x**2], 1)
            teeth = np.concatenate([arch, [[x[-1], far], [x[0], far]]])
            row = patch.area(teeth, 0.006) * inside
            patch.paint(row, np.array([242, 236, 224]) * tone)
            places = np.linspace(-0.3, 0.3, 9)
            gaps = [np.array([[g, far], [g, edge + bend * g**2]]) for g in places]
            patch.shade(patch.lines(gaps, 0.008, 0.003) * row, 0.80)
        # The mouth darkens towards its corners and under the upper lip.
        across = np.abs((np.arange(patch.shape[1]) / self.k + patch.corner[0]) - middle[0])
        dim = np.clip((across / (breadth / 2) - 0.45) * 1.5, 0, 1) ** 1.5
        patch.shade(inside * dim[None].astype(np.float32), 0.25)
        lid = np.concatenate([inner_up, (inner_up + np.array([0, 0.05]))[::-1]])
        patch.shade(patch.area(lid, 0.02) * inside, 0.6)
        patch.shade(patch.lines([inner_low[2:-2]], 0.014, 0.008), 0.7)


def _grid(rows: int, columns: int, left: int = 0, top: int = 0) -> np.ndarray:
    """Return where the points of a coarse grid lie, in pixels (rows, columns, 2)."""
    x = left + (np.arange(columns) + 0.5) * _COARSE - 0.5
    y = top + (np.arange(rows) + 0.5) * _COARSE - 0.5
    return np.stack(np.meshgrid(x, y), -1)


@lru_cache(maxsize=4)
def painter(person: Person, size: tuple[int, int], zoom: float = 1.0) -> Face:
    """Return the painter of a person, kept for the next clip."""
    return Face(person, size, zoom=zoom)
