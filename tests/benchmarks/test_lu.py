"""What Lu's visual network costs in time: onnxruntime beside torch, for one clip of the paper."""

import pytest

from emolib import devices, export, models

pytestmark = pytest.mark.benchmark


def test_one_clip_of_fifteen_frames(tmp_path, capsys):
    model = models.build("lu", modality="video").eval()
    clip = models.example_inputs("lu", batch=1, modality="video")  # 15 frames of 224×224
    file = export.export(model, clip, tmp_path / "lu.onnx")
    assert export.parity(model, file, clip).max_abs_diff < 1e-3
    for threads in (1, 2):
        exported = export.latency(file, clip, threads=threads)
        eager = devices.latency(model, clip, threads=threads)
        with capsys.disabled():
            print(
                f"\nLu's visual network, 15 frames of 224×224, {threads} thread(s): onnxruntime "
                f"{exported.median_ms:.0f} ms (fastest {exported.fastest_ms:.0f}), torch "
                f"{eager.median_ms:.0f} ms (fastest {eager.fastest_ms:.0f}), "
                f"{eager.median_ms / exported.median_ms:.1f}× as fast; to reach: 250 ms"
            )
