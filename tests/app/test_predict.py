"""One file in, emotions out: what cannot be judged is said, what cannot be read is refused."""

import json
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from emolib import cli, corpora, models, paths
from emolib.app import draw, predict
from emolib.app.weights import FILES, WEIGHTS, PredictionError, network, write

OPTIONS = {
    "video": {"modality": "video", "design": "residual"},
    "audio": {"modality": "audio", "audio_channels": [8, 16]},
}
CORPORA = {"video": "fer2013", "audio": "ravdess"}


def write_weights(folder, modality, **changes):
    """Write an untrained network with its card."""
    classes = list(corpora.classes(CORPORA[modality]))
    torch.manual_seed(0)
    model = models.build("mostafa", len(classes), **OPTIONS[modality])
    card = {
        "title": "untrained", "corpus": CORPORA[modality], "modality": modality,
        "classes": classes, "options": OPTIONS[modality], "parameters": 1,
        "test_metrics": {"accuracy": 0.1, "uar": 0.1}, **changes,
    }  # fmt: skip
    return write(folder, model.state_dict(), card)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    for modality in OPTIONS:
        write_weights(folder, modality)
    return folder


def voice(seconds=2.0, rate=16_000, pitch=140.0):
    """A buzz with a voice's harmonics."""
    t = np.arange(int(seconds * rate)) / rate
    waves = sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 12))
    return (0.1 * waves * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t))).astype(np.float32)


def write_sound(path, samples, rate=16_000):
    import soundfile

    soundfile.write(path, samples, rate)
    return path


# --- weights -------------------------------------------------------------------------------


@pytest.mark.parametrize("modality", ["video", "audio"])
def test_the_committed_weights_are_small_and_load_by_their_card(modality):
    file = WEIGHTS / f"{FILES[modality]}.safetensors"
    published = network(modality)
    assert file.stat().st_size < 6e6
    card = published.card
    assert card["sha256"] and card["licence"] and card["split"]
    assert 0 < card["test_metrics"]["accuracy"] <= 1
    assert sum(p.numel() for p in published.model.parameters()) == card["parameters"]


def test_weights_with_another_order_of_the_labels_are_refused(tmp_path):
    shuffled = list(reversed(corpora.classes("fer2013")))
    write_weights(tmp_path, "video", classes=shuffled)
    with pytest.raises(PredictionError, match="labels would be mixed up"):
        network("video", tmp_path)


def test_a_card_that_names_another_order_than_its_weights_is_refused(tmp_path):
    file = write_weights(tmp_path, "video")
    weights, card = load_file(file), json.loads(file.with_suffix(".json").read_text())
    save_file(weights, file, metadata={"classes": json.dumps(card["classes"][::-1])})
    with pytest.raises(PredictionError, match="labels would be mixed up"):
        network("video", tmp_path)


def test_weights_that_are_not_the_file_of_the_card_are_refused(tmp_path):
    file = write_weights(tmp_path, "video")
    weights = {name: value + 1 for name, value in load_file(file).items()}
    said = {"classes": json.dumps(list(corpora.classes("fer2013")))}
    save_file(weights, file, metadata=said)
    with pytest.raises(PredictionError, match="not the file its card describes"):
        network("video", tmp_path)


def test_missing_weights_name_the_remedy(tmp_path):
    with pytest.raises(PredictionError, match="emolib train mostafa"):
        network("audio", tmp_path)


