"""Landmarks outline the regions that occlusion and attribution speak of."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emolib.features import faces, landmarks, video

needs_dlib = pytest.mark.skipif(
    not landmarks.available(), reason="needs dlib: pip install 'emolib[landmarks]'"
)


@given(
    size=st.integers(48, 224),
    shift=st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)),
    zoom=st.floats(0.8, 1.2),
    turn=st.floats(-0.3, 0.3),
)
@settings(max_examples=25, deadline=None)
def test_regions_are_there_and_share_no_pixel(size, shift, zoom, turn):
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = ((landmarks.TEMPLATE - 0.5) @ rotation * zoom + 0.5 + np.array(shift)) * size
    masks = landmarks.region_masks(points, size)
    assert tuple(masks) == landmarks.REGIONS
    assert all(mask.shape == (size, size) and mask.any() for mask in masks.values())
    assert sum(mask.astype(int) for mask in masks.values()).max() == 1


def test_the_mean_face_is_its_own_mirror_image():
    masks = landmarks.template_masks(64)
    for region, mask in masks.items():
        different = np.count_nonzero(mask != mask[:, ::-1])
        assert different <= 0.1 * mask.sum(), region  # pixels cannot be halved


def test_regions_of_the_mean_face_lie_where_a_face_has_them():
    rows = {name: np.nonzero(mask)[0].mean() for name, mask in landmarks.template_masks().items()}
    order = ["forehead", "eyebrows", "eyes", "nose", "mouth"]
    assert [rows[name] for name in order] == sorted(rows[name] for name in order)
    masks = landmarks.template_masks(64)
    for region, indices in (("eyes", range(36, 48)), ("mouth", range(48, 60))):
        for x, y in np.rint(landmarks.TEMPLATE[list(indices)] * 64).astype(int):
            assert masks[region][y, x], region


def test_a_wrong_number_of_landmarks_is_refused():
    with pytest.raises(ValueError, match="68 points"):
        landmarks.region_masks(np.zeros((5, 2)))


def test_without_dlib_the_regions_still_work_and_landmarks_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(ImportError, match=r"emolib\[landmarks\]"):
        landmarks.landmarks(np.zeros((64, 64), np.uint8))
    assert landmarks.template_masks(64)["mouth"].any()


@needs_dlib
@pytest.mark.realdata
def test_landmarks_of_real_crops_are_near_the_mean_face(recordings):
    for path in sorted((recordings / "mead").rglob("*.mp4")):
        frame = video.read_frames(path, 1)[0]
        found = max(faces.haar_faces(frame, max_side=640, min_face=108), key=lambda f: f.side)
        crop = faces.crop(frame, found, 64)
        points = landmarks.landmarks(crop)
        assert points.shape == (68, 2)
        # Median distance in sixty-fourths of a crop; the jaw varies most between people.
        apart = np.linalg.norm(points - landmarks.TEMPLATE * 64, axis=1)
        assert np.median(apart[17:]) < 5
        # The same points, whether the crop or the box in the frame is given.
        in_frame = landmarks.landmarks(frame, found.box)
        in_crop = (in_frame - np.array(found.box[:2])) / found.side * 64
        assert np.median(np.linalg.norm(in_crop - points, axis=1)) < 2
