from pathlib import Path

import pandas as pd
import pytest

from emolib import paths
from emolib.corpora import CorpusError, cremad
from emolib.corpora.manifest import FileProblem


@pytest.fixture
def folder(tmp_path, sound, movie):
    for name in ("1001_DFA_ANG_XX", "1001_IEO_HAP_LO", "1002_TIE_SAD_XX"):
        sound(tmp_path / "AudioWAV" / f"{name}.wav")
    movie(tmp_path / "VideoFlash" / "1001_DFA_ANG_XX.flv")
    movie(tmp_path / "VideoMP4" / "1001_IEO_HAP_LO.mp4")
    (tmp_path / "VideoDemographics.csv").write_text(
        '"ActorID","Age","Sex","Race","Ethnicity"\n'
        '1001,51,"Male","Caucasian","Not Hispanic"\n1002,21,"Female","Asian","Not Hispanic"\n'
    )
    (tmp_path / "summaryTable.csv").write_text(
        '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote",'
        '"MultiModalLevel"\n'
        '"1","1001_DFA_ANG_XX","D","60","A","60","A","60"\n'
        '"2","1001_IEO_HAP_LO","N","60","H","60","H:N","60:50"\n'
        '"3","1002_TIE_SAD_XX","A:D","60:50","S","60","S","60"\n'
    )
    (tmp_path / "human_votes.csv").write_text(
        "clip,condition,A,D,F,H,N,S\n"
        "1001_DFA_ANG_XX,voice,3,5,0,0,2,0\n1001_DFA_ANG_XX,face,8,1,0,0,1,0\n"
        "1001_DFA_ANG_XX,audiovisual,9,0,0,0,1,0\n1002_TIE_SAD_XX,voice,4,4,0,0,1,1\n"
        "1002_TIE_SAD_XX,face,0,0,0,0,5,5\n1002_TIE_SAD_XX,audiovisual,0,0,0,0,0,10\n"
    )
    return tmp_path


def test_names_levels_and_sentences_are_read():
    row = cremad.parse(Path("AudioWAV/1040_IEO_FEA_MD.wav"))
    assert (row["actor"], row["emotion"], row["intensity"]) == ("1040", "fearful", "medium")
    assert (row["statement"], row["text"]) == ("IEO", "It's eleven o'clock")
    assert row["modality"] == "audio"


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("1001_DFA_ANG.wav", "actor_sentence_emotion_level"),
        ("1001_XXX_ANG_XX.wav", "unknown statement 'XXX'"),
        ("1001_DFA_JOY_XX.wav", "unknown emotion 'JOY'"),
        ("1001_DFA_ANG_YY.wav", "unknown level 'YY'"),
    ],
)
def test_a_wrong_name_is_a_problem(name, cause):
    with pytest.raises(FileProblem, match=cause):
        cremad.parse(Path(name))


def test_the_richest_modality_is_the_default(folder):
    table = cremad.manifest(folder)
    assert table["clip_id"].tolist() == ["1001_DFA_ANG_XX", "1001_IEO_HAP_LO"]
    assert set(table["modality"]) == {"audiovisual"} and (table["sample_rate"] == 44100).all()
    assert len(cremad.manifest(folder, modality="audio")) == 3


def test_demographics_are_joined(folder):
    table = cremad.manifest(folder, modality="audio").set_index("clip_id")
    assert table.loc["1002_TIE_SAD_XX", ["age", "sex", "race"]].tolist() == [21, "female", "Asian"]


def test_crowd_labels_follow_what_the_raters_had(folder):
    seen = cremad.manifest(folder, labels="crowd")
    assert seen["clip_id"].tolist() == ["1001_DFA_ANG_XX"] and seen["emotion"].tolist() == ["angry"]
    heard = cremad.manifest(folder, labels="crowd", modality="audio").set_index("clip_id")
    assert heard["emotion"].to_dict() == {
        "1001_DFA_ANG_XX": "disgust",
        "1001_IEO_HAP_LO": "neutral",
    }
    assert heard["intended"].tolist() == ["angry", "happy"]


