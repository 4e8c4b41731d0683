import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emolib import corpora
from emolib.corpora import CorpusError, ravdess
from emolib.corpora.manifest import FileProblem

SUFFIX = {"01": ".mp4", "02": ".mp4", "03": ".wav"}


@given(st.tuples(*(st.sampled_from(sorted(values)) for values in ravdess.CODES.values())))
def test_a_name_is_read_back_field_by_field(codes):
    row = ravdess.parse(Path("Actor_01", "-".join(codes) + SUFFIX[codes[0]]))
    for (field, values), code in zip(ravdess.CODES.items(), codes, strict=True):
        assert row[field] == values[code]
    assert row["text"].split()[0] == {"01": "Kids", "02": "Dogs"}[codes[4]]
    assert row["sex"] == ("male" if int(codes[6]) % 2 else "female")


def test_the_example_of_the_corpus_readme():
    row = ravdess.parse(Path("02-01-06-01-02-01-12.mp4"))
    assert (row["modality"], row["channel"], row["emotion"]) == ("video", "speech", "fearful")
    assert (row["intensity"], row["text"]) == ("normal", "Dogs are sitting by the door")
    assert (row["actor"], row["sex"]) == ("12", "female")


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("holiday.wav", "not seven two-digit numbers"),
        ("03-01-06-01-02-01.wav", "not seven two-digit numbers"),
        ("03-01-09-01-02-01-12.wav", "unknown emotion '09'"),
        ("03-01-06-01-02-01-25.wav", "unknown actor '25'"),
        ("03-01-06-01-02-01-12.mp4", "the name says audio"),
        ("01-01-06-01-02-01-12.wav", "the name says audiovisual"),
    ],
)
def test_a_wrong_name_is_a_problem_not_a_clip(name, cause):
    with pytest.raises(FileProblem, match=cause):
        ravdess.parse(Path(name))


@pytest.fixture
def folder(tmp_path, sound, movie):
    sound(tmp_path / "Audio_Speech_Actors_01-24/Actor_01/03-01-01-01-01-01-01.wav", rate=48000)
    sound(tmp_path / "Audio_Speech_Actors_01-24/Actor_02/03-01-06-02-02-01-02.flac", rate=48000)
    sound(tmp_path / "Audio_Song_Actors_01-24/Actor_01/03-02-03-01-01-01-01.wav", rate=48000)
    movie(tmp_path / "Video_Speech_Actor_01/Actor_01/01-01-01-01-01-01-01.mp4")
    movie(tmp_path / "Video_Speech_Actor_01/Actor_01/02-01-01-01-01-01-01.mp4", sound=False)
    (tmp_path / "wav_sha256.txt").write_text("side file")
    return tmp_path


def test_speech_recordings_are_the_default(folder):
    table = ravdess.manifest(folder)
    assert table["clip_id"].tolist() == ["03-01-01-01-01-01-01", "03-01-06-02-02-01-02"]
    assert table["emotion"].tolist() == ["neutral", "fearful"]
    assert table["sample_rate"].tolist() == [48000, 48000]
    assert table["duration_s"].tolist() == pytest.approx([0.1, 0.1])
    assert table.attrs["problems"] == []


@pytest.mark.parametrize(
    ("options", "clips"),
    [
        ({"channel": "song"}, ["03-02-03-01-01-01-01"]),
        ({"modality": "audiovisual"}, ["01-01-01-01-01-01-01"]),
        ({"modality": "video"}, ["02-01-01-01-01-01-01"]),
        ({"modality": None}, ["01-01-01-01-01-01-01"]),
    ],
)
def test_modality_and_channel_choose(folder, options, clips):
    assert ravdess.manifest(folder, **options)["clip_id"].tolist() == clips


def test_all_versions_of_a_take_share_one_twin(folder):
    table = ravdess.manifest(folder, modality="all", channel=None).set_index("clip_id")
    assert len(table) == 5
    twins = table.loc[[f"0{m}-01-01-01-01-01-01" for m in (1, 2, 3)], "twin"]
    assert twins.nunique() == 1 and table["twin"].nunique() == 3


