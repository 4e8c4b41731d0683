"""Find the face in each frame and cut it out.

Two detectors: the Haar cascade (Viola & Jones; Ding, section III.A.1) for 64×64 grey crops,
and MTCNN (Zhang et al.; Lu, section III.A.1, and Yang) for 224×224 colour crops. MTCNN runs on
all frames of a clip at once, shrunk, with a smallest face that suits a talking head; its image
pyramid keeps the scales it would have at full resolution, so that the boxes stay the same.
"""

import math
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from emolib.features import video
from emolib.features.store import FeatureProblem, FeatureRecipe, parse_augmentation

#: Factor between the levels of MTCNN's image pyramid, and its smallest face at full size.
_PYRAMID, _SMALLEST = 0.709, 20.0
#: Fraction of the frame's shorter side below which a talking head is not looked for.
_TALKING_HEAD = 0.1
#: The same for a first, quick search with Haar; what it finds counts from `_CERTAIN` times that on.
_CLOSE_UP, _CERTAIN = 0.2, 1.3
#: MTCNN works on so many frames at once; more would only cost memory.
_BATCH = 8


@dataclass(frozen=True)
class FaceBox:
    """A detected face.

    Parameters
    ----------
    box
        left, top, right, bottom in pixels of the image.
    probability
        MTCNN's probability; for Haar the sum of the last stage's weights, which is a score
        without an upper end.
    points
        MTCNN's eyes (left and right in the image), nose and corners of the mouth: (5, 2).
    """

    box: tuple[float, float, float, float]
    probability: float
    points: np.ndarray | None = field(default=None, compare=False)

    @property
    def side(self) -> float:
        """The longer side of the box, in pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])

    @property
    def centre(self) -> np.ndarray:
        """The centre of the box: (x, y)."""
        return np.array([self.box[0] + self.box[2], self.box[1] + self.box[3]]) / 2


def haar_faces(image: np.ndarray, *, max_side: int = 1024, min_face: float = 24) -> list[FaceBox]:
    """Find all faces with OpenCV's frontal Haar cascade, the largest first.

    Parameters
    ----------
    image
        uint8, (height, width) grey or (height, width, 3) RGB.
    max_side
        A larger image is shrunk to this longer side first.
    min_face
        Smallest face, in pixels of `image`.
    """
    import cv2

    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    grey, scale = _shrunk(grey, max_side)
    smallest = max(24, round(min_face * scale))
    boxes, _, scores = _haar(threading.get_ident()).detectMultiScale3(
        grey, 1.1, 5, minSize=(smallest, smallest), outputRejectLevels=True
    )
    faces = [
        FaceBox((x / scale, y / scale, (x + w) / scale, (y + h) / scale), float(score))
        for (x, y, w, h), score in zip(boxes, np.ravel(scores), strict=True)
    ]
    return sorted(faces, key=lambda face: -face.side)


def mtcnn_faces(
    images: np.ndarray | Sequence[np.ndarray],
    *,
    max_side: int | None = 640,
    min_face: float = _SMALLEST,
    device: str = "cpu",
) -> list[list[FaceBox]]:
    """Find all faces of many equally large images at once with MTCNN, the largest first.

    Parameters
    ----------
    images
        uint8 RGB images, (n, height, width, 3), or a list of such of one size.
    max_side
        Larger images are shrunk to this longer side first (None: never).
    min_face
        Smallest face, in pixels of the images as given. It is rounded up to a level of the
        pyramid that MTCNN has at full size, which keeps the boxes the same.
    device
        A torch device.

    Returns
    -------
    list of list of FaceBox
        One list for each image; empty where there is no face.
    """
    smallest = _SMALLEST
    while smallest * (1 + 1e-6) < min_face:
        smallest /= _PYRAMID
    per_image = []
    for start in range(0, len(images), _BATCH):
        batch = [_shrunk(image, max_side) for image in images[start : start + _BATCH]]
        if len({image.shape for image, _ in batch}) > 1:
            raise ValueError("mtcnn_faces needs images of one size: give them one by one")
        scale = batch[0][1]
        # 12 pixels is the first network's window: a smaller face cannot be seen in it.
        detector = _mtcnn(threading.get_ident(), max(12.0, smallest * scale), device)
        boxes, probabilities, points = detector.detect(
            np.stack([image for image, _ in batch]), landmarks=True
        )
        for box, probability, point in zip(boxes, probabilities, points, strict=True):
            faces = []
            if box is not None:
                for b, p, q in zip(box, probability, point, strict=True):
                    left, top, right, bottom = (float(edge) / scale for edge in b)
                    points_of_face = np.asarray(q, np.float32) / scale
                    faces.append(FaceBox((left, top, right, bottom), float(p), points_of_face))
            per_image.append(sorted(faces, key=lambda face: -face.side))
    return per_image


def track(candidates: Sequence[Sequence[FaceBox]]) -> list[FaceBox | None]:
    """Follow the most prominent face of a clip through its frames.

    From each detection a chain goes both ways, taking in each frame the candidate nearest to
    where the face was last seen; one that is more than a face's width away, or beyond half or
    double the size, is somebody else or a false alarm. The chain whose faces' sides add up to
    most is the speaker's: somebody large who passes by, or one false alarm, adds up to little.

    Returns
    -------
    list
        The face in each frame, None where it was not found.
    """
    best: list[FaceBox | None] = [None] * len(candidates)
    chained: set[int] = set()
    for at, faces in enumerate(candidates):
        for start in _plausible(faces):
            if id(start) not in chained:
                chain = _chain(candidates, at, start)
                chained.update(id(face) for face in chain if face is not None)
                best = max(best, chain, key=lambda c: sum(face.side for face in c if face))
    return best


def _chain(
    candidates: Sequence[Sequence[FaceBox]], at: int, start: FaceBox
) -> list[FaceBox | None]:
    chain: list[FaceBox | None] = [None] * len(candidates)
    chain[at] = start
    for order in (range(at + 1, len(candidates)), range(at - 1, -1, -1)):
        last = start
        for i in order:
            near = [face for face in candidates[i] if _same_face(last, face)]
            if near:
                last = min(near, key=lambda face: math.dist(face.centre, last.centre))
                chain[i] = last
    return chain


def _same_face(one: FaceBox, other: FaceBox) -> bool:
    near = math.dist(one.centre, other.centre) <= max(one.side, other.side)
    return near and 0.5 <= other.side / one.side <= 2.0


def crop(
    image: np.ndarray, face: FaceBox, size: int, *, margin: float = 0.0, align: bool = False
) -> np.ndarray:
    """Cut a square around a face and bring it to size × size pixels.

    Parameters
    ----------
    image
        uint8, (height, width) or (height, width, 3).
    face
        Where it is. The square has the longer side of the box, and the same centre.
    margin
        Widens the square by this fraction of its side. Beyond the image its edge is repeated.
    align
        Turn the square so that the eyes lie level (faces found by MTCNN only).
    """
    import cv2

    side = max(2, round(face.side * (1 + margin)))
    centre = face.centre
    angle = 0.0
    if align:
        if face.points is None:
            raise ValueError("align=True needs the eyes, which only MTCNN finds")
        (x0, y0), (x1, y1) = face.points[:2]
        angle = float(np.degrees(np.arctan2(y1 - y0, x1 - x0)))
    turn: np.ndarray = cv2.getRotationMatrix2D(tuple(map(float, centre)), angle, 1.0)
    # Whole pixels, so that a face that is not turned is copied and not interpolated.
    corner = centre - side / 2
    turn[:, 2] -= corner if align else np.round(corner)
    square = cv2.warpAffine(
        image, turn, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    shrinks = side > size
    return cv2.resize(
        square, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )


def add_image_noise(
    images: np.ndarray, variance: float = 0.01, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Add Gaussian noise to uint8 images; the variance is that of pixels scaled to [0, 1].

    Ding (section IV.A.2) and Lu (section IV.A) use 0.01: a standard deviation of 25.5 grey
    levels.
    """
    rng = rng if rng is not None else np.random.default_rng(0)
    noise = rng.standard_normal(images.shape, dtype=np.float32) * (255 * np.sqrt(variance))
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class FaceFrames(FeatureRecipe):
    """The speaker's face at the centres of equal segments of a clip.

    The values are uint8 of shape (frames, size, size), or (frames, 3, size, size) in colour.
    A frame without a face takes the nearest found face of the clip; the manifest column
    ``missed_frames`` counts them.

    Parameters
    ----------
    frames
        Segments of the clip (Ding 6, Lu 15).
    size
        Side of the crop, in pixels (Ding 64, Lu and Yang 224).
    grey
        Grey values (ITU-R 601) instead of RGB.
    detector
        ``"haar"`` or ``"mtcnn"``.
    margin
        Widens the crop by this fraction of its side.
    align
        Turn the crop so that the eyes lie level (MTCNN only).
    skip
        Frames left out at the start of the clip.
    augment
        ``"noise"`` or ``"noise=<variance>"``: Gaussian noise, 0.01 by default.
    """

    frames: int = 6
    size: int = 64
    grey: bool = True
    detector: str = "haar"
    margin: float = 0.0
    align: bool = False
    skip: int = 0

    chunk: ClassVar[int] = 8

    def __post_init__(self):
        """Refuse options that no clip could satisfy."""
        if self.detector not in ("haar", "mtcnn"):
            raise ValueError(f"unknown detector {self.detector!r}: known are 'haar', 'mtcnn'")
        if self.align and self.detector != "mtcnn":
            raise ValueError("align=True needs detector='mtcnn', which finds the eyes")
        noise_variance(self.augment)

    def compute_noted(self, row: Mapping) -> tuple[np.ndarray, dict]:
        """Return the faces of one clip and ``missed_frames``."""
        frames = video.read_frames(row["path"], self.frames, skip=self.skip)
        return self.faces_in(frames, row)

    def faces_in(self, frames: np.ndarray, row: Mapping) -> tuple[np.ndarray, dict]:
        """Return the faces of one clip and ``missed_frames``, for frames that are read already.

        Parameters
        ----------
        frames
            uint8 RGB, (frames, height, width, 3).
        row
            One row of a manifest.
        """
        chain = self.follow(frames, row)
        crops = {i: self.cut(frames[i], face) for i, face in enumerate(chain) if face is not None}
        nearest = [min((abs(j - i), j) for j in crops)[1] for i in range(self.frames)]
        values = np.stack([crops[i] for i in nearest])
        variance = noise_variance(self.augment)
        if variance:
            values = add_image_noise(values, variance, self.generator(row))
        return values, {"missed_frames": self.frames - len(crops)}

    def follow(self, frames: np.ndarray, row: Mapping) -> list[FaceBox | None]:
        """Return the speaker's face in each frame, (frames, height, width, 3); None where missed.

        Raises
        ------
        FeatureProblem
            If no frame shows a face.
        """
        smallest = _TALKING_HEAD * min(frames.shape[1:3])
        if self.detector == "haar":
            chain = _close_up(frames) or track(_haar_in_each(frames, smallest))
        else:
            chain = track(mtcnn_faces(frames, min_face=smallest))
        if not any(chain):
            raise FeatureProblem(
                f"no face in any of {len(frames)} frames ({self.detector})",
                "look at the clip; try the other detector, or leave the clip out",
                row["path"],
            )
        return chain

    def cut(self, frame: np.ndarray, face: FaceBox) -> np.ndarray:
        """Return one face: uint8 (size, size), or (3, size, size) in colour."""
        import cv2

        # Grey before shrinking costs more pixels but is what the paper describes.
        image = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) if self.grey else frame
        cut = crop(image, face, self.size, margin=self.margin, align=self.align)
        return cut if self.grey else np.moveaxis(cut, -1, 0)  # (3, size, size)


