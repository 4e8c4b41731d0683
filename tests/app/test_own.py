"""From a reader's own recordings to a network that judges: every paper, end to end."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from emolib import cli, paths, results
from emolib.app import live, predict, weights
from emolib.app.weights import PredictionError
from emolib.registry import PAPERS
from emolib.synthetic import apex_frame, media

RATE = 16_000
PEOPLE = ("ann", "ben", "cho")
#: Options that spare minutes: plain MFCC, and one version of each sound.
SHORT = {"yang": ("--data", "order=1.0"), "ding": ("--data", "augmentation=none")}


def speech(pitch, seconds=1.5):
    """Return a buzz with a voice's harmonics."""
    times = np.arange(int(seconds * RATE)) / RATE
    waves = sum(np.sin(2 * np.pi * pitch * k * times) / k for k in range(1, 12))
    return (0.1 * waves * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * times))).astype(np.float32)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Three people who say one sentence happily and sadly, twice, and the table of it."""
    folder = tmp_path_factory.mktemp("mine")
    lines = ["path,emotion,actor,text"]
    for actor, name in enumerate(PEOPLE, 1):
        for emotion in ("happy", "sad"):
            face, _ = apex_frame(actor, emotion, height=200)
            for take in (1, 2):
                pitch = 100 + 30 * actor + 10 * take + (60 if emotion == "happy" else 0)
                file = f"{name}-{emotion}-{take}.mp4"
                media.write_media(folder / file, [face] * 8, 5, speech(pitch), RATE)
                lines.append(f"{file},{emotion},{name},the door is open")
    (folder / "my.csv").write_text("\n".join([*lines, "gone.mp4,sad,ann,"]))
    return folder / "my.csv"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Keep all that is made here for the module."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("home")
    for name in ("FEATURES", "RUNS", "RESULTS"):
        patch.setattr(paths, name, folder / name.lower())
    yield folder
    patch.undo()


def run(*words):
    """Run a command in this process; it must succeed."""
    done = CliRunner().invoke(cli.app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="module")
def trained(table, home):
    """Train with one command, once; return the folder of the weights and what was printed."""
    done = {}

    def train(key, modality):
        folder = home / "weights" / (f"{key}-both" if modality == "both" else key)
        words = ("--modality", modality, "--folds", "0", "--save", "--weights", folder, "--json")
        if (key, modality) not in done:
            ended = run("train", key, "--corpus", table, *words, *SHORT.get(key, ()))
            done[key, modality] = json.loads(ended.stdout)
        return folder, done[key, modality]

    return train


@pytest.mark.parametrize("key", PAPERS)
@pytest.mark.parametrize("modality", ["audio", "video"])
def test_a_table_becomes_a_network_that_judges_a_file_as_in_its_test(table, trained, key, modality):
    folder, printed = trained(key, modality)
    assert "own recordings, split by actor, my.csv" in printed["title"]
    result = results.read(printed["file"])
    card = json.loads((folder / f"{weights.FILES[modality]}.json").read_text())
    assert card["classes"] == ["happy", "sad"]
    assert len(card["trained_on_actors"]) == 1
    assert set(card["new_people"]) == {"accuracy", "uar"}
    tested = result.runs[0]
    truth = tested.probabilities("clip")
    for row, expected in zip(tested.rows("clip"), truth, strict=True):
        answer = predict.predict(table.parent / result.samples.clip_ids[row], folder=folder)
        reading = answer.faces[0].reading if modality == "video" else answer.voice
        assert [*reading.probabilities.values()] == pytest.approx([*expected], abs=1e-3)


def test_a_joint_network_answers_for_both(table, trained):
    folder, printed = trained("ding", "both")
    result = results.read(printed["file"])
    row, expected = result.runs[0].rows("clip")[0], result.runs[0].probabilities("clip")[0]
    file = table.parent / result.samples.clip_ids[row]
    answer = json.loads(run("predict", file, "--weights", folder, "--json").stdout)
    assert [*answer["fusion"]["probabilities"].values()] == pytest.approx([*expected], abs=1e-3)


@pytest.mark.parametrize("key", PAPERS)
def test_the_network_is_exported_and_its_file_agrees(trained, tmp_path, key):
    folder, _ = trained(key, "audio")
    words = ("--weights", folder / "voice.safetensors", "--out", tmp_path / "a.onnx", "--json")
    (row,) = json.loads(run("export", key, *words).stdout)
    assert row["largest difference"] < 1e-3


@pytest.mark.parametrize("key", PAPERS)
def test_the_live_app_asks_the_network(trained, key):
    folder, _ = trained(key, "audio")
    trained(key, "video")
    session = live.Session(confidence=0, folder=folder)
    face, _ = apex_frame(2, "sad", height=300)
    (seen,) = session.see(face, now=0.0)
    assert set(seen.reading.probabilities) == {"happy", "sad"}
    session.hear(RATE, speech(150, 3.0), now=0.0)
    assert set(session.voice.probabilities) == {"happy", "sad"}
    assert session.fusion() is not None
    assert "own recordings" in live._footer(folder)


def test_a_network_of_voices_alone_leaves_faces_alone(trained, tmp_path):
    folder, _ = trained("ding", "audio")
    for file in folder.glob("voice.*"):
        shutil.copy(file, tmp_path)
    face, _ = apex_frame(2, "sad", height=300)
    assert live.Session(folder=tmp_path).see(face) == []
    Image.fromarray(face).save(tmp_path / "face.png")
    answer = predict.predict(tmp_path / "face.png", folder=tmp_path)
    assert answer.lines() == ["the network voice is not asked: the file has no audio"]


def test_the_live_app_needs_a_network_of_one_medium(trained):
    with pytest.raises(live.LiveError, match="train with --modality audio or"):
        live.build(trained("ding", "both")[0])


def test_recordings_that_changed_since_are_noticed(table, home, tmp_path):
    from emolib.app import own
    from emolib.papers import engine

    copy = table.with_name("other.csv")
    copy.write_text(table.read_text())
    asked = engine.declared(
        "ding", corpus="table", modality="audio", folds=(0,),
        data={"root": str(copy), "augmentation": "none"},
    )  # fmt: skip
    result = engine.run("ding", asked, progress=False)
    lines = copy.read_text().splitlines()
    copy.write_text("\n".join([*lines[:3], *lines[4:]]))
    with pytest.raises(PredictionError, match="have changed since"):
        own.publish("ding", asked, result, tmp_path)


def test_without_speakers_training_is_refused_and_the_way_out_works(table, home):
    bare = table.with_name("bare.csv")
    lines = table.read_text().splitlines()
    bare.write_text("\n".join(",".join(line.split(",")[:2]) for line in lines))
    words = ["train", "ding", "--corpus", str(bare), "--modality", "audio", *SHORT["ding"]]
    refused = CliRunner().invoke(cli.app, words)
    assert refused.exit_code == 2
    assert "have no actor" in refused.output
    assert "--split clip --allow-leak clip" in " ".join(refused.output.split())
    leaking = run(*words, "--split", "clip", "--allow-leak", "clip", "--folds", "0", "--json")
    assert "clips of one actor on both sides" in json.loads(leaking.stdout)["title"]


def test_a_table_is_checked_line_by_line(table):
    done = CliRunner().invoke(cli.app, ["data", "check", str(table), "--json"])
    assert done.exit_code == 1
    checked = json.loads(done.stdout)
    assert len(checked["clips"]) == 12
    (problem,) = checked["problems"]
    assert problem["path"] == "my.csv, line 14: gone.mp4"
    shown = CliRunner().invoke(cli.app, ["data", "check", str(table)])
    assert "12 recordings can be used, 1 lines or files cannot" in shown.output


def test_features_and_explanations_are_made_of_a_table(table, home):
    made = json.loads(run("features", "mostafa", "--corpus", table, "--json").stdout)
    assert made["clips"] == 12
    words = ("--modality", "audio", "--epochs", "1", "--json")
    explained = json.loads(run("explain", "mostafa", "--corpus", table, *words).stdout)
    assert explained["regions"]


def test_what_is_neither_corpus_nor_path_is_refused():
    done = CliRunner().invoke(cli.app, ["features", "ding", "--corpus", "ravdes"])
    assert done.exit_code == 2
    assert "unknown corpus 'ravdes'" in done.output