def test_a_tied_vote_is_reported_not_guessed(folder):
    (problem,) = cremad.manifest(folder, labels="crowd").attrs["problems"]
    assert "1001_IEO_HAP_LO" in problem["path"] and "tied" in problem["cause"]


def test_unknown_labels_and_conditions_are_refused(folder):
    with pytest.raises(CorpusError, match="'best': known are intended, crowd"):
        cremad.manifest(folder, labels="best")
    with pytest.raises(CorpusError, match="'smell': known are voice, face, audiovisual"):
        cremad.crowd_votes(folder, "smell")


def test_missing_tables_say_where_to_get_them(folder):
    (folder / "summaryTable.csv").unlink()
    with pytest.raises(CorpusError, match=r"summaryTable.csv is missing: run `emolib data get"):
        cremad.manifest(folder, labels="crowd")
    (folder / "VideoDemographics.csv").unlink()
    assert "age" not in cremad.manifest(folder)


def test_human_accuracy_is_the_share_of_single_ratings(folder):
    table = cremad.human_accuracy(folder)
    assert table.index.tolist() == ["voice", "face", "audiovisual"]
    assert table["correct"].tolist() == [3 + 1, 8 + 5, 9 + 10]
    assert table["accuracy"].tolist() == pytest.approx([4 / 20, 13 / 20, 19 / 20])


def test_the_published_table_of_votes_gives_the_same(folder):
    ours = cremad.human_votes(folder)
    code = {"voice": 1, "face": 2, "audiovisual": 3}
    rows = ours.rename(columns={"clip_id": "fileName"}).drop(columns="condition")
    rows.index = [f"{code[c]}0000{n}" for n, c in enumerate(ours["condition"])]
    (folder / "processedResults").mkdir()
    rows.to_csv(folder / "processedResults" / "tabulatedVotes.csv")
    (folder / "human_votes.csv").unlink()
    pd.testing.assert_frame_equal(cremad.human_votes(folder), ours)


@pytest.mark.realdata
def test_the_real_clips_and_tables(recordings):
    table = cremad.manifest(recordings / "cremad")
    assert len(table) == 6 and set(table["emotion"]) == set(cremad.CLASSES)
    assert (table["sample_rate"] == 44100).all() and table["duration_s"].between(1, 4).all()
    assert table.attrs["problems"] == []
    people = cremad.demographics(recordings / "cremad")
    assert len(people) == 91 and people["sex"].value_counts().to_dict() == {
        "male": 48,
        "female": 43,
    }
    assert len(cremad.crowd_votes(recordings / "cremad")) == 7442


@pytest.mark.realdata
def test_people_name_the_intended_emotion_in_40_57_and_63_percent_of_ratings(recordings):
    table = cremad.human_accuracy(recordings / "cremad")
    assert (100 * table["accuracy"]).round(2).to_dict() == {
        "voice": 40.00,
        "face": 57.44,
        "audiovisual": 63.07,
    }
    assert (table["clips"] == 7442).all()


@pytest.mark.realdata
def test_the_counts_that_claims_are_held_against_are_those_of_its_own_tables(recordings):
    """Of all 7,442 clips only six are here, but their names and actors are in its tables."""
    folder = recordings / "cremad"
    names = pd.read_csv(folder / "summaryTable.csv")["FileName"].str.split("_", expand=True)
    names.columns = ["actor", "sentence", "emotion", "level"]
    actors = pd.read_csv(folder / "VideoDemographics.csv")
    facts = pd.read_csv(paths.CLAIMS / "corpora.csv", comment="#").set_index("fact")["value"]

    counted = {
        "cremad-clips": len(names),
        "cremad-actors": names["actor"].nunique(),
        "cremad-men": (actors["Sex"] == "Male").sum(),
        "cremad-women": (actors["Sex"] == "Female").sum(),
        "cremad-classes": names["emotion"].nunique(),
        "cremad-sentences": names["sentence"].nunique(),
        "cremad-intensities": names["level"].nunique(),
        "cremad-neutral": (names["emotion"] == "NEU").sum(),
    }
    assert {fact: int(facts[fact]) for fact in counted} == counted
    others = names.loc[names["emotion"] != "NEU", "emotion"].value_counts()
    assert set(others) == {int(facts["cremad-angry"])}
