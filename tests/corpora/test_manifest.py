import numpy as np
import pandas as pd
import pytest

from emolib.corpora import manifest as manifests
from emolib.corpora.manifest import COLUMNS, CorpusError, FileProblem, build, digest, header

ROW = {"clip_id": "a", "path": "/x/a.wav", "corpus": "c", "emotion": "happy", "modality": "audio"}


def test_every_manifest_has_all_columns_in_one_order():
    table = build([ROW | {"sex": "male"}])
    assert tuple(table.columns) == (*COLUMNS, "sex")
    assert table.loc[0, "actor"] == "" and np.isnan(table.loc[0, "duration_s"])
    assert table["sample_rate"].dtype == "Int64" and table.attrs["problems"] == []


def test_a_table_can_be_built_again_without_change():
    table = build([ROW, ROW | {"clip_id": "b", "sample_rate": 16000}])
    pd.testing.assert_frame_equal(build(table), table)


def test_a_duplicated_clip_is_refused_with_both_places():
    with pytest.raises(CorpusError, match=r"'a' is there 2 times \(/x/a.wav, /y/a.wav\): keep one"):
        build([ROW, ROW | {"path": "/y/a.wav"}])


def test_an_unknown_emotion_is_refused_by_name():
    with pytest.raises(CorpusError, match="unknown emotion 'bored': known are neutral, calm"):
        build([ROW | {"emotion": "bored"}])


def test_the_digest_depends_on_the_clips_and_not_on_where_they_lie():
    one = build([ROW, ROW | {"clip_id": "b"}])
    moved = build([ROW | {"clip_id": "b", "path": "/y/b.flac", "duration_s": 2.0}, ROW])
    assert digest(one) == digest(moved)
    assert digest(one) != digest(build([ROW, ROW | {"clip_id": "b", "emotion": "sad"}]))


def test_the_header_gives_duration_and_rate(tmp_path, sound, movie):
    wave = header(sound(tmp_path / "a.wav", seconds=0.25, rate=22050, channels=2))
    assert wave["sample_rate"] == 22050 and wave["duration_s"] == pytest.approx(0.25, abs=1e-3)
    film = header(movie(tmp_path / "a.mp4"))
    assert film["sample_rate"] == 44100 and film["duration_s"] == pytest.approx(0.4, abs=0.1)
    assert header(movie(tmp_path / "b.mp4", sound=False))["sample_rate"] is None


@pytest.mark.parametrize(
    ("content", "cause", "remedy"),
    [
        (b"", "empty", "fetch it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "LFS", "git lfs pull"),
        (b"RIFF, but not really", "header cannot be read", "fetch it again"),
    ],
)
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp4", ".flv"])
def test_a_file_that_is_no_recording_is_named_with_cause_and_remedy(
    tmp_path, content, cause, remedy, suffix
):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(FileProblem) as caught:
        header(path)
    assert cause in caught.value.cause and remedy in caught.value.remedy


def test_a_sound_file_without_samples_is_a_problem(tmp_path, sound):
    with pytest.raises(FileProblem, match="no samples"):
        header(sound(tmp_path / "a.wav", seconds=0))


def test_every_file_is_a_clip_or_a_side_file_or_a_problem(tmp_path, sound):
    sound(tmp_path / "deep" / "b" / "good.wav")
    for name in ("README.md", "license.txt", ".DS_Store", "deep/table.csv"):
        (tmp_path / name).write_text("side file")
    (tmp_path / "odd.ogg").write_text("x")
    (tmp_path / ".hidden").mkdir()
    sound(tmp_path / ".hidden" / "never.wav")

    def parse(path):
        return ROW | {"clip_id": path.as_posix()}

    table = manifests.collect("savee", tmp_path, parse, (".wav",), side_files=("*.csv",))
    assert table["clip_id"].tolist() == ["deep/b/good.wav"]
    assert table["corpus"].tolist() == ["c"] and table.attrs["root"] == str(tmp_path)
    (problem,) = table.attrs["problems"]
    assert problem["path"].endswith("odd.ogg") and ".wav" in problem["cause"]


def test_a_missing_folder_says_where_to_get_the_corpus_and_where_to_put_it(tmp_path):
    with pytest.raises(CorpusError) as caught:
        manifests.locate("ravdess", tmp_path / "nothing")
    message = str(caught.value)
    assert str(tmp_path / "nothing") in message and "emolib data get ravdess" in message
    assert "zenodo.org/records/1188976" in message and "EMOLIB_DATA" in message


def test_the_usual_folder_lies_below_the_data_root(tmp_path, monkeypatch):
    monkeypatch.setenv("EMOLIB_DATA", str(tmp_path))
    (tmp_path / "CREMA-D").mkdir()
    assert manifests.locate("cremad") == tmp_path / "CREMA-D"