def noise_variance(augment: str | None) -> float:
    """Return the variance that an augmentation ``"noise"`` or ``"noise=0.02"`` asks for, or 0."""
    return parse_augmentation(augment, {"noise": 0.01}, "image")[1] if augment is not None else 0.0


def _haar_in_each(frames: np.ndarray, smallest: float) -> list[list[FaceBox]]:
    return [haar_faces(frame, max_side=640, min_face=smallest) for frame in frames]


def _close_up(frames: np.ndarray) -> list[FaceBox | None]:
    """Follow a face that is large in every frame, at half the cost; [] if there is none.

    Most of the cost lies in small windows. OpenCV steps through the same sizes from wherever it
    starts and joins windows within a fifth of each other in size, so that a face well above the
    smallest window has the same box as in the whole search; nothing smaller would add up to more.
    """
    smallest = _CLOSE_UP * min(frames.shape[1:3])
    chain = track(_haar_in_each(frames, smallest))
    sure = all(face is not None and face.side >= _CERTAIN * smallest for face in chain)
    return chain if sure else []


def _plausible(faces: Sequence[FaceBox]) -> list[FaceBox]:
    """Keep the faces whose score reaches half the best one's, the largest first."""
    best = max((face.probability for face in faces), default=0.0)
    return sorted(
        (face for face in faces if face.probability >= best / 2), key=lambda face: -face.side
    )


