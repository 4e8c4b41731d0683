"""One file from the waveform or the picture on answers as librosa, OpenCV and PyTorch do."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from emolib import cli, corpora, models
from emolib.export import answer, network, whole

VOICES, FACES = list(corpora.classes("ravdess")), list(corpora.classes("fer2013"))
RATE = 48_000


def card(paper, modality, *, options=None, data=None, scale=None):
    """The card of an untrained network."""
    return {
        "name": f"{paper}-{modality}", "paper": paper, "modality": modality, "title": "untrained",
        "corpus": "ravdess" if modality == "audio" else "fer2013",
        "classes": VOICES if modality == "audio" else FACES,
        "options": {"modality": modality, **(options or {})}, "data": data or {},
        "licence": "none", **({"scale": {modality: scale}} if scale else {}),
    }  # fmt: skip


CARDS = {
    "ding": card(
        "ding", "audio", data={"normalise": "train"},
        scale={"mean": [[-9.0] * 40], "sd": [[90.0] * 40]},
    ),
    "lu": card(
        "lu", "audio", scale={"mean": [[[[-9.0]] * 40]], "sd": [[[[90.0]] * 40]]}
    ),
    "yang": card(
        "yang", "audio", data={"order": 0.95},
        scale={"mean": [[[-9.0]] * 10], "sd": [[[60.0]] * 10]},
    ),
    "mostafa": card("mostafa", "audio", options={"audio_channels": [8, 16]}),
    "ishtiaq": card("ishtiaq", "audio", options={"activation": "swish"}),
    "ding-face": card("ding", "video"),
    "lu-face": card("lu", "video"),
    "yang-face": card("yang", "video", data={"spatial": "pixels"}),
    "mostafa-face": card("mostafa", "video", options={"design": "residual"}),
    "ishtiaq-face": card("ishtiaq", "video", options={"activation": "swish"}),
}  # fmt: skip


class Outspoken(torch.nn.Module):
    """An untrained network whose answers differ from clip to clip, so that they can be compared."""

    def __init__(self, judge):
        super().__init__()
        self.judge, self.centre, self.spread = judge, 0.0, 1.0

    def forward(self, **given):
        return (self.judge(**given) - self.centre) / self.spread

    def look_at(self, **given):
        """Take the statistics of a batch, as one epoch would."""
        with torch.no_grad():
            self.judge.train()
            for _ in range(30):
                self.judge(**given)
            logits = self.judge.eval()(**given)
        self.centre, self.spread = logits.mean(0), logits.std(0).mean()


def judge(card):
    torch.manual_seed(0)
    return Outspoken(models.build(card["paper"], len(card["classes"]), **card["options"])).eval()


def sounds(count=3, seconds=2.0):
    """Glides of different pitch and loudness, with hiss."""
    rng = np.random.default_rng(0)
    t = np.arange(int(seconds * RATE)) / RATE
    made = []
    for i in range(count):
        pitch = 2 * np.pi * (100 * (i + 1) * t + 30 * i * t**2)
        waves = sum(np.sin(k * pitch) / k for k in range(1, 9)) * np.clip(np.sin(5 * t + i), 0, 1)
        made.append(0.1 / (i + 1) * waves + 1e-3 * rng.standard_normal(len(t)))
    return np.stack(made).astype(np.float32)


def pictures(count=3, side=48):
    """Blots, each grey."""
    import cv2

    rng = np.random.default_rng(1)
    made = [
        cv2.GaussianBlur(rng.integers(0, 256, (side, side), dtype=np.uint8), (0, 0), 3)
        for _ in range(count)
    ]
    return np.stack([cv2.normalize(one, None, 0, 255, cv2.NORM_MINMAX) for one in made])[
        ..., None
    ].repeat(3, -1)


@pytest.mark.parametrize("name", CARDS)
def test_every_voice_and_face_network_has_a_front_end_that_equals_python(name, tmp_path):
    import soundfile

    judging, its = judge(CARDS[name]), CARDS[name]
    model = whole.build(judging, its, RATE)
    if its["modality"] == "audio":
        given, places = sounds(), []
        for i, samples in enumerate(given):
            places.append(tmp_path / f"{i}.wav")
            soundfile.write(places[-1], samples, RATE, subtype="FLOAT")
    else:
        given = places = pictures()
    batch = torch.from_numpy(given)
    judging.look_at(**model.prepare({model.medium: model.front(batch)}, None))
    with torch.inference_mode():
        answers = model(batch).numpy()
    expected = np.stack([whole.in_python(judging, its, one) for one in places])
    assert np.ptp(expected, axis=0).max() > 0.1  # not the same answer to everything
    np.testing.assert_allclose(answers, expected, atol=1e-3)


# --- a file ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    """The smallest voice network as a file."""
    its = CARDS["mostafa"]
    model = whole.build(judge(its), its, RATE)
    return model, whole.save(model, its, tmp_path_factory.mktemp("whole") / "voice.onnx")


@pytest.fixture(scope="module")
def face(tmp_path_factory):
    its = CARDS["ding-face"]
    model = whole.build(judge(its), its)
    return model, whole.save(model, its, tmp_path_factory.mktemp("whole") / "face.onnx")


@pytest.mark.parametrize(("batch", "n"), [(1, 30_000), (3, 96_000), (2, 250_001)])
def test_batch_and_length_of_a_voice_are_free(voice, batch, n):
    model, file = voice
    given = torch.from_numpy(np.resize(sounds(batch, 6.0), (batch, n)))
    assert whole.parity(model, file, given) < 1e-5


@pytest.mark.parametrize(("height", "width"), [(48, 48), (90, 33), (20, 500)])
def test_batch_and_size_of_a_picture_are_free(face, height, width):
    model, file = face
    given = torch.from_numpy(np.resize(pictures(3), (2, height, width, 3)))
    assert whole.parity(model, file, given) < 1e-5
    grey = network.run(file, {"picture": given[..., :1]})
    np.testing.assert_allclose(
        grey, network.run(file, {"picture": given[..., :1].repeat(1, 1, 1, 3)})
    )


def test_the_front_end_weighs_little_and_has_the_operators_of_today(voice):
    import onnx

    model, file = voice
    of_network = sum(p.numel() for p in model.judge.parameters()) * 4
    assert file.stat().st_size - of_network < 80_000
    graph = onnx.load(file)
    assert graph.opset_import[0].version == network.OPSET
    assert "STFT" in {node.op_type for node in graph.graph.node}
    onnx.checker.check_model(str(file), full_check=True)


def test_the_file_says_what_its_answers_mean(voice):
    asked = answer.WholeFile(voice[1])
    assert asked.classes == tuple(VOICES)
    assert (asked.takes, asked.rate) == ("waveform", RATE)
    assert asked.card == CARDS["mostafa"]
    assert asked.told["licence"] == "none"


ALONE = """
    import importlib.abc, sys

    class Refuse(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            top = name.partition(".")[0]
            if top not in {"numpy", "onnxruntime"} and top not in sys.stdlib_module_names:
                raise ImportError(f"{name} is not on this board")

    sys.meta_path.insert(0, Refuse())
    import json
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(sys.argv[1])
    told = session.get_modelmeta().custom_metadata_map
    waveform = np.load(sys.argv[2])
    (answers,) = session.run(None, {told["input"]: waveform})
    print(json.dumps(dict(zip(json.loads(told["classes"]), answers[0].tolist()))))
"""


def test_the_file_needs_onnxruntime_and_numpy_alone(voice, tmp_path):
    model, file = voice
    np.save(tmp_path / "sound.npy", sounds(1))
    script = textwrap.dedent(ALONE)
    run = subprocess.run(
        [sys.executable, "-c", script, str(file), str(tmp_path / "sound.npy")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    with torch.inference_mode():
        expected = model(torch.from_numpy(sounds(1)))[0].tolist()
    assert json.loads(run.stdout) == pytest.approx(
        dict(zip(VOICES, expected, strict=True)), abs=1e-5
    )


@pytest.mark.realdata
def test_the_published_voice_answers_real_recordings_as_librosa_and_torch_do(recordings, tmp_path):
    from emolib.features import audio

    files = sorted(recordings.rglob("Actor_*/03-01-*.flac"))[::120]
    assert len(files) == 12
    (row,) = whole.write("mostafa", tmp_path, only="voice").to_dict("records")
    judging, its = network.trained("mostafa", whole.published("mostafa", None)[0])
    asked = answer.WholeFile(row["file"])
    answers = [asked.of_sound(*audio.load(file)) for file in files]
    expected = [whole.in_python(judging, its, file) for file in files]
    np.testing.assert_allclose(answers, expected, atol=1e-3)


# --- what is refused -------------------------------------------------------------------------


def refused(*arguments):
    """Run the command; return its one line."""
    run = CliRunner().invoke(cli.app, ["export", *map(str, arguments)])
    assert run.exit_code == 2, run.output
    assert len(run.output.splitlines()) == 1
    return run.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lu", "--whole", "--classes", 7], "tell 8 emotions apart, not 7: leave out --classes"),
        (["mostafa", "--whole", "--weights", whole.published("lu", None)[0]], "are weights of lu"),
        (["mostafa", "--whole", "--opset", 9], "opset 9: give 18 to 23"),
        (["mostafa", "--whole", "--rate", 44_100], "44100 samples a second: give 48000 or 16000"),
        (["mostafa", "--rate", 16_000], "only a file with its front end"),
        (["mostafa", "--all", "--whole"], "give a paper, or --all --whole"),
        (["mostafa", "--whole", "--out", "a.onnx"], "a.onnx is one file: give a folder"),
    ],
)  # fmt: skip
def test_the_command_refuses_in_one_line(arguments, said):
    assert said in refused(*arguments)


def test_a_folder_of_a_run_says_which_files_it_lacks(tmp_path):
    (tmp_path / "seed0-fold0.safetensors").write_bytes(b"")
    said = refused("mostafa", "--whole", "--weights", tmp_path)
    assert "lacks voice.safetensors and face.safetensors with their cards" in said


def test_weights_without_their_card_or_scale_are_refused(tmp_path):
    from safetensors.torch import save_model

    save_model(models.build("lu"), str(tmp_path / "voice.safetensors"))
    assert "voice.json is missing" in refused("lu", "--whole", "--weights", tmp_path)
    without = {name: value for name, value in CARDS["lu"].items() if name != "scale"}
    with pytest.raises(network.ExportError, match="lacks the scale"):
        whole.build(judge(CARDS["lu"]), without)
    with pytest.raises(network.ExportError, match="takes several inputs"):
        whole.build(judge(CARDS["lu"]), CARDS["lu"] | {"modality": "both"})
