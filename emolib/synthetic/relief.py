"""The skin of a synthetic portrait: a height field that is lit once, and folded by each unit."""

import cv2
import numpy as np

from emolib.synthetic import hair
from emolib.synthetic.canvas import Canvas, circle, mirrored, spline
from emolib.synthetic.person import Person
from emolib.synthetic.room import Room
from emolib.synthetic.tables import table

_TABLE = table("relief")


class Relief:
    """Paint the still part of `person` on a canvas of `k` pixels for each face unit.

    Attributes
    ----------
    head : uint8 (h, w, 4)
        Skin, ears, hair and beard, colour premultiplied with its cover.
    depth : float32 (h, w)
        Height of the head above the plane of the ears, in face units.
    """

    def __init__(self, person: Person, frame: tuple, k: float):
        self.person, self.k, self.frame = person, k, frame
        self.canvas = Canvas(frame, k, np.random.default_rng([person.actor, 17]))
        right_of, above = np.radians(person.light)
        self.key = np.array(
            [np.sin(right_of) * np.cos(above), -np.sin(above), np.cos(right_of) * np.cos(above)]
        )
        self.points = person.shape.neutral()
        self._outline()
        self._heights()
        self.lit = self._light(self.height)
        self._paint()
        self.head = self.canvas.pixels()

    def _outline(self) -> None:
        jaw = self.points[:17]
        width = -jaw[0, 0]
        skull = np.array([(1.0, -0.42), (0.92, -0.84), (0.68, -1.2), (0.36, -1.39), (0, -1.45)])
        skull = np.concatenate([skull, (skull * (-1, 1))[-2::-1]]) * (width, 1)
        ring = np.concatenate([jaw, skull])
        self.outline = spline(np.concatenate([ring, ring[:1]]), 8)
        self.skin_mask = self.canvas.area(self.outline, 0.008)

    def _heights(self) -> None:
        canvas, p = self.canvas, self.points
        x, y = canvas.x[None], canvas.y[:, None]
        inside = (canvas.area(self.outline, 0) * 255).astype(np.uint8)
        distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5) / self.k
        rim = np.clip(distance / 0.55, 0, 1)
        body = 0.42 * np.sqrt(np.clip(1 - (1 - rim) ** 2, 0, 1))
        dome = 0.40 * np.clip(1 - (x / 1.2) ** 2 - ((y - 0.2) / 2) ** 2, 0, 1)
        skull = canvas.blur((body + dome).astype(np.float32), 0.07)

        tip, base, wing, lip, chin = p[30, 1], p[33, 1], p[35, 0], p[62, 1], p[8, 1]
        marks = {"tip": tip, "base": base, "wing": wing, "lip": lip, "chin": chin}

        def place(value):
            return marks[value[0]] + value[1] if isinstance(value, tuple) else value

        height = skull.copy()
        for across, down, *rest in _TABLE["pairs"]:
            at, level = place(across), place(down)
            height += canvas.bump(at, level, *rest) + canvas.bump(-at, level, *rest)
        for down, *rest in _TABLE["middle"]:
            height += canvas.bump(0, place(down), *rest)
        bridge = np.clip(y / tip, 0, 1.25)
        rise = (0.06 + 0.25 * np.clip(bridge, 0, 1) ** 1.1) * np.exp(
            -0.5 * (x / (0.072 + 0.045 * bridge)) ** 2
        )
        rise /= (1 + np.exp((y - base + 0.05) / 0.05)) * (1 + np.exp(-(y + 0.12) / 0.07))
        self.height = (height + rise).astype(np.float32)
        self.depth = (skull + 0.8 * (self.height - skull)).astype(np.float32) - 0.25

    def _light(self, height: np.ndarray) -> np.ndarray:
        """Return how bright white skin of this height would be, (h, w), about 0.3 to 1.3."""
        dy, dx = np.gradient(height, 1 / self.k)
        length = np.sqrt(dx**2 + dy**2 + 1)
        key = (-dx * self.key[0] - dy * self.key[1] + self.key[2]) / length
        fill = (dx * self.key[0] * 0.8 + 0.25 * -dy + 0.75) / length
        hollow = height - self.canvas.blur(height, 0.16)
        light = 0.30 + 0.62 * np.clip(0.85 * key + 0.15, 0, None) + 0.20 * np.clip(fill, 0, None)
        return (light * np.clip(1 + 2.6 * hollow, 0.45, 1.12)).astype(np.float32)

    def folds(self) -> tuple[np.ndarray, list[str], tuple[slice, slice]]:
        """Return what each action unit adds to the light.

        Returns
        -------
        folds : float32 (n, rows, columns)
            Relative change of brightness at activation 1.
        units : list of str
            The unit of each, with L or R for the half of the picture.
        window : two slices
            Where on the canvas the folds lie.
        """
        rows = slice(round((-1.1 + 2.05) * self.k), round((1.85 + 2.05) * self.k))
        columns = slice(round((-1.1 + 1.75) * self.k), round((1.1 + 1.75) * self.k))
        skin = self.canvas.blur(self.skin_mask * (1 - self.hair_mask), 0.02)
        changes, units = [], []
        for unit, parts in _TABLE["folds"].items():
            for side, sign in (("L", 1), ("R", -1)):
                extra = np.zeros(self.canvas.shape, np.float32)
                for fold in parts:
                    path = np.asarray(fold["path"], float) * (sign, 1)
                    extra += fold["depth"] * self.canvas.ridge(path, fold["width"])
                change = (self._light(self.height + extra) / self.lit - 1) * skin
                changes.append(change[rows, columns])
                units.append(unit + side)
        return np.stack(changes).astype(np.float32), units, (rows, columns)

    # -- skin ----------------------------------------------------------------------------------

    def _paint(self) -> None:
        canvas, person, width = self.canvas, self.person, -self.points[0, 0]
        hair.paint_behind(canvas, person, width, self.key)
        self._ears()
        skin = self._albedo(np.array(person.skin, np.float32))
        canvas.over(self.skin_mask, self._tone(skin, self.lit))
        self._nostrils()
        self.hair_mask = hair.paint_before(canvas, person, width, self.key, self.skin_mask)

    @staticmethod
    def _tone(albedo: np.ndarray, light: np.ndarray) -> np.ndarray:
        """Light the skin: red in the shadow, pale in the light."""
        light = light[..., None]
        shadow = albedo * (0.44, 0.30, 0.27)
        pale = albedo + (255 - albedo) * 0.42
        dim = np.clip((light - 0.25) / 0.72, 0, 1)
        bright = np.clip((light - 0.97) / 0.40, 0, 1)
        return shadow + (albedo - shadow) * dim**0.9 + (pale - albedo) * bright

    def _albedo(self, skin: np.ndarray) -> np.ndarray:
        """Return the colour of the skin in even light, (h, w, 3)."""
        canvas, person, p = self.canvas, self.person, self.points

        def both(x, *bump):
            return canvas.bump(x, *bump) + canvas.bump(-x, *bump)

        blush = both(0.66, 0.58, 0.24, 0.20, 1.0)
        sockets = both(0.47, 0.0, 0.26, 0.14, 1.0) + both(0.27, 0.02, 0.08, 0.12, 0.6)
        female = person.sex == "female"
        tints = (  # where, factor on the skin, strength
            (blush, (1.0, 0.80, 0.78), 0.55 if female else 0.35),
            (canvas.bump(0, p[30, 1] + 0.03, 0.14, 0.12, 1.0), (1.0, 0.82, 0.80), 0.4),
            (np.minimum(sockets, 1), (0.70, 0.58, 0.58), 0.6),
            (canvas.bump(0, p[62, 1] + 0.26, 0.22, 0.05, 1.0), (0.84, 0.74, 0.72), 0.5),
        )
        albedo = np.broadcast_to(skin, (*canvas.shape, 3)).copy()
        for mask, factor, strength in tints:
            albedo += (skin * factor - albedo) * (mask * strength)[..., None]
        albedo *= 1 + 0.012 * canvas.noise(0.012)[..., None] + 0.014 * canvas.noise(0.07)[..., None]
        if female and np.mean(skin) > 190:
            freckles = np.clip(canvas.noise(0.012) - 1.9, 0, 1) * blush * 0.8
            albedo += (skin * (0.78, 0.62, 0.55) - albedo) * freckles[..., None]
        if person.beard != "none":
            self._beard(albedo)
        return albedo

    def _beard(self, albedo: np.ndarray) -> None:
        canvas, person, p = self.canvas, self.person, self.points
        lip, base, width = p[62, 1], p[33, 1], -p[0, 0]
        cheek = np.array(
            [(1.08 * width, 0.30), (0.92, 0.62), (0.62, 0.98), (0.44, 1.06), (0.24, base + 0.07)]
        )
        lower = np.concatenate([mirrored(cheek), [(-1.1, 2.1), (1.1, 2.1)]])
        moustache = [(0, base + 0.06), (0.34, base + 0.08), (0.42, lip + 0.05)]
        upper = canvas.area(mirrored(np.array(moustache)), 0.03)
        mask = np.maximum(canvas.area(lower, 0.06), upper)
        speckle = np.clip(0.55 + 0.45 * canvas.noise(0.010), 0, 1)
        cover = {
            "stubble": mask * speckle * 0.42,
            "full": mask * (0.75 + 0.2 * speckle),
            "moustache": upper * (0.65 + 0.3 * speckle),
        }[person.beard]
        cover = cover * (1 - 0.8 * canvas.area(p[48:60], 0.04))
        strands: float | np.ndarray = 1.0
        if person.beard != "stubble":
            strands = np.clip(0.9 + 0.25 * canvas.streaks(), 0.2, 1.5)[..., None]
        albedo += (np.array(person.hair, np.float32) * 0.85 * strands - albedo) * cover[..., None]

    def _nostrils(self) -> None:
        canvas, wing, base = self.canvas, self.points[35, 0], self.points[33, 1]
        for side in (-1, 1):
            hole = circle(30) * (0.050, 0.024) + np.array([side * wing * 0.50, base - 0.035])
            canvas.darken(canvas.area(hole, 0.012), 0.60)
            around = [(-0.03, -0.18), (0.02, -0.09), (-0.01, -0.01), (-0.09, 0.005)]
            fold = (np.array([wing, base]) + around) * (side, 1)
            canvas.darken(canvas.ridge(fold, 0.018), 0.28)
        canvas.darken(canvas.bump(0, base + 0.025, 0.13, 0.022, 1.0), 0.12)

    def _ears(self) -> None:
        canvas, width = self.canvas, -self.points[0, 0]
        skin = np.array(self.person.skin, np.float32) * np.array((0.86, 0.72, 0.70), np.float32)
        for side in (-1, 1):
            middle = np.array([side * (width + 0.035), 0.20])
            shell = canvas.area(circle() * (0.13, 0.31) + middle, 0.012)
            hollow = canvas.area(circle() * (0.06, 0.18) + middle + np.array([0, -0.02]), 0.03)
            lit = 1.0 if side * self.key[0] > 0 else 0.82
            canvas.over(shell, skin * lit * (1 - 0.38 * hollow[..., None]))

    def room(self, size: tuple[int, int], unit: float, centre: np.ndarray) -> np.ndarray:
        """Return the wall with neck and shoulders before it, uint8 (H, W, 3)."""
        chin = self.points[8, 1]
        return Room(self.person, size, unit, centre, chin, self.key, self._tone).paint()