def _shrunk(image: np.ndarray, max_side: int | None) -> tuple[np.ndarray, float]:
    """Shrink an image to a longer side; return it with its scale."""
    import cv2

    scale = max_side / max(image.shape[:2]) if max_side else 1.0
    if scale >= 1.0:
        return image, 1.0
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), scale


# A cascade is not safe to share between threads, and a Dask worker may have several.
@cache
def _haar(_thread: int):
    import cv2

    path = f"{cv2.data.haarcascades}haarcascade_frontalface_default.xml"  # type: ignore[attr-defined]
    cascade = cv2.CascadeClassifier(path)
    if cascade.empty():
        raise FileNotFoundError(f"{path}: the cascade is missing: reinstall OpenCV")
    return cascade


@cache
def _mtcnn(_thread: int, min_face_size: float, device: str):
    with _without_compiler():
        from facenet_pytorch import MTCNN

    # The weights lie in the wheel: nothing is downloaded.
    return MTCNN(keep_all=True, min_face_size=min_face_size, device=device)


@contextmanager
def _without_compiler() -> Iterator[None]:
    """Import torchvision without PyTorch's compiler, which takes longer than all of the rest.

    torchvision asks it one question, in an operator that MTCNN does not use (``roi_align``). The
    question is put off to the first call; whatever else is wanted of the compiler imports it.
    """
    name = "torch._dynamo.utils"
    stand_in = ModuleType(name)

    def ask(wanted: str) -> Any:
        if wanted.startswith("__"):
            raise AttributeError(wanted)
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
        return getattr(import_module(name), wanted)

    vars(stand_in)["__getattr__"] = ask
    vars(stand_in)["is_compile_supported"] = lambda device: ask("is_compile_supported")(device)
    sys.modules.setdefault(name, stand_in)
    try:
        yield
    finally:
        if sys.modules[name] is stand_in:
            del sys.modules[name]
