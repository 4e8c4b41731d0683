from pathlib import Path

import pytest

from emolib.corpora import CorpusError, ckplus
from emolib.corpora.manifest import FileProblem


def test_subject_and_sequence_come_from_the_name():
    row = ckplus.parse(Path("anger/S010_004_00000017.png"))
    assert (row["actor"], row["sequence"], row["emotion"]) == ("S010", "S010_004", "angry")


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("anger/S10_4_17.png", "not subject_sequence_frame"),
        ("bored/S010_004_00000017.png", "'bored' is no emotion"),
        ("neutral/S010_004_00000017.png", "'neutral' is no emotion"),
    ],
)
def test_a_wrong_path_is_a_problem(path, cause):
    with pytest.raises(FileProblem, match=cause):
        ckplus.parse(Path(path))


def test_frames_are_listed_with_their_pictures(cache, tmp_path, picture):
    for number in (15, 16, 17):
        picture(tmp_path / "contempt" / f"S138_008_000000{number}.png", seed=number)
    (tmp_path / "happy").mkdir()
    (tmp_path / "happy" / "S010_006_00000001.png").write_bytes(b"")
    table = ckplus.manifest(tmp_path)
    assert table["emotion"].tolist() == ["contempt"] * 3 and table["row"].tolist() == [0, 1, 2]
    assert set(table["sequence"]) == {"S138_008"}
    assert ckplus.images(tmp_path).shape == (3, 48, 48)
    (problem,) = table.attrs["problems"]
    assert "S010_006" in problem["path"] and "empty" in problem["cause"]


def test_an_empty_folder_says_how_to_get_the_corpus(cache, tmp_path):
    with pytest.raises(CorpusError, match=r"no usable picture.*ask for the Cohn-Kanade database"):
        ckplus.manifest(tmp_path)


@pytest.mark.realdata
def test_the_real_faces(recordings):
    table = ckplus.manifest(recordings / "ckplus48")
    assert len(table) == 981 and table["actor"].nunique() == 118
    assert table["sequence"].nunique() == 327
    assert (table.groupby("sequence").size() == 3).all()
    assert (table.groupby("sequence")["emotion"].nunique() == 1).all()
    assert set(table["emotion"]) == set(ckplus.CLASSES)
    assert ckplus.images(recordings / "ckplus48").shape == (981, 48, 48)
