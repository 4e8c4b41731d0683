"""Faces are found, followed and cut out; what is missed is counted."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emolib.features import faces, video
from emolib.features.faces import FaceBox, FaceFrames
from emolib.features.store import FeatureProblem


def face(x, y, side, score=10.0, points=None):
    return FaceBox((x, y, x + side, y + side), score, points)


def overlap(one, other):
    """Intersection over union of two boxes."""
    left, top = np.maximum(one[:2], other[:2])
    right, bottom = np.minimum(one[2:], other[2:])
    shared = max(0, right - left) * max(0, bottom - top)
    area = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return shared / (sum(area) - shared)


def find_bar(image, **_):
    """Take the moving bar of the test clips for a face."""
    colour = image[..., 0].astype(int) - image[..., 1]
    ys, xs = np.nonzero(colour > 100)
    if len(xs) < 100 or image[5, 5, 0] > 180:  # it "leaves" near the end, where it is bright
        return []
    return [face(int(xs.min()), int(ys.min()), 96)]


@pytest.fixture
def bar_detector(monkeypatch):
    monkeypatch.setattr(faces, "haar_faces", find_bar)


def test_a_clip_becomes_grey_crops_of_its_face(media, bar_detector):
    values, notes = FaceFrames().compute_noted(
        {"clip_id": "a", "path": str(media / "short_gop.mp4")}
    )
    assert (values.shape, values.dtype) == ((6, 64, 64), np.uint8)
    assert notes == {"missed_frames": 1}
    # Grey of (220, 40, 90) is 100; the bar is 16 wide in a square of 96: 10 of 64 pixels.
    assert np.abs(values[:5, 5:20, 2:8].astype(int) - 100).max() < 15


def test_a_missed_frame_takes_the_nearest_found_face(media, bar_detector):
    values, _ = FaceFrames().compute_noted({"clip_id": "a", "path": str(media / "short_gop.mp4")})
    np.testing.assert_array_equal(values[5], values[4])
    assert not np.array_equal(values[4], values[3])


def test_colour_crops_have_the_channel_first(media, bar_detector):
    recipe = FaceFrames(frames=3, size=50, grey=False)
    values = recipe.compute({"clip_id": "a", "path": str(media / "short_gop.mp4")})
    assert values.shape == (3, 3, 50, 50)
    assert values[0, 0, 10, 4] > values[0, 1, 10, 4] + 100  # the bar is red


def test_a_clip_without_a_face_is_a_problem(media):
    with pytest.raises(FeatureProblem, match="no face in any of 6 frames") as problem:
        FaceFrames().compute({"clip_id": "a", "path": str(media / "short_gop.mp4")})
    assert "leave the clip out" in problem.value.remedy


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"detector": "hog"}, "known are 'haar', 'mtcnn'"),
        ({"align": True}, "needs detector='mtcnn'"),
        ({"augment": "blur"}, "known are noise"),
    ],
)
def test_options_that_cannot_work_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        FaceFrames(**options)


def test_noise_has_the_variance_that_was_asked_for(media, bar_detector):
    grey = np.full((4, 64, 64), 128, np.uint8)
    noisy = faces.add_image_noise(grey, 0.01, np.random.default_rng(0)) / 255
    assert noisy.var() == pytest.approx(0.01, rel=0.05)
    clip = {"clip_id": "a", "path": str(media / "short_gop.mp4")}
    plain = FaceFrames().compute(clip).astype(int)
    augmented = FaceFrames(augment="noise").compute(clip)
    np.testing.assert_array_equal(augmented, FaceFrames(augment="noise=0.01").compute(clip))
    assert (augmented - plain).std() == pytest.approx(25.5, rel=0.1)


@given(x=st.integers(-30, 90), y=st.integers(-30, 90), side=st.integers(4, 60))
@settings(max_examples=40, deadline=None)
def test_a_crop_of_its_own_size_is_a_copy_with_its_edge_repeated(x, y, side):
    image = np.arange(100 * 100, dtype=np.int64).reshape(100, 100) % 251
    image = image.astype(np.uint8)
    rows = np.clip(np.arange(y, y + side), 0, 99)
    columns = np.clip(np.arange(x, x + side), 0, 99)
    found = faces.crop(image, face(x, y, side), side)
    np.testing.assert_array_equal(found, image[np.ix_(rows, columns)])


def test_a_margin_widens_the_crop_about_its_centre():
    image = np.zeros((100, 100), np.uint8)
    image[40:60, 40:60] = 255
    tight = faces.crop(image, face(40, 40, 20), 40)
    wide = faces.crop(image, face(40, 40, 20), 40, margin=1.0)
    assert tight.min() == 255
    assert wide[10:30, 10:30].min() == 255
    assert wide.mean() == pytest.approx(255 / 4, rel=0.01)


def test_an_aligned_crop_has_level_eyes():
    image = np.zeros((200, 200, 3), np.uint8)
    eyes = np.array([[80, 110], [120, 80]], np.float32)
    for x, y in eyes.astype(int):
        image[y - 2 : y + 3, x - 2 : x + 3] = 255
    points = np.concatenate([eyes, np.zeros((3, 2), np.float32)])
    level = faces.crop(image, face(50, 50, 100, points=points), 100, align=True)
    ys, xs = np.nonzero(level[..., 0] > 100)
    left, right = ys[xs < 50].mean(), ys[xs > 50].mean()
    assert left == pytest.approx(right, abs=1)
    with pytest.raises(ValueError, match="only MTCNN"):
        faces.crop(image, face(50, 50, 100), 100, align=True)


def test_the_same_person_is_followed_past_a_larger_passer_by():
    speaker = [face(100 + 3 * i, 100, 60) for i in range(6)]
    passer = face(300, 80, 70)
    clip = [[f] for f in speaker]
    clip[3] = [passer, speaker[3]]
    assert faces.track(clip) == speaker
    clip[3] = [passer]
    assert faces.track(clip) == [*speaker[:3], None, *speaker[4:]]


def test_one_oversized_false_alarm_is_not_followed():
    speaker = [face(100, 100, 60, score=9.0) for _ in range(6)]
    clip = [[f] for f in speaker]
    clip[2] = [face(20, 20, 260, score=5.0), speaker[2]]
    assert faces.track(clip) == speaker


def test_a_clip_without_faces_has_an_empty_track():
    assert faces.track([[], [], []]) == [None, None, None]


def test_a_weak_large_detection_is_not_plausible():
    found = [face(0, 0, 200, score=2.0), face(50, 50, 80, score=9.0), face(5, 5, 30, score=8.0)]
    assert faces.track([found]) == [found[1]]


def test_mtcnn_is_given_all_frames_at_once_and_keeps_its_pyramid(monkeypatch):
    calls = []

    def detector(thread, smallest, device):
        def detect(batch, landmarks):
            calls.append((batch.shape, smallest))
            boxes = [np.array([[10, 20, 40, 60]], np.float32)] * (len(batch) - 1)
            points = [np.ones((1, 5, 2), np.float32)] * (len(batch) - 1)
            return [*boxes, None], [[0.9]] * (len(batch) - 1) + [[None]], [*points, None]

        return SimpleNamespace(detect=detect)

    monkeypatch.setattr(faces, "_mtcnn", detector)
    found = faces.mtcnn_faces(np.zeros((8, 720, 1280, 3), np.uint8), min_face=72)
    ((shape, smallest),) = calls
    assert shape == (8, 360, 640, 3)
    # 20 px · 0.709⁻⁴ = 79 px is the first level of the full-size pyramid that reaches 72 px.
    assert smallest == pytest.approx(0.5 * 20 / 0.709**4)
    assert found[0][0].box == (20, 40, 80, 120)
    assert found[0][0].points.max() == 2
    assert found[7] == []


def test_mtcnn_finds_no_face_in_an_empty_picture():
    assert faces.mtcnn_faces(np.full((2, 120, 160, 3), 90, np.uint8)) == [[], []]


def test_mtcnn_refuses_images_of_different_sizes():
    images = [np.zeros((80, 80, 3), np.uint8), np.zeros((80, 90, 3), np.uint8)]
    with pytest.raises(ValueError, match="one size"):
        faces.mtcnn_faces(images)


@pytest.fixture(scope="session")
def pictures(recordings):
    import cv2

    def read(name):
        return cv2.cvtColor(cv2.imread(str(recordings / "faces" / name)), cv2.COLOR_BGR2RGB)

    return read


@pytest.mark.realdata
def test_mtcnn_finds_five_faces_and_haar_four_in_the_group(pictures):
    group = pictures("multi_face.jpg")
    by_mtcnn = faces.mtcnn_faces([group])[0]
    by_haar = faces.haar_faces(group)
    assert (len(by_mtcnn), len(by_haar)) == (5, 4)
    assert all(0.99 < f.probability <= 1.0001 for f in by_mtcnn)
    assert [f.side for f in by_mtcnn] == sorted((f.side for f in by_mtcnn), reverse=True)
    # Every face of Haar's is one of MTCNN's.
    for box in (f.box for f in by_haar):
        assert max(overlap(np.array(box), np.array(f.box)) for f in by_mtcnn) > 0.4


@pytest.mark.realdata
def test_both_detectors_find_the_one_face_of_a_portrait(pictures):
    portrait = pictures("single_face.jpg")
    (haar,) = faces.track([faces.haar_faces(portrait)])
    (mtcnn,) = faces.mtcnn_faces([portrait])[0]
    assert overlap(np.array(haar.box), np.array(mtcnn.box)) > 0.5
    assert mtcnn.points.shape == (5, 2)


@pytest.mark.realdata
@pytest.mark.parametrize("detector", ["haar", "mtcnn"])
def test_every_frame_of_the_real_clips_shows_its_face(recordings, detector):
    paths = [*(recordings / "cremad").rglob("*.flv"), *(recordings / "mead").rglob("*.mp4")]
    assert len(paths) == 11
    recipe = FaceFrames(frames=6, size=64, detector=detector, align=detector == "mtcnn")
    for path in paths:
        values, notes = recipe.compute_noted({"clip_id": path.stem, "path": str(path)})
        assert values.shape == (6, 64, 64)
        assert notes == {"missed_frames": 0}
        # One talking head: neighbouring crops are much alike.
        correlation = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairwise(values)]
        assert min(correlation) > 0.4


@pytest.mark.realdata
@pytest.mark.parametrize("detector", ["haar", "mtcnn"])
def test_a_face_that_leaves_is_counted_and_one_that_never_comes_is_a_problem(recordings, detector):
    recipe = FaceFrames(detector=detector)
    leaves = recordings / "faces" / "face_noface.mov"
    values, notes = recipe.compute_noted({"clip_id": "a", "path": str(leaves)})
    assert 3 <= notes["missed_frames"] <= 5
    np.testing.assert_array_equal(values[5], values[4])
    with pytest.raises(FeatureProblem, match="no face"):
        recipe.compute({"clip_id": "b", "path": str(recordings / "faces" / "no_face.mp4")})


@pytest.fixture(scope="module")
def talking_head():
    """Six frames of a talking face, (6, 360, 480, 3)."""
    from emolib.synthetic.performance import Take

    take = Take(1, "happy", "Kids are talking by the door", name="close up")
    frames = [frame for frame, _ in take.frames(take.speech())]
    return np.stack(frames[:: len(frames) // 6][:6])


@pytest.mark.parametrize("away", [0, 500], ids=["close up", "far away"])
def test_the_quick_search_gives_the_boxes_of_the_whole_one(talking_head, away):
    border = ((0, 0), (away, away), (away, away), (0, 0))
    frames = np.pad(talking_head, border, mode="edge")
    smallest = 0.1 * min(frames.shape[1:3])
    whole = faces.track([faces.haar_faces(f, max_side=640, min_face=smallest) for f in frames])
    assert bool(faces._close_up(frames)) == (not away)
    assert FaceFrames().follow(frames, {"path": "a.mp4"}) == whole
    assert all(whole)


@pytest.mark.realdata
def test_the_quick_search_gives_the_boxes_of_the_whole_one_on_real_films(recordings):
    quick = 0
    for path in sorted(recordings.glob("cremad/VideoFlash/*.flv")) + sorted(
        recordings.glob("mead/**/*.mp4")
    ):
        frames = video.read_frames(path, 6)
        smallest = 0.1 * min(frames.shape[1:3])
        whole = faces.track([faces.haar_faces(f, max_side=640, min_face=smallest) for f in frames])
        assert FaceFrames().follow(frames, {"path": path}) == whole
        quick += bool(faces._close_up(frames))
    assert quick >= 9  # of the eleven
