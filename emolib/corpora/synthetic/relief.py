"""The still part of a synthetic portrait: skin as a lit height field, hair, neck and room."""

import numpy as np

from emolib.corpora.synthetic.person import Person

# Folds that an action unit adds to the relief: (path on the left half, width, depth); a depth
# below zero is a groove, above zero a bulge. The right half mirrors them.
_FOLDS = {
    "1": [([(-0.30, -0.62), (0.0, -0.60)], 0.030, -0.016),
          ([(-0.34, -0.76), (0.0, -0.74)], 0.030, -0.014)],
    "2": [([(-0.80, -0.60), (-0.55, -0.68), (-0.25, -0.64)], 0.030, -0.015),
          ([(-0.72, -0.76), (-0.5, -0.82), (-0.25, -0.79)], 0.030, -0.013)],
    "4": [([(-0.085, -0.46), (-0.065, -0.20)], 0.026, -0.030),
          ([(-0.17, -0.42), (-0.13, -0.28)], 0.05, 0.022),
          ([(-0.80, -0.13), (-0.45, -0.14), (-0.22, -0.08)], 0.06, -0.035)],
    "6": [([(-0.72, 0.17), (-0.50, 0.22), (-0.30, 0.17)], 0.028, -0.018),
          ([(-0.86, -0.06), (-0.98, -0.12)], 0.020, -0.014),
          ([(-0.87, 0.02), (-1.00, 0.02)], 0.020, -0.014),
          ([(-0.86, 0.09), (-0.97, 0.15)], 0.020, -0.012),
          ([(-0.62, 0.55)], 0.26, 0.055)],
    "7": [([(-0.70, 0.17), (-0.50, 0.20), (-0.30, 0.16)], 0.026, -0.016)],
    "9": [([(-0.14, 0.06), (0.0, 0.10)], 0.024, -0.022),
          ([(-0.15, 0.17), (0.0, 0.21)], 0.024, -0.022),
          ([(-0.19, 0.26), (-0.10, 0.36)], 0.022, -0.018),
          ([(-0.28, 0.66), (-0.36, 0.84), (-0.47, 1.02)], 0.045, -0.040),
          ([(-0.40, 0.62)], 0.14, 0.040)],
    "10": [([(-0.28, 0.70), (-0.38, 0.88), (-0.48, 1.06)], 0.042, -0.035),
           ([(-0.46, 0.74)], 0.15, 0.035)],
    "11": [([(-0.29, 0.76), (-0.39, 0.92), (-0.46, 1.06)], 0.042, -0.030)],
    "12": [([(-0.29, 0.74), (-0.44, 0.92), (-0.53, 1.12), (-0.54, 1.25)], 0.045, -0.048),
           ([(-0.63, 0.72)], 0.24, 0.070),
           ([(-0.60, 1.24)], 0.05, -0.02)],
    "14": [([(-0.50, 1.16), (-0.52, 1.30)], 0.035, -0.045),
           ([(-0.58, 1.22)], 0.08, 0.030)],
    "15": [([(-0.47, 1.28), (-0.50, 1.44)], 0.035, -0.040),
           ([(-0.29, 0.78), (-0.40, 0.96), (-0.47, 1.12)], 0.045, -0.020)],
    "17": [([(-0.16, 1.50), (0.0, 1.47)], 0.035, -0.030),
           ([(0.0, 1.64)], 0.12, 0.035)],
    "20": [([(-0.30, 0.80), (-0.46, 0.98), (-0.58, 1.2)], 0.045, -0.022),
           ([(-0.62, 1.18), (-0.63, 1.36)], 0.04, -0.024)],
    "23": [([(-0.24, 1.46), (0.0, 1.48)], 0.05, -0.028),
           ([(-0.30, 1.02), (0.0, 1.02)], 0.05, 0.012)],
    "26": [([(-0.36, 0.86), (-0.47, 1.05), (-0.52, 1.3)], 0.06, -0.020),
           ([(-0.74, 0.95)], 0.16, -0.045)],
}  # fmt: skip


