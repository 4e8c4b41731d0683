"""Two surfaces to paint a portrait on: a still one in layers, and a window of it for each frame.

Positions and lengths are in face units (the distance between the pupils is 1).
"""

import cv2
import numpy as np


def spline(points: np.ndarray, n: int = 8) -> np.ndarray:
    """Return a Catmull-Rom curve through `points` (m, 2), `n` steps between two of them."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = np.arange(n)[:, None] / n
    before, start, end, after = (padded[i : len(points) - 1 + i, None] for i in range(4))
    curve = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    return np.concatenate([curve.reshape(-1, 2), points[-1:]])


def circle(n: int = 40) -> np.ndarray:
    """Return `n` points on the unit circle, (n, 2), the first also the last."""
    turn = np.linspace(0, 2 * np.pi, n)
    return np.stack([np.cos(turn), np.sin(turn)], 1)


def mirrored(half: np.ndarray) -> np.ndarray:
    """Return the outline whose right half runs from top to bottom through `half` (n, 2)."""
    return np.concatenate([half, (half * (-1, 1))[::-1]])


def filled(shape: tuple[int, ...], pixels: np.ndarray) -> np.ndarray:
    """Return the mask (h, w) of a closed outline in pixels (n, 2), uint8, its edge smoothed."""
    mask = np.zeros(shape, np.uint8)
    return cv2.fillPoly(mask, [_fixed(pixels)], 255, cv2.LINE_AA, 4)


def stroked(shape: tuple[int, ...], paths: list[np.ndarray], thickness: float) -> np.ndarray:
    """Return the mask (h, w) of open lines in pixels (n, 2), uint8, at least a pixel thick."""
    mask = np.zeros(shape, np.uint8)
    lines = [_fixed(path) for path in paths]
    return cv2.polylines(mask, lines, False, 255, max(1, round(thickness)), cv2.LINE_AA, 4)


def _fixed(pixels: np.ndarray) -> np.ndarray:
    """Return pixels in fixed point with 4 fractional bits, as OpenCV wants them."""
    return np.round(pixels * 16).astype(np.int32)


class Canvas:
    """Layers of colour and cover, painted once for each person.

    Parameters
    ----------
    frame
        Left, top, right and bottom in face units.
    k
        Pixels for each face unit.
    rng
        Source of grain and stray hairs.

    Attributes
    ----------
    colour : float32 (h, w, 3)
        RGB, 0 to 255, not multiplied with the cover.
    cover : float32 (h, w)
        0 where nothing is painted, 1 where nothing shines through.
    """

    def __init__(self, frame: tuple, k: float, rng: np.random.Generator):
        left, top, right, bottom = frame
        self.k, self.rng = k, rng
        self.shape = (round((bottom - top) * k), round((right - left) * k))
        self.origin = np.array([left, top])
        self.x = (np.arange(self.shape[1]) / k + left).astype(np.float32)
        self.y = (np.arange(self.shape[0]) / k + top).astype(np.float32)
        self.colour = np.zeros((*self.shape, 3), np.float32)
        self.cover = np.zeros(self.shape, np.float32)

    def over(self, mask: np.ndarray, colour: np.ndarray) -> None:
        """Lay a colour over what is painted."""
        cover = mask + self.cover * (1 - mask)
        below = (self.cover * (1 - mask))[..., None]
        self.colour = (colour * mask[..., None] + self.colour * below) / np.maximum(cover, 1e-4)[
            ..., None
        ]
        self.cover = cover

    def darken(self, mask: np.ndarray, amount: float) -> None:
        """Shade what is painted; shadows on skin are a little warmer."""
        self.colour *= 1 - amount * mask[..., None] * np.array((0.85, 1, 1.05), np.float32)

    def pixels(self) -> np.ndarray:
        """Return uint8 (h, w, 4): colour multiplied with the cover, and the cover."""
        colour = np.clip(self.colour, 0, 255) * self.cover[..., None]
        return np.dstack([colour, self.cover * 255]).round().astype(np.uint8)

    def area(self, outline, soft: float = 0.01) -> np.ndarray:
        """Return the mask (h, w) of a closed outline, 0 to 1, its edge blurred by `soft`."""
        mask = filled(self.shape, (np.asarray(outline) - self.origin) * self.k)
        return self.blur(mask.astype(np.float32) / 255, soft)

    def blur(self, image, sigma: float) -> np.ndarray:
        """Blur an image (h, w) by `sigma` face units."""
        return cv2.GaussianBlur(image, (0, 0), sigma * self.k) if sigma * self.k > 0.3 else image

    def bump(self, x, y, wide, high, amount) -> np.ndarray:
        """Return a Gaussian hill (h, w) at (x, y) of height `amount`."""
        across = np.exp(-0.5 * ((self.x - x) / wide) ** 2)
        down = np.exp(-0.5 * ((self.y - y) / high) ** 2)
        return np.float32(amount) * down[:, None] * across[None]

    def ridge(self, path, width: float) -> np.ndarray:
        """Return a soft line of height 1 along `path` in face units, or a blob at a point."""
        path = np.asarray(path, float)
        if len(path) == 1:
            return self.bump(path[0, 0], path[0, 1], width, width, 1.0)
        mask = np.zeros(self.shape, np.float32)
        pixels = _fixed((spline(path) - self.origin) * self.k)
        cv2.polylines(mask, [pixels], False, 1.0, max(1, round(width * self.k)), cv2.LINE_AA, 4)
        mask = self.blur(mask, width)
        return mask / max(float(mask.max()), 1e-6)

    def noise(self, sigma: float) -> np.ndarray:
        """Return smooth noise (h, w), mean 0, sd 1, with grains of size `sigma`."""
        noise = self.blur(self.rng.standard_normal(self.shape).astype(np.float32), sigma)
        return noise / noise.std()

    def streaks(self) -> np.ndarray:
        """Return short vertical streaks, mean 0 and sd 1."""
        noise = self.rng.standard_normal(self.shape).astype(np.float32)
        streaks = cv2.GaussianBlur(noise, (0, 0), sigmaX=0.011 * self.k, sigmaY=0.07 * self.k)
        return streaks / streaks.std()

    def ragged(self, mask: np.ndarray, amount: float, scale: float = 0.03) -> np.ndarray:
        """Fray the edge of a mask."""
        soft = self.blur(mask, amount)
        threshold = 0.5 + np.clip(0.20 * self.noise(scale), -0.35, 0.35)
        return self.blur(
            np.clip((soft - threshold) * 7 + 0.5, 0, 1)
            * np.clip(soft * 12 - 0.6, 0, 1).astype(np.float32),
            0.008,
        )


class Patch:
    """A window of the canvas, in float, to draw on with soft masks."""

    def __init__(self, canvas: np.ndarray, origin: np.ndarray, k: float, box: tuple):
        left, top, right, bottom = box
        height, width = canvas.shape[:2]
        x0, y0 = np.floor((np.array([left, top]) - origin) * k).astype(int)
        x1, y1 = np.ceil((np.array([right, bottom]) - origin) * k).astype(int)
        self.rows = slice(max(y0, 0), min(y1, height))
        self.columns = slice(max(x0, 0), min(x1, width))
        self.canvas, self.k = canvas, k
        self.corner = origin + np.array([self.columns.start, self.rows.start]) / k
        self.colour = canvas[self.rows, self.columns, :3].astype(np.float32)
        self.shape = self.colour.shape[:2]

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Return face units as pixels of the window."""
        return (points - self.corner) * self.k

    def area(self, outline: np.ndarray, soft: float = 0.0) -> np.ndarray:
        """Return the mask of a closed outline, 0 to 1, its edge blurred by `soft` units."""
        return self._soften(filled(self.shape, self.pixels(outline)), soft)

    def lines(self, paths: list[np.ndarray], width: float, soft: float = 0.0) -> np.ndarray:
        """Return the mask of open lines `width` units thick."""
        mask = stroked(self.shape, [self.pixels(path) for path in paths], width * self.k)
        faint = min(1.0, width * self.k)  # a line thinner than a pixel is a fainter pixel
        return self._soften(mask, soft) * np.float32(faint)

    def _soften(self, mask: np.ndarray, soft: float) -> np.ndarray:
        if soft * self.k > 0.3:
            mask = cv2.GaussianBlur(mask, (0, 0), soft * self.k)
        return mask.astype(np.float32) * np.float32(1 / 255)

    def paint(self, mask: np.ndarray, colour, opacity: float = 1.0) -> None:
        """Cover the window with `colour` where the mask is."""
        self.colour += (np.asarray(colour, np.float32) - self.colour) * (
            mask * np.float32(opacity)
        )[..., None]

    def shade(self, mask: np.ndarray, factor) -> None:
        """Multiply the window by `factor` where the mask is 1."""
        self.colour *= 1 + (np.asarray(factor, np.float32) - 1) * mask[..., None]

    def keep(self) -> None:
        """Write the window back to the canvas."""
        np.clip(self.colour, 0, 255, out=self.colour)
        self.canvas[self.rows, self.columns, :3] = self.colour
