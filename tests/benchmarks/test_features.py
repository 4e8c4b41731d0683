"""What the feature extractors gain over the plain way, measured in one run.

Each benchmark prints its ratio and asserts that both ways give the same values; no time is
asserted. ``EMOLIB_BENCH_CLIPS`` sets how many RAVDESS clips are used (all: 1440).
"""
# ruff: noqa: PD011 (Features.values is a NumPy array, not a column of pandas)

import os
import time

import numpy as np
import pandas as pd
import pytest

from emolib.features import faces, video
from emolib.features.audio import Mfcc
from emolib.features.faces import FaceFrames
from emolib.features.store import extract

pytestmark = pytest.mark.benchmark

CLIPS = int(os.environ.get("EMOLIB_BENCH_CLIPS", "240"))


def seconds(function, *arguments):
    start = time.perf_counter()
    value = function(*arguments)
    return time.perf_counter() - start, value


def alternating(rounds, **ways):
    """Time several ways in turn, so that all meet the same load; the median of each."""
    times = {name: [] for name in ways}
    values = {}
    for _ in range(rounds):
        for name, function in ways.items():
            spent, values[name] = seconds(function)
            times[name].append(spent)
    return {name: float(np.median(spent)) for name, spent in times.items()}, values


def plain_mfcc(path):
    """What one writes without this package: the clip, then its sixths."""
    import librosa
    import soundfile

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    samples = samples.mean(axis=1)
    n = len(samples)
    pieces = [samples, *(samples[i * n // 6 : (i + 1) * n // 6] for i in range(6))]
    return np.stack([librosa.feature.mfcc(y=y, sr=rate, n_mfcc=40).mean(axis=1) for y in pieces])


def plain_loop(manifest):
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky import get_reusable_executor

    try:
        with parallel_config(backend="loky", inner_max_num_threads=1):
            return np.stack(Parallel(n_jobs=2)(delayed(plain_mfcc)(p) for p in manifest["path"]))
    finally:  # as extract does, so that both pay for starting their workers
        get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)


def test_mfcc_of_ravdess(recordings, tmp_path, capsys):
    files = sorted((recordings / "ravdess").rglob("03-01-*.flac"))
    files = files[:: max(1, len(files) // CLIPS)][:CLIPS]
    manifest = pd.DataFrame({"clip_id": [f.stem for f in files], "path": list(map(str, files))})
    rounds = 1 if len(files) > 500 else 3
    caches = iter(range(rounds))
    recipe = Mfcc(segments=(1, 6))

    def ours():
        return extract(manifest, recipe, cache=tmp_path / str(next(caches)), progress=False).values

    plain_loop(manifest[:4])  # both find files and libraries in the page cache
    times, values = alternating(rounds, ours=ours, plain=lambda: plain_loop(manifest))
    np.testing.assert_allclose(values["ours"], values["plain"], atol=1e-4)
    cached, _ = seconds(lambda: extract(manifest, recipe, cache=tmp_path / "0", progress=False))
    with capsys.disabled():
        print(
            f"\nMFCC, {len(files)} clips, whole and in sixths, two processes: "
            f"{times['ours']:.2f} s, plain loop {times['plain']:.2f} s, "
            f"ratio {times['ours'] / times['plain']:.2f}; from the cache {cached:.3f} s"
        )


@pytest.fixture(scope="module")
def clip_720p(tmp_path_factory):
    """Three seconds of 720p at 30 fps in H.264, with x264's own keyframes and with one a second."""
    import av
    import cv2

    folder = tmp_path_factory.mktemp("720p")
    rng = np.random.default_rng(0)
    scene = cv2.resize(
        rng.integers(0, 255, (46, 74, 3), dtype=np.uint8),
        (1480, 920),
        interpolation=cv2.INTER_CUBIC,
    )
    for gop in (250, 30):
        with av.open(str(folder / f"{gop}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
            stream.codec_context.gop_size = gop
            for i in range(90):
                x, y = round(100 + 80 * np.sin(i / 9)), round(100 + 80 * np.cos(i / 7))
                grain = rng.integers(-4, 5, (720, 1280, 1), dtype=np.int16)
                frame = np.clip(scene[y : y + 720, x : x + 1280] + grain, 0, 255)
                picture = av.VideoFrame.from_ndarray(frame.astype(np.uint8), format="rgb24")
                for packet in stream.encode(picture):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)
    return folder


def decode_everything(path):
    """The plain way: every frame as an RGB array."""
    import av

    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def decode_and_drop(path):
    """Every frame as an RGB array, none of them kept."""
    with video.opened(path) as (container, stream):
        return sum(len(video.upright(frame)) > 0 for frame in container.decode(stream))


def compare_seeking(path, capsys, rounds):
    times, values = alternating(
        rounds,
        everything=lambda: decode_everything(path),
        dropped=lambda: decode_and_drop(path),
        six=lambda: video.read_frames(path, 6),
        fifteen=lambda: video.read_frames(path, 15),
    )
    frames = values["everything"]
    for name, k in (("six", 6), ("fifteen", 15)):
        chosen = [int((i + 0.5) * len(frames) / k) for i in range(k)]
        np.testing.assert_array_equal(values[name], frames[chosen])
    with capsys.disabled():
        print(
            f"\n{path.name}: {len(frames)} frames {frames.shape[2]}×{frames.shape[1]}: decoded to "
            f"an array {1e3 * times['everything']:.0f} ms, decoded and dropped "
            f"{1e3 * times['dropped']:.0f} ms; six frames {1e3 * times['six']:.0f} ms "
            f"({times['everything'] / times['six']:.1f}× and "
            f"{times['dropped'] / times['six']:.1f}× as fast), fifteen "
            f"{1e3 * times['fifteen']:.0f} ms ({times['everything'] / times['fifteen']:.1f}× and "
            f"{times['dropped'] / times['fifteen']:.1f}×)"
        )


@pytest.mark.parametrize("gop", [250, 30])
def test_seeking_in_720p(clip_720p, gop, capsys):
    compare_seeking(clip_720p / f"{gop}.mp4", capsys, rounds=9)


def test_seeking_in_mead(recordings, capsys):
    for path in sorted((recordings / "mead").rglob("*.mp4")):
        compare_seeking(path, capsys, rounds=3)


def overlap(one, other):
    left, top = np.maximum(one[:2], other[:2])
    right, bottom = np.minimum(one[2:], other[2:])
    shared = max(0, right - left) * max(0, bottom - top)
    area = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return shared / (sum(area) - shared)


def test_mtcnn_on_whole_clips(recordings, capsys):
    from facenet_pytorch import MTCNN

    plain = MTCNN(keep_all=True, device="cpu")
    for path in sorted((recordings / "mead").rglob("*.mp4")):
        frames = video.read_frames(path, 15)
        smallest = 0.1 * min(frames.shape[1:3])
        faces.mtcnn_faces(frames[:1], min_face=smallest)  # loads the weights
        times, values = alternating(
            1,
            plain=lambda f=frames: [plain.detect(frame)[0] for frame in f],
            ours=lambda f=frames, s=smallest: faces.mtcnn_faces(f, min_face=s),
        )
        overlaps = [
            overlap(np.asarray(theirs[0], float), np.asarray(ours[0].box))
            for theirs, ours in zip(values["plain"], values["ours"], strict=True)
        ]
        assert np.mean(overlaps) >= 0.9
        with capsys.disabled():
            print(
                f"\nMTCNN, {path.name}: frame by frame at full size "
                f"{len(frames) / times['plain']:.1f} frames/s, at once "
                f"{len(frames) / times['ours']:.1f} frames/s, "
                f"{times['plain'] / times['ours']:.1f}× as fast; overlap of the boxes "
                f"{np.mean(overlaps):.3f} on average, at least {np.min(overlaps):.3f}"
            )


def test_faces_of_real_clips(recordings, tmp_path, capsys):
    files = [*sorted((recordings / "cremad").rglob("*.flv")), *(recordings / "mead").rglob("*.mp4")]
    manifest = pd.DataFrame({"clip_id": [f.stem for f in files], "path": list(map(str, files))})
    for recipe in (FaceFrames(), FaceFrames(frames=15, size=224, grey=False, detector="mtcnn")):
        spent, features = seconds(
            lambda r=recipe: extract(manifest, r, cache=tmp_path, progress=False)
        )
        assert len(features.problems) == 0
        with capsys.disabled():
            print(
                f"\n{recipe.detector}, {recipe.frames} faces a clip: "
                f"{len(files) / spent:.2f} clips/s, two processes"
            )