class Relief:
    """Paint the still part of `person` on a canvas of `k` pixels for each face unit.

    Attributes
    ----------
    head : uint8 (h, w, 4)
        Skin, ears, hair and beard, colour premultiplied with alpha.
    depth : float32 (h, w)
        Height of the head above the plane of the ears, in face units.
    """

    def __init__(self, person: Person, frame: tuple, k: float, light: tuple[float, float]):
        self.person, self.k, self.frame = person, k, frame
        left, top, right, bottom = frame
        self.shape = (round((bottom - top) * k), round((right - left) * k))
        self.x = (np.arange(self.shape[1]) / k + left).astype(np.float32)
        self.y = (np.arange(self.shape[0]) / k + top).astype(np.float32)
        self.origin = np.array([left, top])
        self.rng = np.random.default_rng([person.actor, 17])
        right_of, above = np.radians(light)
        self.key = np.array(
            [np.sin(right_of) * np.cos(above), -np.sin(above), np.cos(right_of) * np.cos(above)]
        )
        self.points = person.shape.neutral()
        self._outline()
        self._heights()
        self._paint_head()

    # -- masks and bumps -----------------------------------------------------------------------

    def _area(self, outline, soft: float = 0.01) -> np.ndarray:
        import cv2

        mask = np.zeros(self.shape, np.uint8)
        pixels = np.round((np.asarray(outline) - self.origin) * self.k * 16).astype(np.int32)
        cv2.fillPoly(mask, [pixels], 255, cv2.LINE_AA, 4)
        return self._blur(mask.astype(np.float32) / 255, soft)

    def _blur(self, image, sigma: float) -> np.ndarray:
        import cv2

        return cv2.GaussianBlur(image, (0, 0), sigma * self.k) if sigma * self.k > 0.3 else image

    def _bump(self, x, y, wide, high, amount) -> np.ndarray:
        across = np.exp(-0.5 * ((self.x - x) / wide) ** 2)
        down = np.exp(-0.5 * ((self.y - y) / high) ** 2)
        return np.float32(amount) * down[:, None] * across[None]

    def _ridge(self, path, width: float) -> np.ndarray:
        """Return a soft line of height 1 along `path` in face units, or a blob at a point."""
        import cv2

        path = np.asarray(path, float)
        if len(path) == 1:
            return self._bump(*path[0], width, width, 1.0)
        from emolib.corpora.synthetic.face import spline

        mask = np.zeros(self.shape, np.float32)
        pixels = np.round((spline(path) - self.origin) * self.k * 16).astype(np.int32)
        cv2.polylines(mask, [pixels], False, 1.0, max(1, round(width * self.k)), cv2.LINE_AA, 4)
        mask = self._blur(mask, width)
        # Both ends fade out.
        return mask / max(float(mask.max()), 1e-6)

    def _noise(self, sigma: float, rng=None) -> np.ndarray:
        rng = rng or self.rng
        noise = self._blur(rng.standard_normal(self.shape).astype(np.float32), sigma)
        return noise / noise.std()

    # -- relief --------------------------------------------------------------------------------

    def _outline(self) -> None:
        from emolib.corpora.synthetic.face import spline

        jaw = self.points[:17]
        width = -jaw[0, 0]
        skull = np.array([(1.0, -0.42), (0.92, -0.84), (0.68, -1.2), (0.36, -1.39), (0, -1.45)])
        skull = np.concatenate([skull, (skull * (-1, 1))[-2::-1]]) * (width, 1)
        ring = np.concatenate([jaw, skull])
        self.outline = spline(np.concatenate([ring, ring[:1]]), 8)
        self.skin_mask = self._area(self.outline, 0.008)

    def _heights(self) -> None:
        import cv2

        inside = (self._area(self.outline, 0) * 255).astype(np.uint8)
        distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5) / self.k
        rim = np.clip(distance / 0.55, 0, 1)
        body = 0.42 * np.sqrt(np.clip(1 - (1 - rim) ** 2, 0, 1))
        dome = 0.40 * np.clip(
            1 - (self.x[None] / 1.2) ** 2 - ((self.y[:, None] - 0.2) / 2) ** 2, 0, 1
        )
        skull = self._blur((body + dome).astype(np.float32), 0.07)

        p = self.points
        tip, base, wing = p[30], p[33], p[35, 0]
        h = skull.copy()
        for s in (-1, 1):
            h += self._bump(s * 0.46, -0.27, 0.30, 0.10, 0.060)  # ridge over the eyes
            h += self._bump(s * 0.48, 0.02, 0.22, 0.13, -0.135)  # sockets
            h += self._bump(s * 0.22, 0.02, 0.09, 0.13, -0.10)  # inner corners
            h += self._bump(s * 0.50, 0.03, 0.17, 0.10, 0.060)  # the balls in them
            h += self._bump(s * 0.64, 0.52, 0.26, 0.20, 0.085)  # cheekbones
            h += self._bump(s * 0.62, 1.05, 0.18, 0.24, -0.045)  # hollows
            h += self._bump(s * (wing - 0.06), base[1] - 0.09, 0.065, 0.065, 0.085)  # wings
            h += self._bump(s * 0.95, -0.45, 0.12, 0.25, -0.05)  # temples
            h += self._bump(s * 0.33, 0.80, 0.06, 0.12, -0.035)
        bridge = np.clip((self.y - 0.0) / max(tip[1], 0.1), 0, 1.25)[:, None]
        across = 0.072 + 0.045 * bridge
        rise = 0.06 + 0.25 * np.clip(bridge, 0, 1) ** 1.1
        under = 1 / (1 + np.exp((self.y - base[1] + 0.05) / 0.05))[:, None]
        over = 1 / (1 + np.exp(-(self.y + 0.12) / 0.07))[:, None]
        h += (rise * np.exp(-0.5 * (self.x[None] / across) ** 2) * under * over).astype(np.float32)
        h += self._bump(0, tip[1] + 0.02, 0.095, 0.10, 0.10)
        lip = p[62, 1]
        h += self._bump(0, lip - 0.02, 0.42, 0.26, 0.11)  # muzzle
        h += self._bump(0, base[1] + 0.10, 0.030, 0.07, -0.022)  # philtrum
        h += self._bump(0, lip - 0.07, 0.24, 0.045, 0.020)
        h += self._bump(0, lip + 0.10, 0.20, 0.055, 0.038)
        h += self._bump(0, lip + 0.27, 0.24, 0.055, -0.060)  # under the lip
        h += self._bump(0, p[8, 1] - 0.16, 0.22, 0.15, 0.085)  # chin
        self.height = h
        self.depth = (skull + 0.8 * (h - skull)).astype(np.float32) - 0.25

    def _light(self, height: np.ndarray) -> np.ndarray:
        """Return how bright white skin of this height would be, (h, w), about 0.3 to 1.3."""
        dy, dx = np.gradient(height, 1 / self.k)
        length = np.sqrt(dx**2 + dy**2 + 1)
        key = (-dx * self.key[0] - dy * self.key[1] + self.key[2]) / length
        fill = (dx * self.key[0] * 0.8 + 0.25 * -dy + 0.75) / length
        hollow = height - self._blur(height, 0.16)
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
        skin = self._blur(self.skin_mask * (1 - self.hair_mask), 0.02)
        changes, units = [], []
        for unit, parts in _FOLDS.items():
            for side, sign in (("L", 1), ("R", -1)):
                extra = np.zeros(self.shape, np.float32)
                for path, width, amount in parts:
                    extra += amount * self._ridge(np.asarray(path, float) * (sign, 1), width)
                change = (self._light(self.height + extra) / self.lit - 1) * skin
                changes.append(change[rows, columns])
                units.append(unit + side)
        return np.stack(changes).astype(np.float32), units, (rows, columns)

    # -- skin, hair ----------------------------------------------------------------------------

    def _paint_head(self) -> None:
        person = self.person
        self.lit = self._light(self.height)
        skin = np.array(person.skin, np.float32)
        self.colour = np.zeros((*self.shape, 3), np.float32)
        self.alpha = np.zeros(self.shape, np.float32)
        self.hair_mask = np.zeros(self.shape, np.float32)
        self._back_hair()
        self._ears(skin)
        albedo = self._albedo(skin)
        self._over(self.skin_mask, self._tone(albedo, self.lit))
        self._nostrils()
        self._front_hair()
        colour = np.clip(self.colour, 0, 255) * self.alpha[..., None]
        self.head = np.dstack([colour, self.alpha * 255]).round().astype(np.uint8)

    def _over(self, mask: np.ndarray, colour: np.ndarray) -> None:
        """Lay a colour over what is painted, keeping straight (not premultiplied) colour."""
        alpha = mask + self.alpha * (1 - mask)
        safe = np.maximum(alpha, 1e-4)[..., None]
        self.colour = (
            colour * mask[..., None] + self.colour * (self.alpha * (1 - mask))[..., None]
        ) / safe
        self.alpha = alpha

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
        person, p = self.person, self.points
        albedo = np.broadcast_to(skin, (*self.shape, 3)).copy()

        def tint(mask, colour, amount):
            nonlocal albedo
            albedo += (skin * colour - albedo) * (mask * amount)[..., None]

        blush = sum(self._bump(s * 0.66, 0.58, 0.24, 0.20, 1.0) for s in (-1, 1))
        tint(blush, (1.0, 0.80, 0.78), 0.55 if person.sex == "female" else 0.35)
        tint(self._bump(0, p[30, 1] + 0.03, 0.14, 0.12, 1.0), (1.0, 0.82, 0.80), 0.4)
        sockets = sum(
            self._bump(s * 0.47, 0.0, 0.26, 0.14, 1.0) + self._bump(s * 0.27, 0.02, 0.08, 0.12, 0.6)
            for s in (-1, 1)
        )
        tint(np.minimum(sockets, 1), (0.72, 0.60, 0.60), 0.55)
        chin_shade = self._bump(0, p[62, 1] + 0.26, 0.22, 0.05, 1.0)
        tint(chin_shade, (0.84, 0.74, 0.72), 0.5)
        albedo *= 1 + 0.012 * self._noise(0.012)[..., None] + 0.014 * self._noise(0.07)[..., None]
        if person.sex == "female" and np.mean(skin) > 190:
            freckles = np.clip(self._noise(0.012) - 1.9, 0, 1) * blush
            tint(freckles, (0.78, 0.62, 0.55), 0.8)
        if person.beard != "none":
            self._beard(albedo)
        return albedo

    def _beard(self, albedo: np.ndarray) -> None:
        person, p = self.person, self.points
        lip, base = p[62, 1], p[33, 1]
        width = -p[0, 0]
        cheek = np.array([(-1.08 * width, 0.30), (-0.92, 0.62), (-0.62, 0.98), (-0.44, 1.06)])
        area = np.concatenate(
            [cheek, [(-0.24, base + 0.07), (0.24, base + 0.07)], (cheek * (-1, 1))[::-1]]
            + [[(1.1, 2.1), (-1.1, 2.1)]]
        )
        mask = self._area(area, 0.06)
        upper = self._area([(-0.42, lip + 0.05), (-0.34, base + 0.08), (0, base + 0.06),
                            (0.34, base + 0.08), (0.42, lip + 0.05)], 0.03)  # fmt: skip
        hair = np.array(person.hair, np.float32)
        speckle = np.clip(0.55 + 0.45 * self._noise(0.010), 0, 1)
        strands = np.clip(0.9 + 0.25 * self._streaks(), 0.2, 1.5)
        if person.beard == "stubble":
            cover, colour = np.maximum(mask, upper) * speckle * 0.42, hair * 0.8
        elif person.beard == "full":
            cover, colour = np.maximum(mask, upper) * (0.75 + 0.2 * speckle), hair * 0.9
        else:
            cover, colour = upper * (0.65 + 0.3 * speckle), hair * 0.85
        lower_lip = self._area(self.points[48:60], 0.04)
        cover = np.clip(cover * (1 - 0.8 * lower_lip), 0, 1)
        paint = colour * strands[..., None] if person.beard != "stubble" else colour
        albedo += (paint - albedo) * cover[..., None]

    def _streaks(self) -> np.ndarray:
        """Return short vertical streaks, mean 0 and sd 1."""
        import cv2

        noise = self.rng.standard_normal(self.shape).astype(np.float32)
        noise = cv2.GaussianBlur(noise, (0, 0), sigmaX=0.011 * self.k, sigmaY=0.07 * self.k)
        return noise / noise.std()

    def _nostrils(self) -> None:
        p = self.points
        wing, base = p[35, 0], p[33, 1]
        turn = np.linspace(0, 2 * np.pi, 30)
        ring = np.stack([np.cos(turn), np.sin(turn)], 1)
        for s in (-1, 1):
            hole = self._area(
                np.array([s * wing * 0.50, base - 0.035]) + ring * (0.050, 0.024), 0.012
            )
            self.colour *= 1 - 0.60 * hole[..., None] * np.array((0.92, 1, 1))
            around = np.array([(wing - 0.03, base - 0.18), (wing + 0.02, base - 0.09),
                               (wing - 0.01, base - 0.01), (wing - 0.09, base + 0.005)])  # fmt: skip
            crease = self._ridge(around * (s, 1), 0.018)
            self.colour *= 1 - 0.28 * crease[..., None] * np.array((0.8, 1, 1.05))
        under = self._bump(0, base + 0.025, 0.13, 0.022, 1.0)
        self.colour *= 1 - 0.12 * under[..., None] * np.array((0.8, 1, 1.05))

    def _ears(self, skin: np.ndarray) -> None:
        width = -self.points[0, 0]
        turn = np.linspace(0, 2 * np.pi, 40)
        ring = np.stack([np.cos(turn), np.sin(turn)], 1)
        for s in (-1, 1):
            middle = np.array([s * (width + 0.035), 0.20])
            shell = self._area(middle + ring * (0.13, 0.31), 0.012)
            hollow = self._area(middle + (s * 0.005, -0.02) + ring * (0.06, 0.18), 0.03)
            tone = skin * (0.86, 0.72, 0.70) * (1.0 if s * self.key[0] > 0 else 0.82)
            self._over(shell, tone * (1 - 0.38 * hollow[..., None]))

    # -- hair ----------------------------------------------------------------------------------

    def _strands(self, crown: tuple[float, float], curl: float = 0.0) -> np.ndarray:
        """Return hair brightness (h, w) about 1: strands that run away from `crown`."""
        import cv2

        dx, dy = self.x[None] - crown[0], self.y[:, None] - crown[1]
        angle = np.arctan2(dx, dy + 0.02)
        radius = np.hypot(dx, dy)
        if curl > 2.4:
            return self._curls()
        if curl:
            angle = angle + curl * (0.10 * self._noise(0.10) + 0.05 * np.sin(9 * radius))
        total = np.zeros(self.shape, np.float32)
        for strands, along, weight in ((90, 5, 0.5), (260, 9, 0.5), (34, 3, 0.55)):
            table = self.rng.standard_normal((along * 4, strands)).astype(np.float32)
            u = ((angle / np.pi + 1) / 2 * (strands - 1)).astype(np.float32)
            v = (radius / 4.5 * (along * 4 - 1)).astype(np.float32)
            total += weight * cv2.remap(table, u, v, cv2.INTER_CUBIC, None, cv2.BORDER_REFLECT)
        sheen = np.exp(-0.5 * ((radius - 0.62) / 0.20) ** 2) * (0.5 + 0.5 * np.cos(angle * 2 + 1.0))
        side = 1 + 0.14 * np.sign(self.key[0]) * np.clip(self.x, -1, 1)[None]
        return (0.80 + 0.20 * total + 0.50 * sheen) * side

    def _curls(self) -> np.ndarray:
        """Return hair brightness (h, w) about 1: tight locks, lit from the side of the key."""
        light = np.zeros(self.shape, np.float32)
        for size, weight in ((0.020, 0.13), (0.035, 0.22), (0.07, 0.20)):
            locks = 1 - np.abs(self._noise(size))
            light += weight * np.clip(locks, -1.5, 1)
        light += 0.16 * self._streaks() * 0.5
        side = 1 + 0.18 * np.sign(self.key[0]) * np.clip(self.x, -1, 1)[None]
        top = np.exp(-0.5 * ((self.y + 1.25) / 0.35) ** 2)[:, None]
        return (0.66 + light + 0.22 * top) * side

    def _ragged(self, mask: np.ndarray, amount: float, scale: float = 0.03) -> np.ndarray:
        """Fray the edge of a mask."""
        soft = self._blur(mask, amount)
        threshold = 0.5 + np.clip(0.20 * self._noise(scale), -0.35, 0.35)
        return self._blur(
            np.clip((soft - threshold) * 7 + 0.5, 0, 1)
            * np.clip(soft * 12 - 0.6, 0, 1).astype(np.float32),
            0.008,
        )

    def _hair_colour(self, light: np.ndarray) -> np.ndarray:
        hair = np.array(self.person.hair, np.float32)
        return np.clip(hair * light[..., None] + 30 * np.clip(light - 1.1, 0, 1)[..., None], 0, 255)

    def _shell(self, volume: float, bottom: float, flare: float = 0.0) -> np.ndarray:
        """Return the outline of a head of hair: `volume` outside the skull, down to `bottom`."""
        width = -self.points[0, 0]
        top = [(0, -1.45 - volume), (0.42, -1.40 - volume * 0.95), (0.80, -1.16 - volume * 0.8),
               (1.02 + volume * 0.7, -0.72 - volume * 0.35), (1.08 + volume * 0.9, -0.25)]  # fmt: skip
        down = np.linspace(0.15, 1, 5)
        side = [(1.08 + volume * 0.9 + flare * d**1.5, -0.25 + (bottom + 0.25) * d) for d in down]
        right = np.array(top + side) * (width, 1)
        from emolib.corpora.synthetic.face import spline

        right = spline(right)
        return np.concatenate([right, (right * (-1, 1))[::-1]])

    def _back_hair(self) -> None:
        cut = self.person.cut
        shapes = {
            "bob": (0.22, 1.45, 0.05),
            "fringe": (0.22, 1.75, 0.08),
            "long": (0.20, 2.50, 0.22),
            "waves": (0.24, 2.10, 0.20),
            "cloud": (0.46, 0.95, 0.0),
        }
        if self.person.sex == "male" or cut not in shapes:
            return
        volume, bottom, flare = shapes[cut]
        fray = 0.05 if cut == "cloud" else 0.022
        mask = self._ragged(self._area(self._shell(volume, bottom, flare), 0), fray)
        if cut == "cloud":
            mask = np.maximum(mask, 0)
        light = self._strands((0.0, -1.35), 2.5 if cut in ("cloud", "waves") else 0.4)
        # Under the chin the hair lies in the shadow of the head.
        shadow = 1 - 0.45 * self._bump(0, 1.3, 0.85, 0.9, 1.0)
        self._over(mask, self._hair_colour(light * shadow * 0.86))

    def _front_hair(self) -> None:
        person, width = self.person, -self.points[0, 0]
        cut = person.cut if not (person.sex == "male" and person.cut == "waves") else "sweep"
        # (volume, curl, face opening as points of the left and right half, top to bottom)
        even = {
            "short": (0.13, 0.3, [(0, -0.95), (0.45, -0.93), (0.76, -0.80), (0.90, -0.42), (0.99, -0.05), (0.99, 0.30)]),
            "crew": (0.05, 0.2, [(0, -1.02), (0.50, -0.98), (0.80, -0.80), (0.90, -0.42), (0.99, -0.05), (1.0, 0.22)]),
            "curls": (0.27, 3.0, [(0, -0.86), (0.45, -0.84), (0.78, -0.70), (0.93, -0.38), (1.0, -0.05), (1.02, 0.15)]),
            "receding": (0.05, 0.2, [(0, -1.16), (0.30, -1.20), (0.62, -1.22), (0.86, -0.72), (0.96, -0.15), (1.0, 0.22)]),
            "bob": (0.22, 0.4, [(0, -1.06), (0.30, -0.98), (0.62, -0.72), (0.86, -0.25), (0.93, 0.5), (0.93, 1.05), (1.05, 1.5)]),
            "long": (0.20, 0.5, [(0, -1.10), (0.34, -0.98), (0.66, -0.68), (0.88, -0.2), (0.95, 0.5), (0.97, 1.2), (1.15, 2.6)]),
            "waves": (0.24, 2.6, [(0, -1.06), (0.36, -0.94), (0.68, -0.66), (0.87, -0.2), (0.92, 0.5), (0.96, 1.2), (1.15, 2.3)]),
            "bun": (0.07, 0.3, [(0, -1.03), (0.45, -0.96), (0.76, -0.74), (0.92, -0.35), (1.0, -0.02), (1.05, 0.1)]),
            "fringe": (0.22, 0.3, [(0, -0.60), (0.40, -0.60), (0.74, -0.50), (0.88, -0.20), (0.93, 0.5), (0.93, 1.05), (1.05, 1.8)]),
            "cloud": (0.46, 3.2, [(0, -0.93), (0.45, -0.90), (0.76, -0.70), (0.91, -0.36), (0.98, 0.0), (1.06, 0.5)]),
        }  # fmt: skip
        from emolib.corpora.synthetic.face import spline

        if cut == "sweep":  # parted on one side, swept over the brow on the other
            volume, curl, crown = 0.20, 0.5, (-0.45, -1.35)
            right = spline(np.array([(-0.45, -1.06), (-0.1, -0.84), (0.35, -0.74), (0.74, -0.60),
                                     (0.90, -0.3), (0.99, 0.0), (0.99, 0.28)]))  # fmt: skip
            left = spline(np.array([(-0.45, -1.06), (-0.66, -0.92), (-0.82, -0.70), (-0.90, -0.38),
                                    (-0.99, -0.02), (-0.99, 0.28)]))  # fmt: skip
        else:
            volume, curl, half = even[cut]
            right = spline(np.array(half))
            left = right * (-1, 1)
            crown = (0.0, -1.42) if person.sex == "female" else (0.12, -1.30)
        right, left = right * (width, 1), left * (width, 1)
        lowest = right[-1, 1]
        closed = lowest < 0.6
        opening = np.concatenate([right, [(right[-1, 0] + (0.4 if closed else 0), lowest)],
                                  [(right[-1, 0] + (0.4 if closed else 0), 2.7)],
                                  [(left[-1, 0] - (0.4 if closed else 0), 2.7)],
                                  [(left[-1, 0] - (0.4 if closed else 0), lowest)],
                                  left[::-1]])  # fmt: skip
        shell = self._area(self._shell(volume, max(lowest, 0.32), 0.06 if lowest > 1 else 0), 0)
        fray = 0.05 if curl > 2 else 0.020
        outer = self._ragged(shell, fray, 0.05 if curl > 2 else 0.03)
        inner = self._ragged(self._area(opening, 0), fray if curl > 2 else 0.028, 0.022)
        mask = np.clip(outer * (1 - inner), 0, 1)
        if person.sex == "female" and cut == "bun":
            turn = np.linspace(0, 2 * np.pi, 40)
            knot = np.array([0, -1.62]) + np.stack([np.cos(turn), np.sin(turn)], 1) * (0.40, 0.32)
            knot = self._ragged(self._area(knot, 0), 0.02)
            self._over(knot, self._hair_colour(self._strands((0.0, -1.9), 1.5) * 0.85))
        if cut in ("crew", "receding"):
            mask = mask * 0.86
        # The hair throws a soft shadow on the brow.
        cast = self._blur(mask, 0.05) * self.skin_mask * (1 - mask)
        self.colour *= 1 - 0.42 * cast[..., None] * np.array((0.85, 1, 1.05))
        light = self._strands(crown, curl)
        edge = 1 - 0.35 * self._blur(self._area(opening, 0), 0.09)
        self._over(mask, self._hair_colour(light * edge))
        self.hair_mask = mask.astype(np.float32)

    # -- room ----------------------------------------------------------------------------------

    def room(self, size: tuple[int, int], unit: float, centre: np.ndarray) -> np.ndarray:
        """Return the wall with neck and shoulders before it, uint8 (H, W, 3)."""
        import cv2

        fine = 2
        width, height = size[0] * fine, size[1] * fine
        x = ((np.arange(width) / fine - centre[0]) / unit).astype(np.float32)[None]
        y = ((np.arange(height) / fine - centre[1]) / unit).astype(np.float32)[:, None]
        wall = np.array(self.person.wall, np.float32)
        glow = np.exp(-0.5 * ((x + 0.8 * np.sign(self.key[0])) ** 2 / 9 + (y + 0.3) ** 2 / 7))
        image = wall * (0.70 + 0.34 * glow)[..., None]

        def area(points, soft):
            mask = np.zeros((height, width), np.uint8)
            pixels = (np.asarray(points) * unit + centre) * fine
            cv2.fillPoly(mask, [np.round(pixels * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
            return cv2.GaussianBlur(mask, (0, 0), max(0.6, soft * unit * fine)) / np.float32(255)

        def lay(mask, colour):
            nonlocal image
            image = image + (colour - image) * mask[..., None]

        from emolib.corpora.synthetic.face import spline

        male = self.person.sex == "male"
        neck, slope = (0.74, 3.2) if male else (0.56, 2.7)
        chin = self.points[8, 1]
        half = spline(np.array([(neck, 0.7), (neck, chin), (neck + 0.10, chin + 0.33),
                                (neck + 0.75, chin + 0.62), (slope * 0.8, chin + 0.95),
                                (slope, chin + 1.5), (slope + 0.1, 4.5)]))  # fmt: skip
        body = np.concatenate([half, (half * (-1, 1))[::-1]])
        soft_shadow = area(body + (-0.25 * np.sign(self.key[0]), 0.08), 0.20)
        image = image * (1 - 0.10 * soft_shadow[..., None])
        skin = np.array(self.person.skin, np.float32)
        round_ = np.clip(1 - (x / (neck * 1.25)) ** 2, 0, 1)
        side = 1 + 0.16 * np.sign(self.key[0]) * np.clip(x, -1, 1)
        light = (0.52 + 0.42 * round_) * side
        under_chin = 1 / (1 + np.exp((y - chin - 0.34 + 0.10 * x**2) / 0.07))
        light = light * (1 - 0.42 * under_chin)
        tendon = np.exp(-0.5 * ((np.abs(x) - 0.16 - 0.32 * (chin + 0.75 - y)) / 0.05) ** 2)
        light = light * (1 + 0.07 * tendon)
        lay(area(body, 0.006), self._tone(np.broadcast_to(skin, (height, width, 3)),
                                          light.astype(np.float32) + 0.16))  # fmt: skip

        collar = chin + (0.50 if male else 0.62)
        ring = spline(np.array([(neck + 0.32, chin + 0.36), (neck * 0.80, collar + 0.08),
                                (neck * 0.4, collar + 0.20), (0, collar + 0.24)]))  # fmt: skip
        outside = spline(np.array([(neck + 0.30, chin + 0.36), (neck + 0.80, chin + 0.56),
                                   (slope * 0.83, chin + 0.92), (slope + 0.05, chin + 1.5),
                                   (slope + 0.15, 4.6)]))  # fmt: skip
        edge = np.concatenate([ring, (ring * (-1, 1))[::-1]])
        shirt = np.concatenate([outside[::-1], edge, outside * (-1, 1)])
        cloth = np.array(self.person.shirt, np.float32)
        folds = 1 + 0.10 * np.cos(x * 3.1 + 0.8 * y) * np.clip(y - collar, 0, 1)
        fall = (0.80 + 0.45 * np.exp(-0.5 * ((x - 0.9 * np.sign(self.key[0])) / 1.1) ** 2)
                * np.exp(-0.5 * ((y - collar - 0.5) / 0.7) ** 2))  # fmt: skip
        lay(area(shirt, 0.008), cloth * (fall * folds)[..., None])
        mask = np.zeros((height, width), np.uint8)
        pixels = np.round((edge * unit + centre) * fine * 16).astype(np.int32)
        cv2.polylines(mask, [pixels], False, 255, max(1, round(0.05 * unit * fine)), cv2.LINE_AA, 4)
        lay(cv2.GaussianBlur(mask, (0, 0), 0.8) / np.float32(255) * 0.8, cloth * 0.72)
        image = cv2.resize(
            np.clip(image, 0, 255).astype(np.float32), size, interpolation=cv2.INTER_AREA
        )
        return image.round().astype(np.uint8)
