from pathlib import Path

import pytest

from emolib.corpora import CorpusError, mead
from emolib.corpora.manifest import FileProblem


def test_the_folders_say_actor_view_emotion_and_level():
    row = mead.parse(Path("W015/video/left_30/disgusted/level_3/018.mp4"))
    assert (row["actor"], row["sex"], row["view"]) == ("W015", "female", "left_30")
    assert (row["emotion"], row["intensity"], row["statement"]) == ("disgust", "level_3", "018")
    assert row["modality"] == "audiovisual"


def test_sound_and_every_view_of_a_take_are_twins():
    rows = [
        mead.parse(Path("M003/audio/happy/level_1/024.m4a")),
        mead.parse(Path("M003/video/front/happy/level_1/024.mp4")),
        mead.parse(Path("M003/video/top/happy/level_1/024.mp4")),
    ]
    assert len({row["twin"] for row in rows}) == 1 and len({row["clip_id"] for row in rows}) == 3
    assert rows[0]["modality"] == "audio"


def test_every_folder_of_an_emotion_is_known():
    paths = [Path(f"M003/audio/{word}/level_1/001.m4a") for word in mead.EMOTION_FOLDERS]
    assert {mead.parse(path)["emotion"] for path in paths} == set(mead.CLASSES)


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("M003/happy/024.mp4", "not actor/video/view"),
        ("M003/video/front/bored/level_1/024.mp4", "unknown emotion 'bored'"),
        ("M003/video/behind/happy/level_1/024.mp4", "unknown view 'behind'"),
        ("M003/video/front/happy/level_9/024.mp4", "unknown level 'level_9'"),
    ],
)
def test_a_wrong_path_is_a_problem(path, cause):
    with pytest.raises(FileProblem, match=cause):
        mead.parse(Path(path))


def test_the_front_view_and_the_sound_are_listed(tmp_path, movie):
    movie(tmp_path / "M003/video/front/happy/level_1/024.mp4")
    movie(tmp_path / "M003/video/top/happy/level_1/024.mp4")
    movie(tmp_path / "M003/audio/happy/level_1/024.m4a")
    table = mead.manifest(tmp_path)
    assert table["clip_id"].tolist() == ["M003-happy-level_1-024-front"]
    assert mead.manifest(tmp_path, view="top")["view"].tolist() == ["top"]
    assert mead.manifest(tmp_path, modality="audio")["clip_id"].str.endswith("audio").all()


def test_a_view_that_is_not_there_is_said(tmp_path, movie):
    movie(tmp_path / "M003/video/front/happy/level_1/024.mp4")
    with pytest.raises(CorpusError, match="no audiovisual down clip"):
        mead.manifest(tmp_path, view="down")


@pytest.mark.realdata
def test_the_five_real_clips(recordings):
    table = mead.manifest(recordings / "mead")
    assert len(table) == 5 and table["actor"].nunique() == 5 and table["emotion"].nunique() == 5
    assert (table["sample_rate"] == 48000).all() and table["duration_s"].between(1, 10).all()
    assert table.attrs["problems"] == []
