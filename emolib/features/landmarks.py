"""Sixty-eight facial landmarks, and the regions of a face that they outline.

The points are those of the iBUG 300-W scheme (jaw 0–16, brows 17–26, nose 27–35, eyes 36–47,
mouth 48–67), found by dlib's regression trees (extra ``landmarks``). Without dlib, a mean face
stands in: Haar crops are alike enough that its regions fall where they should.
"""

import threading
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

REGIONS = ("eyes", "eyebrows", "mouth", "nose", "cheeks", "forehead")

_MODEL = "shape_predictor_68_face_landmarks.dat"

#: A mean face in a Haar crop, as fractions of its side, (68, 2): dlib's landmarks on 156 frames
#: of eight people, averaged by person, then with their mirror image. Right is the speaker's.
_MEAN_FACE = Path(__file__).with_name("mean_face.csv")
TEMPLATE = np.loadtxt(_MEAN_FACE, np.float32, delimiter=",", skiprows=1, usecols=(2, 3)) / 1000

#: region -> groups of landmarks, each outlined by its convex hull; `_outlines` adds those that
#: lie between landmarks.
_HULLS = {
    "eyes": (range(36, 42), range(42, 48)),
    "eyebrows": (range(17, 22), range(22, 27)),
    "mouth": (range(48, 60),),
    "nose": (range(27, 36),),
}
#: How far a region reaches beyond its landmarks, as a fraction of the distance of the eyes:
#: landmarks run along the lids and in the middle of a brow.
_REACH = {"eyes": 0.10, "eyebrows": 0.08, "mouth": 0.08, "nose": 0.06}


#: dlib was trained on boxes from the brows to the chin, which lie inside a Haar box by this
#: fraction of its side.
_INSET = 0.08


def available() -> bool:
    """Tell whether dlib and its 68-point model are installed."""
    return find_spec("dlib") is not None and _model_path() is not None


def landmarks(image: np.ndarray, box: tuple[float, float, float, float] | None = None):
    """Find 68 landmarks of one face.

    Parameters
    ----------
    image
        uint8, (height, width) grey or (height, width, 3) RGB.
    box
        The face: left, top, right, bottom; None if the image is a crop of it.

    Returns
    -------
    ndarray
        float32, (68, 2): x and y in pixels of `image`.

    Raises
    ------
    ImportError
        If dlib or its model is not installed; `TEMPLATE` does without.
    """
    predictor = _predictor(threading.get_ident())  # says what to install, before the import
    import dlib

    height, width = image.shape[:2]
    left, top, right, bottom = box if box is not None else (0, 0, width, height)
    inset = _INSET * (right - left)
    rectangle = dlib.rectangle(
        round(left + inset), round(top + inset), round(right - inset), round(bottom - inset)
    )
    shape = predictor(np.ascontiguousarray(image), rectangle)
    return np.array([(point.x, point.y) for point in shape.parts()], np.float32)


def _model_path() -> Path | None:
    # Importing face_recognition_models fails where setuptools' pkg_resources is gone; its data
    # file is all that is needed.
    spec = find_spec("face_recognition_models")
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / "models" / _MODEL if folders else None
    return path if path is not None and path.is_file() else None


@cache
def _predictor(_thread: int):
    try:
        import dlib
    except ImportError as error:
        raise ImportError("dlib is not installed: pip install 'emolib[landmarks]'") from error
    path = _model_path()
    if path is None:
        raise ImportError(f"{_MODEL} is not installed: pip install 'emolib[landmarks]'")
    return dlib.shape_predictor(str(path))


def region_masks(points: np.ndarray, size: int = 64) -> dict[str, np.ndarray]:
    """Outline the regions of a face.

    No pixel belongs to two regions: where outlines overlap, the region that comes first in
    `REGIONS` keeps it. Pixels of no region are hair, neck and background.

    Parameters
    ----------
    points
        (68, 2): x and y in pixels of a crop of size × size.
    size
        Side of the crop.

    Returns
    -------
    dict
        Region name to a boolean array (size, size).
    """
    import cv2

    points = np.asarray(points, np.float32)
    if points.shape != (68, 2):
        raise ValueError(f"landmarks have shape {points.shape}: 68 points (x, y) are needed")
    apart = float(np.linalg.norm(points[42:48].mean(0) - points[36:42].mean(0)))
    taken = np.zeros((size, size), bool)
    masks = {}
    for region in REGIONS:
        mask: np.ndarray = np.zeros((size, size), np.uint8)
        for outline in _outlines(region, points):
            hull = np.rint(cv2.convexHull(outline) * 16).astype(np.int32)
            cv2.fillConvexPoly(mask, hull, 1, shift=4)  # in sixteenths of a pixel
        reach = round(_REACH.get(region, 0.0) * apart)
        if reach:
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
            mask = cv2.dilate(mask, disc)
        masks[region] = mask.astype(bool) & ~taken
        taken |= masks[region]
    return masks


def template_masks(size: int = 64) -> dict[str, np.ndarray]:
    """Outline the regions of a Haar crop by the mean face, for want of landmarks."""
    # Landmarks count pixels from the centre of the first one.
    return region_masks(TEMPLATE * size - 0.5, size)


def _outlines(region: str, p: np.ndarray) -> list[np.ndarray]:
    """Return the point sets whose convex hulls make up a region."""
    if region == "cheeks":
        # From below the eye down the jaw to the corner of the mouth and the nostril.
        right = [p[1], p[2], p[3], p[4], p[5], p[48], p[31], (p[39] + p[28]) / 2, p[41], p[36]]
        left = [p[15], p[14], p[13], p[12], p[11], p[54], p[35], (p[42] + p[28]) / 2, p[46], p[45]]
        return [np.array(right), np.array(left)]
    if region == "forehead":
        # No landmark lies above the brows: as high as from the brows to the middle of the nose.
        up = p[[19, 24]].mean(0) - p[29]
        brows = p[17:27]
        return [np.concatenate([brows, brows[2:8] + up])]
    return [p[list(indices)] for indices in _HULLS[region]]
