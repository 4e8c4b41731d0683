"""Frames read by seeking are the frames that decoding everything gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emolib.features import video
from emolib.features.store import FeatureProblem

WHOLE = (
    "long_gop.mp4", "short_gop.mp4", "keyframes_only.mp4", "turned.mp4", "mpeg4.avi", "h264.avi",
    "matroska.mkv", "flash.flv", "variable_rate.mp4", "three_frames.mp4", "streamable.mp4",
)  # fmt: skip


def read_all(path):
    """Every frame of a clip with its seconds after the first one, decoded in order."""
    start = None
    with video.opened(path) as (container, stream):
        untimed = container.format.name == "avi" and stream.codec_context.has_b_frames
        for i, frame in enumerate(container.decode(stream)):
            time = i / float(stream.average_rate) if untimed else frame.time
            start = time if start is None else start
            yield time - start, video.upright(frame)


def frames_on_screen(path, k):
    """The slow way: decode everything, take the last frame that began before each centre."""
    times, frames = zip(*read_all(path), strict=True)
    centres = video.frame_times(video.probe(path).duration_s, k)
    positions = [max(0, np.searchsorted(times, c + 1e-6, side="right") - 1) for c in centres]
    return np.stack([frames[i] for i in positions]), positions


@given(st.floats(0.1, 1e4), st.integers(1, 50))
@settings(max_examples=30)
def test_frame_times_are_the_centres_of_equal_segments(duration, k):
    times = video.frame_times(duration, k)
    edges = np.linspace(0, duration, k + 1)
    assert len(times) == k
    np.testing.assert_allclose(times, (edges[:-1] + edges[1:]) / 2, rtol=1e-9)


def test_asking_for_no_frame_is_an_error():
    with pytest.raises(ValueError, match="at least one frame"):
        video.frame_times(3.0, 0)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("k", [1, 6, 15])
def test_seeking_gives_the_frames_of_full_decoding(media, name, k):
    expected, _ = frames_on_screen(media / name, k)
    np.testing.assert_array_equal(video.read_frames(media / name, k), expected)


# h264.avi: its container stores no presentation times although the frames are reordered.
@pytest.mark.parametrize("name", ["short_gop.mp4", "h264.avi"])
def test_six_frames_of_fifty_are_the_middles_of_the_six_parts(media, name):
    chosen = video.read_frames(media / name, 6)
    brightness = [int(frame[5, 5, 0]) for frame in chosen]  # 30 + 190 i / 50 in frame i
    expected = [30 + 190 * i // 50 for i in (4, 12, 20, 29, 37, 45)]
    np.testing.assert_allclose(brightness, expected, atol=3)


def test_a_variable_rate_is_followed_by_time_and_not_by_count(media):
    path = media / "variable_rate.mp4"
    assert video.probe(path).variable_rate
    assert not video.probe(media / "short_gop.mp4").variable_rate
    # 30 frames in 0.6 s, then 20 in 2 s: the first quarter of the time holds most frames.
    _, positions = frames_on_screen(path, 2)
    assert positions == [30, 43]
    frames = [frame for _, frame in read_all(path)]
    for position, frame in zip(positions, video.read_frames(path, 2), strict=True):
        np.testing.assert_array_equal(frame, frames[position])


def test_a_clip_shorter_than_k_frames_repeats_the_nearest(media):
    frames = video.read_frames(media / "three_frames.mp4", 7)
    assert len(frames) == 7
    assert len(np.unique(frames.reshape(7, -1), axis=0)) == 3


def test_a_turned_clip_is_shown_upright(media):
    info = video.probe(media / "turned.mp4")
    assert (info.width, info.height, info.rotation % 180) == (96, 160, 90)
    upright = video.read_frames(media / "long_gop.mp4", 2)
    turned = video.read_frames(media / "turned.mp4", 2)
    np.testing.assert_array_equal(turned, np.rot90(upright, info.rotation // 90, axes=(1, 2)))


def test_skipped_frames_are_not_among_those_read(media):
    path = media / "short_gop.mp4"
    frames = [frame for _, frame in read_all(path)]
    np.testing.assert_array_equal(video.read_frames(path, 1, skip=20)[0], frames[35])


def test_probe_knows_the_stream(media):
    info = video.probe(media / "long_gop.mp4")
    assert (info.width, info.height, info.frames, info.codec) == (160, 96, 50, "h264")
    assert info.duration_s == pytest.approx(2.0)
    assert info.fps == pytest.approx(25.0)
    assert info.audio
    assert not video.probe(media / "short_gop.mp4").audio


@pytest.mark.parametrize("read", [video.probe, lambda path: video.read_frames(path, 6)])
@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("truncated.mp4", "not readable as video"),
        ("truncated_streamable.mp4", "truncated"),
        ("empty.mp4", "not readable as video"),
        ("text.mp4", "not readable as video"),
        ("voice.wav", "no video stream"),
        ("gone.mp4", "does not exist"),
    ],
)
def test_a_bad_clip_is_named_with_cause_and_remedy(media, read, name, cause):
    with pytest.raises(FeatureProblem, match=cause) as problem:
        read(media / name)
    assert name in str(problem.value)
    assert problem.value.remedy


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("pattern", "clips", "size"),
    [
        ("cremad/VideoFlash/*.flv", 6, (360, 480)),
        ("mead/*/video/front/*/level_?/*.mp4", 5, (1080, 1920)),
        ("faces/*_face.mp4", 2, None),
        ("faces/face_noface.mov", 1, (540, 960)),
    ],
)
def test_real_clips_give_the_frames_of_full_decoding(recordings, pattern, clips, size):
    paths = sorted(recordings.glob(pattern))
    assert len(paths) == clips
    for path in paths:
        frames = video.read_frames(path, 6)
        times = video.frame_times(video.probe(path).duration_s, 6)
        assert size is None or frames.shape == (6, *size, 3)
        position, last = 0, None
        for time, frame in read_all(path):  # one frame in memory: MEAD is 1080p
            while position < 6 and time > times[position] + 1e-6:
                np.testing.assert_array_equal(frames[position], last)
                position += 1
            last = frame
        assert position == 6