def test_own_weights_come_before_those_of_the_package_and_the_rest_from_there(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(paths, "HOME", tmp_path)
    folder = tmp_path / "weights" / "mostafa"
    write_weights(folder, "video", title="my own")
    assert network("video", folder).card["title"] == "my own"
    assert network("audio", folder).card == network("audio").card


# --- pictures ------------------------------------------------------------------------------


def gradient(height=60, width=80):
    return np.linspace(0, 255, height * width * 3).reshape(height, width, 3).astype(np.uint8)


@pytest.mark.parametrize(
    "mode", ["RGB", "L", "RGBA", "LA", "P", "CMYK", "1", "I;16"], ids=lambda mode: mode
)
def test_every_kind_of_picture_becomes_rgb(tmp_path, mode):
    image = Image.fromarray(gradient())
    if mode == "I;16":
        image = Image.fromarray(np.linspace(0, 65535, 4800).reshape(60, 80).astype(np.uint16))
    elif mode != "RGB":
        image = image.convert(mode)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    image.save(path)
    read = predict.read_picture(path)
    assert read.shape == (60, 80, 3)
    assert read.dtype == np.uint8
    assert np.ptp(read) > 200  # a 16-bit picture that is clipped would be white


def test_a_transparent_picture_is_laid_on_white(tmp_path):
    clear = np.zeros((20, 20, 4), np.uint8)
    Image.fromarray(clear).save(tmp_path / "a.png")
    assert (predict.read_picture(tmp_path / "a.png") == 255).all()


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_large_picture_is_shrunk_and_a_huge_one_refused(tmp_path):
    Image.new("L", (4000, 1000), 7).save(tmp_path / "large.png")
    assert predict.read_picture(tmp_path / "large.png").shape == (400, 1600, 3)
    # A header that promises 40,000 × 40,000 pixels: refused before any is decoded.
    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    (tmp_path / "huge.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", zlib.compress(b""))
    )
    with pytest.raises(PredictionError, match="smaller first"):
        predict.read_picture(tmp_path / "huge.png")


def test_a_picture_without_a_face_says_so_and_names_no_emotion(tmp_path, weights):
    Image.fromarray(gradient()).save(tmp_path / "a.png")
    answer = predict.predict(tmp_path / "a.png", folder=weights)
    assert answer.faces == []
    assert answer.notes == ["no face found in this picture"]
    assert answer.fusion is None


