from pathlib import Path

import pytest

from emolib.corpora import CorpusError, savee
from emolib.corpora.manifest import FileProblem


@pytest.mark.parametrize("path", ["AudioData/DC/sa07.wav", "ALL/DC_sa07.wav", "DC/sa07.wav"])
def test_both_published_layouts_give_the_same_clip(path):
    row = savee.parse(Path(path))
    assert (row["clip_id"], row["actor"]) == ("DC_sa07", "DC")
    assert (row["emotion"], row["statement"], row["modality"]) == ("sad", "07", "audio")


def test_all_seven_emotions_have_a_code():
    found = {savee.parse(Path("KL", f"{code}01.wav"))["emotion"] for code in savee.EMOTION_CODES}
    assert found == set(savee.CLASSES)


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("DC/x01.wav", "unknown emotion 'x'"),
        ("DC/a1.wav", "not an emotion"),
        ("XY/a01.wav", "unknown actor 'XY'"),
        ("ZZ_a01.wav", "unknown actor 'ZZ'"),
    ],
)
def test_a_wrong_name_is_a_problem(path, cause):
    with pytest.raises(FileProblem, match=cause):
        savee.parse(Path(path))


def test_clips_are_listed_by_modality(tmp_path, sound, movie):
    sound(tmp_path / "DC" / "a01.wav", rate=44100)
    sound(tmp_path / "JE" / "n30.wav", rate=44100)
    movie(tmp_path / "AudioVisualClip" / "DC" / "a01.avi")
    (tmp_path / "DC" / "notes.xyz").write_text("?")
    assert savee.manifest(tmp_path)["clip_id"].tolist() == ["DC_a01"]
    table = savee.manifest(tmp_path, modality="audio")
    assert table["clip_id"].tolist() == ["DC_a01", "JE_n30"]
    assert (table["sample_rate"] == 44100).all()
    assert [Path(line["path"]).name for line in table.attrs["problems"]] == ["notes.xyz"]


def test_of_two_layouts_side_by_side_one_stays_and_the_other_is_named(tmp_path, sound):
    sound(tmp_path / "DC" / "a01.wav")
    sound(tmp_path / "ALL" / "DC_a01.wav")
    table = savee.manifest(tmp_path)
    assert table["clip_id"].tolist() == ["DC_a01"]
    (problem,) = table.attrs["problems"]
    assert {problem["path"], table["path"][0]} == {
        str(tmp_path / "DC" / "a01.wav"), str(tmp_path / "ALL" / "DC_a01.wav")
    }  # fmt: skip
    assert "clip DC_a01 is there already, as " in problem["cause"]


def test_a_missing_corpus_says_that_it_is_given_on_request(tmp_path):
    with pytest.raises(CorpusError, match="register at the University of Surrey"):
        savee.manifest(tmp_path / "savee")
