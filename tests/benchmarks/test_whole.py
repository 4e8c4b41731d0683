"""Whole files against librosa and PyTorch on real recordings, and what they cost.

Prints the largest difference of a probability over 240 recordings, ten an actor, for every
published voice network; ``EMOLIB_BENCH_CLIPS`` takes fewer.
"""

import os
import time

import numpy as np
import pytest

from emolib import registry
from emolib.export import network, whole
from emolib.export.answer import WholeFile
from emolib.features import audio

pytestmark = [pytest.mark.benchmark, pytest.mark.realdata]

CLIPS = int(os.environ.get("EMOLIB_BENCH_CLIPS", "240"))
VOICED = [
    key
    for key in registry.PAPERS
    if any(file.stem == "voice" for file in whole.published(key, None, needed=False))
]


@pytest.mark.parametrize("key", VOICED)
def test_a_voice_file_equals_librosa_and_torch(key, recordings, tmp_path, capsys):
    files = sorted(recordings.rglob("Actor_*/03-01-*.flac"))
    files = files[:: max(1, len(files) // CLIPS)][:CLIPS]
    whole.write(key, tmp_path, only="voice")
    asked = WholeFile(tmp_path / f"{key}-voice.onnx")
    judge, card = network.trained(key, whole.published(key, None)[0].with_stem("voice"))
    worst, same, spent = 0.0, 0, 0.0
    for file in files:
        samples, rate = audio.load(file)
        start = time.process_time()
        answer = asked.of_sound(samples, rate)
        spent += time.process_time() - start
        expected = whole.in_python(judge, card, file)
        worst = max(worst, float(np.abs(answer - expected).max()))
        same += int(answer.argmax() == expected.argmax())
    with capsys.disabled():
        print(
            f"\n{key}: {len(files)} recordings, largest difference {worst:.1e}, "
            f"same answer {same}, {1000 * spent / len(files):.1f} ms a recording"
        )
    assert worst <= 1e-3
