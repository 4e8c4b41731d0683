"""What a whole file cannot be asked is refused in one line."""

import numpy as np
import pytest
import torch

from emolib.export import network, whole
from emolib.export.answer import AnswerError, WholeFile


class Loudness(torch.nn.Module):
    """Two emotions: louder and quieter."""

    medium = "audio"

    def forward(self, given):
        loud = given.square().mean(1, keepdim=True)
        return torch.cat([loud, 1 - loud], 1)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answer")
    return whole.save(Loudness(), {"classes": ["loud", "quiet"]}, folder / "a.onnx", rate=16_000)


def test_answers_have_names(file):
    asked = WholeFile(file)
    probabilities = asked.of_sound(np.full(16_000, 0.9, np.float32), 16_000)
    assert asked.named(probabilities) == pytest.approx({"loud": 0.81, "quiet": 0.19}, abs=1e-3)
    assert [*asked.named(probabilities)] == ["loud", "quiet"]


@pytest.mark.parametrize(
    ("samples", "rate", "said"),
    [
        (np.zeros(16_000), 44_100, "takes 16000 samples a second, not 44100: resample"),
        (np.zeros(0), 16_000, r"\(0,\): give one channel of at least 0.5 s"),
        (np.zeros((16_000, 2)), 16_000, "give one channel"),
        (np.full(16_000, np.nan), 16_000, "not finite"),
    ],
)
def test_a_sound_that_cannot_be_judged_is_refused(file, samples, rate, said):
    with pytest.raises(AnswerError, match=said):
        WholeFile(file).of_sound(samples, rate)


def test_a_file_of_the_other_kind_or_none_is_refused(file, tmp_path):
    with pytest.raises(AnswerError, match="takes a waveform, not pictures"):
        WholeFile(file).of_picture(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(AnswerError, match="does not exist: write it"):
        WholeFile(tmp_path / "gone.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(AnswerError, match="not an ONNX file"):
        WholeFile(tmp_path / "broken.onnx")
    bare = network.export(torch.nn.Linear(2, 2), {"input": torch.zeros(2, 2)}, tmp_path / "b.onnx")
    with pytest.raises(AnswerError, match="without its front end"):
        WholeFile(bare)


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.zeros((0, 4, 3), np.uint8), "an empty picture"),
        (np.zeros((4, 4, 3)), "float64 .*: give uint8"),
        (np.zeros((4, 4, 4), np.uint8), r"\(4, 4, 4\): give uint8"),
    ],
)
def test_a_picture_that_cannot_be_judged_is_refused(file, picture, said, monkeypatch):
    asked = WholeFile(file)
    monkeypatch.setitem(asked.told, "input", "picture")
    with pytest.raises(AnswerError, match=said):
        asked.of_picture(picture)
