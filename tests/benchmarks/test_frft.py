"""What the fractional transform costs, measured in one run.

Each benchmark prints its ratio and asserts that both ways give the same values; no time is
asserted. ``EMOLIB_BENCH_CLIPS`` sets how many RAVDESS clips are used (all: 1440).
"""

import os
import time

import numpy as np
import pytest

from emolib import corpora
from emolib.features import frft, store

pytestmark = pytest.mark.benchmark

CLIPS = int(os.environ.get("EMOLIB_BENCH_CLIPS", "24"))
N, FRAMES = 512, 311  # one clip of 3.6 s


def a_matrix_for_every_frame(frames, order):
    """What one writes without a cache: the basis and the matrix anew for each frame."""
    turned = []
    for frame in frames:
        vectors, index = frft.eigenbasis.__wrapped__(len(frame))
        matrix = (vectors * np.exp(-0.5j * np.pi * order * index)) @ vectors.T
        turned.append(matrix @ frame)
    return np.stack(turned)


def test_a_batch_against_a_matrix_for_every_frame(capsys):
    frames = np.random.default_rng(0).standard_normal((FRAMES, N))
    frft.dfrft(frames, 0.9)  # makes the basis
    few = frames[:8]
    start = time.process_time()
    expected = a_matrix_for_every_frame(few, 0.9)
    slow = (time.process_time() - start) / len(few) * FRAMES
    spent = []
    for _ in range(5):
        start = time.process_time()
        found = frft.dfrft(frames, 0.9)
        spent.append(time.process_time() - start)
    fast = float(np.median(spent))
    np.testing.assert_allclose(found[:8], expected, atol=1e-9)
    with capsys.disabled():
        print(
            f"\n{FRAMES} frames of {N}: a matrix for every frame {slow:.2f} s, "
            f"one basis {1000 * fast:.1f} ms: {slow / fast:.0f} times as fast"
        )


@pytest.mark.realdata
@pytest.mark.parametrize("order", [1.0, None], ids=["order one", "adaptive"])
def test_extraction_of_the_corpus(order, recordings, tmp_path, capsys):
    clips = corpora.load("ravdess", recordings / "ravdess").iloc[:CLIPS]
    recipe = frft.FrftMfcc(order=order)
    start = time.perf_counter()
    features = store.extract(clips, recipe, n_jobs=2, cache=tmp_path, progress=False)
    spent = time.perf_counter() - start
    np.testing.assert_allclose(features.values[0], recipe.compute(clips.iloc[0]), atol=1e-4)
    with capsys.disabled():
        print(
            f"\nFrFT-MFCC, order {order or 'by frame'}: {len(clips)} clips in {spent:.1f} s on two "
            f"processes; 1,440 would take {spent / len(clips) * 1440:.0f} s"
        )
