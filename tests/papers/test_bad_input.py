"""A bad file is named and counted, and costs no other clip."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from emolib import cli
from emolib.papers import engine
from emolib.synthetic.media import write_media

RATE = 48_000
VOICE = (0.3 * np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE)).astype(np.float32)
FILM, SOUND = "VideoFlash/1002_DFA_SAD_XX.flv", "AudioWAV/1002_DFA_SAD_XX.wav"
CLIPS = 6


@pytest.fixture
def cremad(every_corpus, tmp_path, monkeypatch):
    """A CREMA-D of six good films with their sound files, to be spoilt."""
    shutil.copytree(every_corpus / "cremad", tmp_path / "cremad")
    monkeypatch.setenv("EMOLIB_DATA", str(tmp_path))
    return tmp_path / "cremad"


def load(corpus="cremad", modality="both", **options):
    return engine.paper("mostafa").load(corpus, modality, "quick", n_jobs=1, **options)


def named(data, capsys):
    """Return the one problem; the console names it too."""
    (problem,) = data.problems.to_dict("records")
    assert data.features["problems"] == 1
    console = capsys.readouterr().err
    assert "1 files could not be used" in console
    assert f"{problem['path']}: {problem['cause']}" in console
    return problem


def test_good_files_make_no_noise(cremad, capsys):
    data = load()
    assert len(data.manifest) == CLIPS
    assert data.problems.empty
    assert "could not be used" not in capsys.readouterr().err


def test_a_film_without_sound_is_heard_in_its_sound_file_or_left_out(cremad, capsys):
    shown = np.asarray(load().samples.inputs["video"])
    from emolib.features.video import read_frames

    frames = read_frames(cremad / FILM, 12)
    write_media(cremad / FILM, list(frames), 12, None, RATE)
    assert len(load().manifest) == CLIPS
    (cremad / SOUND).unlink()
    capsys.readouterr()
    data = load()
    problem = named(data, capsys)
    assert problem["path"] == str(cremad / FILM)
    assert problem["cause"] == "no sound stream"
    assert (len(data.manifest), data.features["clips_left_out"]) == (CLIPS - 1, 1)
    kept = [i for i, clip in enumerate(load(modality="video").manifest["clip_id"])
            if clip in set(data.manifest["clip_id"])]  # fmt: skip
    assert torch.equal(data.samples.inputs["video"], torch.from_numpy(shown[kept]))


def test_a_sound_without_its_film_is_named_where_faces_are_needed_too(cremad, capsys):
    (cremad / FILM).unlink()
    data = load()
    problem = named(data, capsys)
    assert problem["path"] == str(cremad / SOUND)
    assert "a sound without its film" in problem["cause"]
    assert len(data.manifest) == CLIPS - 1
    assert len(load(modality="audio").manifest) == CLIPS, "voices alone need no film"


def test_a_clip_where_no_face_is_found_is_left_out_of_what_needs_faces(cremad, capsys):
    noise = np.random.default_rng(0).integers(0, 40, (12, 180, 240, 3), np.uint8)
    write_media(cremad / FILM, list(noise), 12, VOICE, RATE)
    data = load()
    problem = named(data, capsys)
    assert problem["path"] == str(cremad / FILM)
    assert problem["cause"].startswith("no face in any of ")
    assert len(data.manifest) == CLIPS - 1
    assert len(load(modality="audio", files="audiovisual").manifest) == CLIPS


def test_of_two_files_for_one_clip_one_is_used_and_the_other_named(cremad, capsys):
    copy = cremad / "copies" / Path(FILM).name
    copy.parent.mkdir()
    shutil.copy(cremad / FILM, copy)
    data = load()
    problem = named(data, capsys)
    assert problem["path"] == str(copy)
    assert problem["cause"] == f"clip 1002_DFA_SAD_XX is there already, as {cremad / FILM}"
    assert len(data.manifest) == CLIPS


def test_two_labels_for_one_picture_leave_both_out(every_corpus, tmp_path, monkeypatch, capsys):
    shutil.copytree(every_corpus / "ckplus", tmp_path / "ckplus")
    monkeypatch.setenv("EMOLIB_DATA", str(tmp_path))
    first = sorted((tmp_path / "ckplus" / "happy").glob("*.png"))[0]
    shutil.copy(first, tmp_path / "ckplus" / "sadness" / first.name)
    data = load("ckplus", "video")
    assert len(data.problems) == 2
    assert set(data.problems["path"].map(lambda path: Path(path).name)) == {first.name}
    assert data.problems["cause"].str.contains("has another emotion than in").all()
    assert first.stem not in set(data.manifest["clip_id"])
    assert len(data.manifest) == CLIPS


@pytest.mark.parametrize("name", [FILM, SOUND])
def test_a_truncated_file_is_left_out(name, cremad, capsys):
    whole = (cremad / name).read_bytes()
    (cremad / name).write_bytes(whole[: len(whole) // 2])
    data = load(modality="both" if name == FILM else "audio")
    problem = named(data, capsys)
    assert problem["path"] == str(cremad / name)
    assert "truncated" in problem["cause"] or "of" in problem["cause"]
    assert len(data.manifest) == CLIPS - 1


def test_a_film_whose_header_is_lost_is_left_out(every_corpus, tmp_path, monkeypatch, capsys):
    shutil.copytree(every_corpus / "mead", tmp_path / "mead")
    monkeypatch.setenv("EMOLIB_DATA", str(tmp_path))
    film = tmp_path / "mead" / "M003" / "video" / "front" / "sad" / "level_1" / "001.mp4"
    film.write_bytes(film.read_bytes()[:4000])  # what an mp4 begins with is told at its end
    data = load("mead", "both")
    assert str(film) in set(data.problems["path"])
    assert "M003-sad-level_1-001-front" not in set(data.manifest["clip_id"])
    assert len(data.manifest) > 3


def test_a_tie_of_the_crowd_is_named(cremad, capsys):
    data = load(labels="crowd")
    problem = named(data, capsys)
    assert "the raters' votes are tied" in problem["cause"]
    assert len(data.manifest) == CLIPS - 1


def test_the_report_of_problems_is_part_of_the_features_command(cremad):
    (cremad / FILM).write_bytes(b"")
    done = CliRunner().invoke(
        cli.app, ["features", "mostafa", "--corpus", "cremad", "--data", "n_jobs=1", "--json"]
    )
    (empty, alone) = json.loads(done.stdout)["problems"]
    assert empty["path"] == str(cremad / FILM)
    assert "0 bytes" in empty["cause"]
    assert alone["path"] == str(cremad / SOUND)


def test_one_odd_file_does_not_take_down_the_list_of_the_others(cremad, monkeypatch):
    (cremad.parent / "fer2013").mkdir()
    (cremad.parent / "fer2013" / "fer2013.csv").write_bytes(b"\xff\xfe\x00\x00no table")
    (cremad / FILM).write_bytes(b"")
    done = CliRunner().invoke(cli.app, ["data", "list", "--json"])
    listed = {row["corpus"]: row for row in json.loads(done.stdout)["corpora"]}
    assert listed["fer2013"]["note"]
    assert (listed["cremad"]["clips"], listed["cremad"]["problems"]) == (CLIPS - 1, 1)