def test_unusable_files_are_reported_and_the_rest_is_kept(folder):
    actor = folder / "Audio_Speech_Actors_01-24/Actor_01"
    (actor / "03-01-02-01-01-01-01.wav").write_bytes(b"")
    (actor / "03-01-02-01-01-02-01.wav").write_text("version https://git-lfs.github.com/spec/v1\n")
    (actor / "03-01-99-01-01-02-01.wav").write_text("?")
    (actor / "notes.docx").write_text("?")
    table = ravdess.manifest(folder)
    assert len(table) == 2
    causes = {Path(line["path"]).name: line["cause"] for line in table.attrs["problems"]}
    assert len(causes) == 4 and "empty" in causes["03-01-02-01-01-01-01.wav"]
    assert "LFS" in causes["03-01-02-01-01-02-01.wav"]
    assert "unknown emotion" in causes["03-01-99-01-01-02-01.wav"]
    assert all(line["remedy"] for line in table.attrs["problems"])


def test_of_a_recording_that_is_there_twice_the_copy_is_named(folder, sound):
    before = ravdess.manifest(folder)
    copy = sound(folder / "copy" / "03-01-01-01-01-01-01.flac")
    table = ravdess.manifest(folder)
    assert table["path"].tolist() == before["path"].tolist()
    assert str(copy) in {problem["path"] for problem in table.attrs["problems"]}


def test_an_empty_folder_says_how_to_get_the_corpus(tmp_path):
    with pytest.raises(CorpusError, match=r"holds no audio speech clip.*emolib data get ravdess"):
        ravdess.manifest(tmp_path)


def test_a_folder_without_what_was_asked_for_says_what_it_has(folder):
    for path in folder.rglob("03-02-*"):
        path.unlink()
    with pytest.raises(CorpusError, match=r"no audio song clip, only .*audio speech"):
        ravdess.manifest(folder, channel="song")


def test_a_folder_of_pointers_names_the_remedy(tmp_path):
    path = tmp_path / "03-01-02-01-01-02-01.wav"
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(CorpusError, match=r"Git LFS pointer.*git lfs pull"):
        ravdess.manifest(tmp_path)


def test_action_units_are_indexed_by_the_audio_twin(folder):
    (folder / "openface_au_means.csv").write_text("clip,AU01_r,AU45_c\n01-01-01-01-01-01-01,0,1\n")
    table = ravdess.action_units(folder)
    assert table.index.tolist() == ["03-01-01-01-01-01-01"]
    assert (table.dtypes == "float64").all()


def test_missing_action_units_say_what_to_do(folder):
    with pytest.raises(CorpusError, match=r"openface_au_means.csv is missing: run OpenFace"):
        ravdess.action_units(folder)


@pytest.mark.realdata
def test_the_real_speech_part_is_complete_and_listed_quickly(recordings):
    started = time.process_time()
    table = corpora.load("ravdess", recordings / "ravdess")
    assert time.process_time() - started < 3
    assert len(table) == 1440 and table["actor"].nunique() == 24
    counts = table["emotion"].value_counts()
    assert counts.pop("neutral") == 96 and (counts == 192).all() and len(counts) == 7
    assert (table["sample_rate"] == 48000).all() and table["duration_s"].between(2.9, 5.3).all()
    assert (table.groupby("actor").size() == 60).all()
    assert table.attrs["problems"] == []


@pytest.mark.realdata
def test_five_real_recordings_are_stereo(recordings):
    import soundfile

    table = ravdess.manifest(recordings / "ravdess")
    stereo = [row.clip_id for row in table.itertuples() if soundfile.info(row.path).channels == 2]
    assert stereo == [
        "03-01-02-01-01-02-01",
        "03-01-08-01-02-02-01",
        "03-01-02-01-02-02-05",
        "03-01-03-01-02-01-20",
        "03-01-06-01-01-02-20",
    ]


@pytest.mark.realdata
def test_one_recording_was_published_under_two_names(recordings):
    from emolib.corpora.download import sha256_of_samples

    table = ravdess.manifest(recordings / "ravdess").set_index("clip_id")
    pair = ["03-01-03-01-02-01-07", "03-01-03-01-02-02-07"]
    assert table.loc[pair, "twin"].nunique() == 1 and table["twin"].nunique() == 1439
    first, second = table.loc[pair, "path"]
    assert sha256_of_samples(first) == sha256_of_samples(second)


@pytest.mark.realdata
def test_every_real_recording_has_its_action_units(recordings):
    units = ravdess.action_units(recordings / "ravdess")
    assert units.shape == (1440, 35) and not units.isna().any().any()
    assert set(units.index) == set(ravdess.manifest(recordings / "ravdess")["clip_id"])
    presence = units.filter(regex="_c$")
    assert presence.shape[1] == 18 and presence.min().min() >= 0 and presence.max().max() <= 1
