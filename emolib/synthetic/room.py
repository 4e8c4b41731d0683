"""What stands behind the head of a synthetic portrait: wall, neck and shoulders."""

import cv2
import numpy as np

from emolib.synthetic.canvas import filled, mirrored, spline, stroked
from emolib.synthetic.person import Person
from emolib.synthetic.tables import table

_OUTLINES = table("room")
_FINE = 2  # drawn this many times larger, then reduced


class Room:
    """Paint the plate of `person`: everything that keeps still while the head moves.

    Parameters
    ----------
    size
        Width and height of the picture in pixels.
    unit
        Pixels for each face unit.
    centre
        Where the point between the eyes is, in pixels.
    chin
        Height of the chin in face units.
    key
        Direction towards the light (3).
    tone
        Function (albedo, light) → lit skin.
    """

    def __init__(self, person: Person, size, unit, centre, chin, key, tone):
        self.person, self.size, self.unit, self.centre = person, size, unit, centre
        self.chin, self.side, self.tone = chin, np.sign(key[0]), tone
        width, height = size[0] * _FINE, size[1] * _FINE
        self.x = ((np.arange(width) / _FINE - centre[0]) / unit).astype(np.float32)[None]
        self.y = ((np.arange(height) / _FINE - centre[1]) / unit).astype(np.float32)[:, None]
        male = person.sex == "male"
        self.neck, self.slope = (0.74, 3.2) if male else (0.56, 2.7)
        self.collar = chin + (0.50 if male else 0.62)

    def paint(self) -> np.ndarray:
        """Return the plate, uint8 (H, W, 3)."""
        x, y = self.x, self.y
        glow = np.exp(-0.5 * ((x + 0.8 * self.side) ** 2 / 9 + (y + 0.3) ** 2 / 7))
        wall = np.array(self.person.wall, np.float32)
        self.image = wall * (0.70 + 0.34 * glow)[..., None]
        self._body()
        self._shirt()
        small = cv2.resize(np.clip(self.image, 0, 255), self.size, interpolation=cv2.INTER_AREA)
        return small.round().astype(np.uint8)

    def _area(self, points: np.ndarray, soft: float) -> np.ndarray:
        mask = filled((self.y.size, self.x.size), self._pixels(points))
        return cv2.GaussianBlur(mask, (0, 0), max(0.6, soft * self.unit * _FINE)) / np.float32(255)

    def _pixels(self, points: np.ndarray) -> np.ndarray:
        return (points * self.unit + self.centre) * _FINE

    def _outline(self, name: str) -> np.ndarray:
        """Return the curve through the points of an outline in the table, (n, 2)."""
        lengths = {"neck": self.neck, "slope": self.slope, "chin": self.chin, "one": 1.0}
        lengths["collar"] = self.collar
        points = [
            [sum(share * lengths[of] for of, share in place.items()) for place in point]
            for point in _OUTLINES[name]
        ]
        return spline(np.array(points))

    def _lay(self, mask: np.ndarray, colour: np.ndarray) -> None:
        self.image += (colour - self.image) * mask[..., None]

    def _body(self) -> None:
        x, y, neck, chin = self.x, self.y, self.neck, self.chin
        body = mirrored(self._outline("body"))
        on_the_wall = self._area(body + np.array([-0.25 * self.side, 0.08]), 0.20)
        self.image *= 1 - 0.10 * on_the_wall[..., None]

        curve = np.clip(1 - (x / (neck * 1.25)) ** 2, 0, 1)
        light = (0.52 + 0.42 * curve) * (1 + 0.16 * self.side * np.clip(x, -1, 1))
        under_chin = 1 / (1 + np.exp((y - chin - 0.34 + 0.10 * x**2) / 0.07))
        tendon = np.exp(-0.5 * ((np.abs(x) - 0.16 - 0.32 * (chin + 0.75 - y)) / 0.05) ** 2)
        light = light * (1 - 0.42 * under_chin) * (1 + 0.05 * tendon) + 0.16
        skin = np.broadcast_to(np.array(self.person.skin, np.float32), (*light.shape, 3))
        self._lay(self._area(body, 0.006), self.tone(skin, light.astype(np.float32)))

    def _shirt(self) -> None:
        x, y, collar = self.x, self.y, self.collar
        edge, outside = mirrored(self._outline("collar")), self._outline("shirt")
        folds = 1 + 0.10 * np.cos(x * 3.1 + 0.8 * y) * np.clip(y - collar, 0, 1)
        glow = -0.5 * ((x - 0.9 * self.side) / 1.1) ** 2 - 0.5 * ((y - collar - 0.5) / 0.7) ** 2
        cloth = np.array(self.person.shirt, np.float32)
        shirt = np.concatenate([outside[::-1], edge, outside * (-1, 1)])
        self._lay(
            self._area(shirt, 0.008), cloth * ((0.80 + 0.45 * np.exp(glow)) * folds)[..., None]
        )
        hem = stroked((y.size, x.size), [self._pixels(edge)], 0.05 * self.unit * _FINE)
        self._lay(cv2.GaussianBlur(hem, (0, 0), 0.8) * np.float32(0.8 / 255), cloth * 0.72)
