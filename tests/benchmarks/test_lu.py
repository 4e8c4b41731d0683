"""What Lu's visual network costs in time: onnxruntime beside torch, for one clip of the paper."""

import pytest

from emolib.labs import studies

pytestmark = pytest.mark.benchmark

TO_REACH_MS = 250  # for one clip, on two processor cores


def test_one_clip_of_fifteen_frames(capsys):
    table = studies.face_times()
    exported = table[table["runtime"] == "onnxruntime"]
    with capsys.disabled():
        print(f"\nLu's visual network, 15 frames of 224×224 ({table['processor'].iloc[0]})")
        print(table.drop(columns="processor").round(1).to_string(index=False))
        ratios = ", ".join(
            f"{row['times as fast']:.1f}× on {row['threads']}" for _, row in exported.iterrows()
        )
        print(f"as fast as torch eager by processor time: {ratios} thread(s)")
        print(f"fastest pass {exported['fastest_ms'].min():.0f} ms; to reach: {TO_REACH_MS} ms")
    assert exported["largest difference"].max() < 1e-3
    # Processor time, so that a busy machine does not decide: two cores share it between them.
    assert exported["processor_ms"].min() < 2 * TO_REACH_MS
