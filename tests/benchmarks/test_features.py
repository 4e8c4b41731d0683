"""What the feature extractors gain over the plain way, measured in one run.

Each benchmark prints its ratio and asserts that both ways give the same values; no time is
asserted. ``EMOLIB_BENCH_CLIPS`` sets how many RAVDESS clips are used (all: 1440).
"""
# ruff: noqa: PD011 (Features.values is a NumPy array, not a column of pandas)

import os
import shutil
import threading
import time
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest

from emolib.features import faces, video
from emolib.features.audio import Mfcc
from emolib.features.faces import FaceFrames
from emolib.features.store import extract

pytestmark = pytest.mark.benchmark

CLIPS = int(os.environ.get("EMOLIB_BENCH_CLIPS", "240"))


def seconds(function, *arguments, clock=time.perf_counter):
    start = clock()
    value = function(*arguments)
    return clock() - start, value


def alternating(rounds, *, clock=time.perf_counter, **ways):
    """Time several ways in turn, so that all meet the same load; the median of each."""
    times = {name: [] for name in ways}
    values = {}
    for _ in range(rounds):
        for name, function in ways.items():
            spent, values[name] = seconds(function, clock=clock)
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


# --- films like those of RAVDESS ------------------------------------------------------------

FILMS, TAKES = 64, 8
CORPUS = 1440  # films of RAVDESS speech


def film(path, take, grain):
    """Write 3.5 s of a talking face: 1280×720, 30 frames and 10 Mbit a second, x264's keyframes."""
    import av
    import cv2

    drawn = [frame for frame, _ in take.frames(take.speech())]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        stream.bit_rate = 10_000_000  # RAVDESS has as much
        for i in range(105):
            frame = cv2.resize(drawn[min(i * 25 // 30, len(drawn) - 1)], (960, 720))
            frame = cv2.copyMakeBorder(frame, 0, 0, 160, 160, cv2.BORDER_REPLICATE)
            frame = np.clip(frame + grain[7 * i % len(grain)], 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """64 films of eight performances: a manifest."""
    from emolib.emotions import EMOTIONS
    from emolib.synthetic.performance import Take

    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(0)
    grain = [rng.integers(-6, 7, (720, 1280, 1), dtype=np.int16) for _ in range(16)]
    files = [folder / f"{number:02d}.mp4" for number in range(FILMS)]
    for number, file in enumerate(files):
        if number < TAKES:
            emotion = EMOTIONS[number]
            film(file, Take(1 + number, emotion, "Kids are talking by the door"), grain)
        else:
            shutil.copy(files[number % TAKES], file)
    return pd.DataFrame({"clip_id": [f.stem for f in files], "path": list(map(str, files))})


@contextmanager
def memory_of_workers():
    """Give a list that ends up with the most bytes that all processes together had."""
    import psutil

    peak, done = [0], threading.Event()

    def watch():
        while not done.wait(0.05):
            used = 0
            for process in psutil.Process().children(recursive=True):
                try:
                    used += process.memory_info().rss
                except psutil.Error:  # it has ended
                    continue
            peak[0] = max(peak[0], used)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def plain_haar(frames):
    """The largest face of each frame, searched for at full size."""
    import cv2

    path = f"{cv2.data.haarcascades}haarcascade_frontalface_default.xml"
    cascade = cv2.CascadeClassifier(path)
    greys = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames)
    found = [cascade.detectMultiScale(grey, 1.1, 5) for grey in greys]
    largest = [max(boxes, key=lambda box: box[2]) for boxes in found]
    return [(x, y, x + w, y + h) for x, y, w, h in largest]


def plain_mtcnn(frames, networks=[]):  # noqa: B006 (loaded once)
    """The most probable face of each frame, one by one at full size."""
    from facenet_pytorch import MTCNN

    networks[:] = networks or [MTCNN(keep_all=True, device="cpu")]
    return [networks[0].detect(frame)[0][0] for frame in frames]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("recipe", "plain", "most"),
    [
        (FaceFrames(), plain_haar, TAKES),
        (FaceFrames(frames=15, size=224, grey=False, detector="mtcnn"), plain_mtcnn, 2),
    ],
    ids=["Haar, 6 frames", "MTCNN, 15 frames"],
)
def test_faces_of_films(films, recipe, plain, most, tmp_path, capsys, request):
    k, spent, overlaps = recipe.frames, [], []
    chosen = [int((i + 0.5) * 105 / k) for i in range(k)]
    for row in films.iloc[:most].to_dict("records"):
        path = row["path"]
        recipe.follow(video.read_frames(path, k), row)  # the detector is loaded
        plain(video.read_frames(path, 1))
        times, values = alternating(
            3 if most == TAKES else 1,
            clock=time.process_time,  # the other core may be busy
            whole=lambda p=path: decode_everything(p)[chosen],
            dropped=lambda p=path: decode_and_drop(p),
            needed=lambda p=path: video.read_frames(p, k),
            plain=lambda p=path: plain(decode_everything(p)[chosen]),
            ours=lambda p=path, r=row: recipe.follow(video.read_frames(p, k), r),
        )
        np.testing.assert_array_equal(values["needed"], values["whole"])
        overlaps += [
            overlap(np.asarray(a, float), np.asarray(b.box))
            for a, b in zip(values["plain"], values["ours"], strict=True)
        ]
        spent.append(times)
    each = pd.DataFrame(spent).mean()
    assert np.mean(overlaps) >= 0.8
    with memory_of_workers() as peak:
        wall, features = seconds(lambda: extract(films, recipe, cache=tmp_path, progress=False))
    assert len(features.values) == FILMS
    assert peak[0] < 2 * 2**30
    with capsys.disabled():
        print(
            f"\n{request.node.callspec.id} of films 1280×720, 3.5 s, one keyframe in 250; "
            f"milliseconds of processor time a clip\n"
            f"    read:   whole file to an array {1e3 * each['whole']:.0f}, every frame in turn "
            f"{1e3 * each['dropped']:.0f}, only what is needed {1e3 * each['needed']:.0f}: "
            f"{each['whole'] / each['needed']:.1f}× and {each['dropped'] / each['needed']:.1f}× "
            f"as fast, the same frames\n"
            f"    faces:  whole file, then detector frame by frame at full size "
            f"{1e3 * each['plain']:.0f}, ours {1e3 * each['ours']:.0f}: "
            f"{each['plain'] / each['ours']:.1f}× as fast; boxes overlap by "
            f"{np.mean(overlaps):.2f} on average, at least {np.min(overlaps):.2f}\n"
            f"    {FILMS} films on two processes: {wall:.1f} s, {wall / FILMS:.3f} s a clip, so "
            f"{CORPUS:,} take {CORPUS * wall / FILMS / 60:.0f} minutes; at most "
            f"{peak[0] / 2**20:.0f} MiB"
        )
