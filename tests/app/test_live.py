"""The live app without a browser: memory, smoothing, and what is said when there is nothing."""

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emolib.app import live, predict, weights
from emolib.features.faces import FaceBox

NAMES = ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised")


class Stub:
    """A network whose answers a test dictates."""

    classes = NAMES

    def __init__(self):
        self.values = np.eye(7)[:1]


@pytest.fixture
def session(monkeypatch):
    """A session that sees the faces and probabilities which the test sets."""
    stub = Stub()
    stub.faces = [FaceBox((100, 100, 200, 200), 1.0)]
    monkeypatch.setattr(predict, "faces_of", lambda image, detector: stub.faces)
    monkeypatch.setattr(
        predict, "face_probabilities", lambda image, found, folder: stub.values[: len(found)]
    )
    monkeypatch.setattr(weights, "network", lambda modality, folder=None: stub)
    monkeypatch.setattr(predict, "voice_probabilities", lambda *given: stub.voice)
    stub.voice = None
    return live.Session(confidence=0.5), stub


FRAME = np.zeros((480, 640, 3), np.uint8)


def test_without_a_face_no_emotion_is_named(session):
    live_session, stub = session
    stub.faces = []
    assert live_session.see(FRAME, 0.0) == []
    line, _ = live_session.shown()
    assert "no face" in line
    assert "no voice" in line


def test_one_odd_frame_does_not_change_the_label(session):
    live_session, stub = session
    for i in range(10):
        live_session.see(FRAME, 0.1 * i)
    stub.values = np.eye(7)[1:2]
    assert live_session.see(FRAME, 1.0)[0].reading.emotion == "neutral"
    for i in range(20):
        last = live_session.see(FRAME, 1.1 + 0.1 * i)
    assert last[0].reading.emotion == "happy"


def test_two_faces_keep_their_own_memory(session):
    live_session, stub = session
    stub.faces = [FaceBox((0, 0, 100, 100), 1.0), FaceBox((400, 0, 480, 80), 1.0)]
    stub.values = np.eye(7)[:2]
    live_session.see(FRAME, 0.0)
    stub.faces = stub.faces[::-1]  # found in the other order
    stub.values = stub.values[::-1]
    readings = live_session.see(FRAME, 0.1)
    assert [one.reading.emotion for one in readings] == ["happy", "neutral"]
    assert [one.reading.confidence for one in readings] == pytest.approx([1, 1])


def test_a_face_that_was_long_gone_starts_anew(session):
    live_session, stub = session
    live_session.see(FRAME, 0.0)
    stub.values = np.eye(7)[2:3]
    assert live_session.see(FRAME, 9.0)[0].reading.confidence == pytest.approx(1)


def test_a_voice_fades_out_when_nothing_more_is_heard(session):
    live_session, stub = session
    piece = np.zeros(8000, np.int16)
    stub.voice = np.eye(7)[1]
    assert live_session.hear(16_000, piece, 0.0).emotion == "happy"
    stub.voice = None
    assert live_session.hear(16_000, piece, 1.0).emotion == "happy"
    assert live_session.hear(16_000, piece, 10.0) is None
    assert live_session.line() == "VOICE: NO VOICE"


def test_a_computer_that_cannot_keep_up_leaves_frames_out_and_another_does_not():
    slow, quick = live.Session(), live.Session()
    slow.took(10.0, 10.5)
    quick.took(10.0, 10.0 + live.FRAME_EVERY_S / 2)
    assert slow.leaves_out(10.6)
    assert not slow.leaves_out(11.1)
    assert not quick.leaves_out(10.1)


def test_the_sound_that_is_kept_is_three_seconds_however_long_one_talks(session):
    live_session, _ = session
    for i in range(40):
        live_session.hear(16_000, np.zeros((8000, 2), np.int16), 0.5 * i)
    assert len(live_session.sound) == 3 * 16_000


def test_what_the_confidence_does_not_reach_is_unsure(session):
    live_session, stub = session
    stub.values = np.full((1, 7), 1 / 7)
    assert live_session.see(FRAME, 0.0)[0].reading.emotion == predict.UNSURE


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(0.01, 1), min_size=3, max_size=3),
    st.lists(st.floats(0.01, 1), min_size=3, max_size=3),
    st.floats(0, 100),
)
def test_smoothing_keeps_probabilities_and_lies_between_old_and_new(one, other, elapsed):
    before, now = (np.array(values) / sum(values) for values in (one, other))
    after = live.smoothed(before, now, elapsed, 0.6)
    assert after.sum() == pytest.approx(1)
    assert (after >= np.minimum(before, now) - 1e-12).all()
    assert (after <= np.maximum(before, now) + 1e-12).all()


def test_smoothing_does_not_depend_on_the_frame_rate():
    before, now = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    slow = live.smoothed(before, now, 0.4, 0.6)
    fast = before
    for _ in range(8):
        fast = live.smoothed(fast, now, 0.05, 0.6)
    assert fast == pytest.approx(slow)


def test_the_chart_shows_every_emotion_with_the_bars_of_all_three():
    face = predict.Reading.of(NAMES, np.full(7, 1 / 7), 0)
    heard = predict.Reading.of((*NAMES, "calm"), np.full(8, 1 / 8), 0)
    shown = live.chart({"face": face, "voice": heard, "fusion": None})
    assert shown.count("<tr>") == 8
    assert shown.count('class="emolib-bar"') == 24
    assert "calm" in shown
    assert "appear with the first" in live.chart({"face": None, "voice": None, "fusion": None})


def test_a_label_from_a_file_name_cannot_become_markup():
    assert "<script>" not in live.status("<script>", "", "")


def test_the_app_listens_to_this_computer_only_unless_told_otherwise():
    tree = ast.parse(Path(live.__file__).read_text())
    launch = next(
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "launch"
    )
    assert launch.args.defaults[0].value == "127.0.0.1"