@pytest.mark.realdata
def test_every_face_of_a_picture_is_labelled(recordings, weights):
    answer = predict.predict(recordings / "faces" / "multi_face.jpg", folder=weights, confidence=0)
    assert len(answer.faces) == 5
    for face in answer.faces:
        assert sum(face.reading.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert face.reading.emotion in corpora.classes("fer2013")
    drawn = draw.annotate(answer.picture, answer.faces)
    assert drawn.shape == answer.picture.shape
    assert (drawn != answer.picture).any()


@given(
    corners=st.lists(st.tuples(st.integers(0, 560), st.integers(0, 400)), min_size=1, max_size=6)
)
def test_a_label_keeps_its_size_and_stays_in_the_picture(corners):
    boxes = [(x, y, x + 60, y + 60) for x, y in corners]
    for i, box in enumerate(boxes):
        others = boxes[:i] + boxes[i + 1 :]
        left, top, right, bottom = draw.label_strip(box, (110, 18), (480, 640), others)
        assert (right - left, bottom - top) == pytest.approx((110, 18))
        assert left >= 0
        assert top >= 0
        assert right <= 640 + 1e-9
        assert bottom <= 480 + 1e-9


def test_a_label_goes_below_its_face_where_another_face_is_above():
    face, above = (100, 100, 160, 160), (100, 20, 160, 90)
    free = draw.label_strip(face, (80, 18), (480, 640), [])
    moved = draw.label_strip(face, (80, 18), (480, 640), [above])
    assert free[3] <= 100
    assert moved[1] >= 160


# --- sounds --------------------------------------------------------------------------------


def test_a_voice_is_judged_and_silence_noise_and_a_blink_are_not(tmp_path, weights):
    rng = np.random.default_rng(0)
    heard = predict.predict(write_sound(tmp_path / "v.wav", voice()), folder=weights)
    assert heard.voice is not None
    assert set(heard.voice.probabilities) == set(corpora.classes("ravdess"))
    for name, samples, said in (
        ("silent", np.zeros(32_000), "no voice in 2.0 s"),
        ("hiss", 0.1 * rng.standard_normal(32_000), "no voice in 2.0 s"),
        ("short", voice(0.1), "no voice: 0.10 s of sound"),
    ):
        answer = predict.predict(write_sound(tmp_path / f"{name}.wav", samples), folder=weights)
        assert answer.voice is None
        assert said in answer.notes[0]


@pytest.mark.realdata
def test_recorded_voices_count_as_voices(recordings):
    from emolib.features import audio

    files = sorted(recordings.rglob("Actor_*/03-01-*.flac"))[::240]
    shares = [predict.voiced_share(*audio.load(file, 16_000)) for file in files]
    assert len(shares) >= 5
    assert min(shares) > 0.08


def test_a_long_recording_comes_in_windows_that_cover_it_once(tmp_path):
    samples = voice(10.5, rate=8000)
    parts = list(predict.windows(write_sound(tmp_path / "v.wav", samples, 8000)))
    assert sum(len(part) for part, _, _ in parts) == len(samples)
    assert max(len(part) for part, _, _ in parts) < 6 * 8000
    shares = [share for *_, share in parts]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


# --- videos --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_video(tmp_path_factory):
    """Three hours of 64×48 pixels, a frame every two seconds, with no sound."""
    from fractions import Fraction

    import av

    path = tmp_path_factory.mktemp("video") / "long.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 10)
        for i in range(0, 3 * 3600, 20):
            frame = av.VideoFrame.from_ndarray(
                np.full((48, 64, 3), 255 * i // (3 * 3600), np.uint8), format="rgb24"
            )
            frame.pts, frame.time_base = 10 * i, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_three_hours_of_video_are_sampled_frame_by_frame_with_progress(long_video, weights):
    times, brightness = [], []
    for at, image in predict.frames_of(long_video, 6):
        times.append(at)
        brightness.append(image.mean())
    assert times[-1] > 9000
    assert brightness == sorted(brightness)
    told = []
    answer = predict.predict(long_video, folder=weights, frames=4, progress=told.append)
    assert answer.frames == (4, 0)
    assert "no face found in 4 frames" in answer.notes
    assert any("no voice" in note for note in answer.notes)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_a_long_video_is_never_held_whole(long_video):
    frame, looked_at = 64 * 48 * 3, 400
    tracemalloc.start()
    try:
        assert sum(1 for _ in predict.frames_of(long_video, looked_at)) == looked_at
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < looked_at * frame / 4


@pytest.mark.realdata
def test_a_real_video_has_a_face_and_one_without_says_so(recordings, weights):
    seen = predict.predict(recordings / "faces" / "single_face.mp4", folder=weights, frames=3)
    assert len(seen.faces) == 1
    none = predict.predict(recordings / "faces" / "no_face.mp4", folder=weights, frames=3)
    assert none.faces == []


# --- what is refused, and what is fused ----------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.png", b"not a picture", "not readable as a picture"),
        ("a.wav", b"RIFF but not really", "not readable as sound"),
        ("a.mp4", b"\x00" * 64, "not readable as video"),
        ("a.png", b"", "is empty"),
        ("a.docx", b"text", "files of type .docx are not known"),
    ],
)
def test_a_damaged_or_unknown_file_is_refused_by_name(tmp_path, weights, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PredictionError, match=said) as refused:
        predict.predict(tmp_path / name, folder=weights)
    assert str(tmp_path / name) in str(refused.value)


def test_fusion_leaves_calm_out_and_is_the_mean_of_the_rest():
    face = predict.Reading.of(("happy", "sad"), np.array([0.8, 0.2]), 0)
    heard = predict.Reading.of(("calm", "happy", "sad"), np.array([0.5, 0.1, 0.4]), 0)
    fused = predict.fuse(face, heard, 0)
    assert fused.probabilities == pytest.approx({"happy": 0.5, "sad": 0.5})
    assert predict.fuse(face, None, 0) is None


def test_below_the_asked_confidence_the_answer_is_unsure():
    values = np.array([0.3, 0.4, 0.3])
    assert predict.Reading.of("abc", values, 0.5).emotion == predict.UNSURE
    assert predict.Reading.of("abc", values, 0.4).emotion == "b"


def test_the_command_prints_json_and_refuses_in_one_line(tmp_path, weights):
    path = write_sound(tmp_path / "v.wav", voice())
    run = CliRunner().invoke(cli.app, ["predict", str(path), "--json", "--weights", str(weights)])
    said = json.loads(run.stdout)
    assert said["kind"] == "sound"
    assert sum(said["voice"]["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    missing = CliRunner().invoke(cli.app, ["predict", str(tmp_path / "none.wav")])
    assert missing.exit_code == 2
    assert "does not exist" in missing.output
