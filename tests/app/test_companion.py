"""Lu's system on whole clips: what is there decides, what is missing is said, all is timed."""

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from emolib import cli, corpora, models, paths
from emolib.app import companion, predict
from emolib.app.companion import decide
from emolib.app.predict import Reading
from emolib.app.weights import PredictionError, network, write
from emolib.features import faces
from emolib.papers import lu

OPTIONS = {"video": {"modality": "video"}, "audio": {"modality": "audio", "speech": "S1"}}
CORPORA = {"video": "paired", "audio": "ravdess"}
INPUTS = {
    "video": {"shape": [15, 1, 48, 48]},
    "audio": {"shape": [40, 1], "standardise": {"mean": [0.0] * 40, "sd": [50.0] * 40}},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    for modality, options in OPTIONS.items():
        classes = list(corpora.classes(CORPORA[modality]))
        torch.manual_seed(0)
        model = models.build("lu", len(classes), **options)
        card = {
            "paper": "lu", "corpus": CORPORA[modality], "modality": modality, "classes": classes,
            "options": options, "input": INPUTS[modality],
        }  # fmt: skip
        write(folder, model.state_dict(), card)
    return folder


def write_clip(path, frames, *, sound=None, rotation=0, stamps=None):
    """Encode RGB frames at 25 a second, or at `stamps` in milliseconds."""
    from fractions import Fraction

    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if stamps is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        speech = (
            container.add_stream("aac", rate=16_000, layout="mono") if sound is not None else None
        )
        for i, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            if stamps is not None:
                picture.pts, picture.time_base = int(stamps[i]), Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
        if speech is not None:
            samples = av.AudioFrame.from_ndarray(
                sound.astype(np.float32)[None], format="fltp", layout="mono"
            )
            samples.sample_rate = 16_000
            container.mux(speech.encode(samples))
            container.mux(speech.encode())
    return path


def buzz(seconds=1.0, rate=16_000):
    t = np.arange(int(seconds * rate)) / rate
    return sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 9)) * 0.1


@pytest.fixture(scope="module")
def portrait(recordings):
    """A real face of 240 rows, RGB."""
    import cv2

    image = predict.read_picture(recordings / "faces" / "single_face.jpg")
    scale = 240 / image.shape[0]
    width = round(image.shape[1] * scale) // 2 * 2
    return cv2.resize(image, (width, 240), interpolation=cv2.INTER_AREA)


@pytest.mark.realdata
def test_a_real_video_is_decided_with_the_time_of_every_stage(recordings, weights):
    decision = decide(recordings / "faces" / "WolfgangLanger_Pexels.mp4", folder=weights)
    assert decision.face is not None
    assert {"read frames", "find faces", "face network"} <= set(decision.milliseconds)
    parts = [ms for name, ms in decision.milliseconds.items() if name != "total"]
    assert decision.milliseconds["total"] == pytest.approx(sum(parts))
    if decision.voice is None:  # the clip is silent: said, and the face decides alone
        assert decision.notes
        assert decision.fusion is None


@pytest.mark.realdata
def test_a_face_that_is_lost_midway_is_counted(recordings, weights):
    decision = decide(recordings / "faces" / "face_noface.mov", folder=weights)
    assert 0 < decision.missed_frames < 15
    assert any(f"no face in {decision.missed_frames} of 15" in note for note in decision.notes)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        (5, {}, "the clip has 5 of 15 frames"),
        (20, {"stamps": np.cumsum([0, *[15, 120] * 10])[:20]}, "unequally spaced"),
    ],
    ids=["short", "variable rate"],
)
def test_short_and_unsteady_clips_show_their_face_and_are_said_to_be_so(
    portrait, weights, tmp_path, frames, options, message
):
    path = write_clip(tmp_path / "clip.mp4", [portrait] * frames, sound=buzz(), **options)
    decision = decide(path, folder=weights)
    assert decision.missed_frames == 0
    (note,) = decision.notes
    assert message in note
    assert sum(decision.fusion.probabilities.values()) == pytest.approx(1)
    assert "calm" not in decision.fusion.probabilities


@pytest.mark.realdata
def test_a_clip_that_is_stored_lying_is_seen_upright(portrait, weights, tmp_path):
    turned = write_clip(tmp_path / "turned.mp4", [np.rot90(portrait, -1)] * 16, rotation=90)
    upright = write_clip(tmp_path / "upright.mp4", [portrait] * 16)
    seen, expected = (decide(path, folder=weights) for path in (turned, upright))
    assert seen.missed_frames == 0
    assert any("stored turned by" in note for note in seen.notes)
    assert not any("turned" in note for note in expected.notes)
    for emotion, probability in expected.face.probabilities.items():
        assert seen.face.probabilities[emotion] == pytest.approx(probability, abs=0.03)


