"""One stretch of a clip for voice and face."""

from itertools import cycle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emolib.features import audio, faces, video, window
from emolib.features.store import FeatureProblem
from emolib.features.window import WindowFaces

durations = st.floats(0.2, 9)
counts = st.integers(1, 20)


@settings(max_examples=60, deadline=None)
@given(durations, counts)
def test_faces_lie_within_the_sound_that_is_kept(duration, k):
    rate = 1000
    n = round(duration * rate)
    kept = audio.fit_length(np.arange(1, n + 1), round(window.SECONDS * rate))
    sound = kept[kept > 0] / rate
    times, present = window.frame_times(duration, k)
    assert (times[present] >= sound[0] - 2 / rate).all()
    assert (times[present] <= sound[-1] + 2 / rate).all()
    assert np.allclose(np.diff(times), window.SECONDS / k)


def test_only_frames_behind_the_end_of_a_short_clip_are_missing():
    assert window.frame_times(3.6, 6)[1].all()
    assert window.frame_times(5.0, 6)[1].all()
    times, present = window.frame_times(2.0, 6)
    assert present.tolist() == (times < 2.0).tolist() == [True] * 3 + [False] * 3


@pytest.mark.parametrize(
    ("duration", "seconds"), [(0, 3.6), (-1, 3.6), (float("nan"), 3.6), (3, 0)]
)
def test_lengths_of_nothing_are_refused(duration, seconds):
    with pytest.raises(ValueError, match="above zero"):
        window.frame_times(duration, 6, seconds)


def test_a_recipe_that_moves_the_frames_but_not_the_sound_is_refused():
    with pytest.raises(ValueError, match="not the sound"):
        WindowFaces(skip=3)


@pytest.fixture
def clip(monkeypatch):
    """A clip of two seconds whose frames show their own time; the detector's finds are set."""

    def make(found):
        asked = []
        info = video.VideoInfo(64, 64, 60, 2.0, 30.0, False, 0, "h264", True)

        def read(path, k, *, times):
            asked.extend(times)
            return np.full((k, 64, 64, 3), 200, np.uint8)

        finds = cycle(found)  # a clip may be searched twice
        monkeypatch.setattr(video, "probe", lambda path: info)
        monkeypatch.setattr(video, "read_frames", read)
        monkeypatch.setattr(
            faces,
            "haar_faces",
            lambda image, **options: [faces.FaceBox((16, 16, 48, 48), 1.0)] if next(finds) else [],
        )
        return asked

    return make


def test_missing_frames_are_black_and_counted_by_reason(clip):
    asked = clip([True, False, True])
    values, notes = WindowFaces(frames=6, size=48).compute_noted({"path": "a.mp4", "clip_id": "a"})
    assert asked == pytest.approx([0.3, 0.9, 1.5])
    assert values.shape == (6, 48, 48)
    assert values.any(axis=(1, 2)).tolist() == [True, False, True, False, False, False]
    assert notes == {"missed_frames": 1, "beyond_end": 3}


def test_a_clip_without_any_face_is_a_problem_with_its_path(clip):
    clip([False] * 3)
    with pytest.raises(FeatureProblem, match=r"a\.mp4: no face in any of 3 frames"):
        WindowFaces(frames=6).compute({"path": "a.mp4", "clip_id": "a"})
