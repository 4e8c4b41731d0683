"""The live app must keep up with a webcam: ten frames of 640×480 a second on two cores."""

import pytest

from emolib import corpora, models
from emolib.app import live, predict, weights


@pytest.mark.benchmark
def test_ten_frames_of_640_by_480_are_judged_in_a_second(recordings, tmp_path):
    import cv2

    # Untrained weights cost the same as trained ones; no sound, so that faces alone are timed.
    classes, options = list(corpora.classes("fer2013")), {"modality": "video", "design": "residual"}
    network = models.build("mostafa", len(classes), **options)
    card = {"corpus": "fer2013", "modality": "video", "classes": classes, "options": options}
    weights.write(tmp_path, network.state_dict(), card)
    _, image = next(predict.frames_of(recordings / "faces" / "single_face.mp4", 1))
    rate = live.frame_rate(cv2.resize(image, (640, 480)), 3.0, tmp_path)
    print(f"{rate:.1f} frames a second")
    assert rate >= 10