@pytest.mark.realdata
def test_without_a_sound_track_the_face_decides_alone(portrait, weights, tmp_path):
    decision = decide(write_clip(tmp_path / "mute.mp4", [portrait] * 20), folder=weights)
    assert decision.voice is None is decision.fusion
    assert any("sound" in note or "audio" in note for note in decision.notes)


def test_without_a_face_the_voice_decides_alone(weights, tmp_path):
    path = write_clip(
        tmp_path / "wall.mp4", [np.full((96, 128, 3), 90, np.uint8)] * 20, sound=buzz()
    )
    decision = decide(path, folder=weights)
    assert decision.face is None is decision.fusion
    assert decision.voice is not None
    assert any("no face" in note for note in decision.notes)


def test_a_clip_with_neither_is_refused_by_name(weights, tmp_path):
    path = write_clip(tmp_path / "nothing.mp4", [np.full((96, 128, 3), 90, np.uint8)] * 20)
    with pytest.raises(PredictionError, match=r"nothing\.mp4.*no face.*give a clip"):
        decide(path, folder=weights)


def test_a_missing_file_and_missing_weights_name_the_remedy(weights, tmp_path):
    with pytest.raises(PredictionError, match="does not exist"):
        decide(tmp_path / "gone.mp4", folder=weights)
    (tmp_path / "clip.mp4").write_bytes(b"x")
    with pytest.raises(PredictionError, match="missing"):
        decide(tmp_path / "clip.mp4", folder=tmp_path)


def test_fusion_is_the_geometric_mean_over_the_shared_emotions():
    face = Reading.of(("happy", "sad"), np.array([0.8, 0.2]), 0)
    voice = Reading.of(("calm", "happy", "sad"), np.array([0.5, 0.1, 0.4]), 0)
    fused = predict.fuse(face, voice, 0, "geometric")
    assert set(fused.probabilities) == {"happy", "sad"}
    odds = np.sqrt(0.8 * 0.2) / np.sqrt(0.2 * 0.8)
    assert fused.probabilities["happy"] / fused.probabilities["sad"] == pytest.approx(odds)


@pytest.mark.skipif(
    not (companion.WEIGHTS / "face.json").exists(), reason="no weights of Lu's are committed"
)
def test_the_committed_weights_say_what_they_were_trained_on_and_judge_a_clip():
    face, voice = (network(name, companion.WEIGHTS) for name in ("video", "audio"))
    assert "FER2013" in face.card["title"]
    assert "RAVDESS" in voice.card["title"]
    assert face.card["options"]["tam"] == "marked"
    shown = torch.zeros(1, 15, 3, lu.SIDE, lu.SIDE)
    assert face.probabilities(shown).shape == (1, len(face.classes))
    assert len(voice.card["input"]["standardise"]["mean"]) == lu.N_MFCC
    for card in (face.card, voice.card):
        assert card["clips"]["test"] > 0
        assert 0 < card["all_runs"]["uar"] < 1


def test_the_card_of_the_face_says_what_strangers_got_one_person_a_clip():
    card = network("video", companion.WEIGHTS).card
    asked = pd.read_csv(paths.RESULTS / "lu" / "looks.csv").set_index("clips")
    assert (asked["network"] == card["title"]).all()
    for name in ("accuracy", "uar"):
        assert card["test_metrics"][name] == round(asked.loc["one", name], 4)
        assert card["all_runs"][name] < asked.loc["several", name] - 0.2, "people, not frames"


def test_the_paper_s_preprocessing_is_fifteen_aligned_faces_of_224_by_mtcnn():
    recipe = lu.face_recipe(15, 224, "mtcnn")
    assert isinstance(recipe, faces.FaceFrames)
    assert (recipe.frames, recipe.size, recipe.detector) == (15, 224, "mtcnn")
    assert recipe.align
    assert not recipe.grey
    assert recipe.skip == 0


def test_the_command_prints_the_stages_and_refuses_other_papers(weights, tmp_path):
    path = write_clip(
        tmp_path / "wall.mp4", [np.full((96, 128, 3), 90, np.uint8)] * 20, sound=buzz()
    )
    said = CliRunner().invoke(
        cli.app, ["predict", str(path), "--paper", "lu", "--weights", str(weights)]
    )
    assert said.exit_code == 0, said.output
    for stage in ("find faces", "MFCC", "voice network", "total", "the paper"):
        assert stage in said.output
    assert CliRunner().invoke(cli.app, ["predict", str(path), "--paper", "ding"]).exit_code == 2
