import lzma
import time

import numpy as np
import pandas as pd
import pytest

from emolib.corpora import CorpusError, fer2013

USAGES = ["Training"] * 5 + ["PublicTest", "PrivateTest"]
PIXELS = np.random.default_rng(0).integers(0, 256, (7, 48, 48), np.uint8)
HEADERS = {
    "fer2013.csv": ("emotion", "pixels", "Usage"),
    "icml_face_data.csv": ("emotion", " Usage", " pixels"),
}


def rows():
    return [
        {"emotion": code, "pixels": " ".join(map(str, PIXELS[code].ravel())), "Usage": usage}
        for code, usage in enumerate(USAGES)
    ]


def write(folder, name="fer2013.csv", table=None):
    header = HEADERS[name.removesuffix(".xz").removesuffix(".gz")]
    frame = pd.DataFrame(table or rows())[[column.strip() for column in header]]
    folder.mkdir(parents=True, exist_ok=True)
    frame.set_axis(header, axis=1).to_csv(folder / name, index=False)
    return folder


@pytest.mark.parametrize(
    "name", ["fer2013.csv", "fer2013.csv.xz", "fer2013.csv.gz", "icml_face_data.csv"]
)
def test_every_published_table_gives_the_same_pictures(cache, tmp_path, name):
    folder = write(tmp_path / "fer2013", name)
    table = fer2013.manifest(folder)
    assert table["clip_id"].tolist() == [f"fer2013-{row:05}" for row in range(7)]
    assert table["emotion"].tolist() == list(fer2013.CODES)
    assert table["usage"].tolist() == USAGES
    assert set(table["modality"]) == {"image"} and set(table["actor"]) == {""}
    images = fer2013.images(folder)
    assert images.dtype == np.uint8 and (images == PIXELS).all()
    assert isinstance(images, np.memmap) and not images.flags.writeable


def test_a_subset_keeps_the_numbers_of_the_original_rows(cache, tmp_path):
    folder = write(tmp_path / "fer2013")
    numbers = [0, 2, 3, 8, 11, 30000, 35886]
    pd.DataFrame({"row_index": numbers}).to_csv(folder / "source_rows.csv", index=False)
    assert fer2013.manifest(folder)["clip_id"].iloc[-1] == "fer2013-35886"
    pd.DataFrame({"row_index": numbers[:3]}).to_csv(folder / "source_rows.csv", index=False)
    with pytest.raises(CorpusError, match=r"has 3 rows, fer2013\.csv has 7"):
        fer2013.manifest(folder)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("pixels", " ".join(["7"] * 2303), "row 4 of .* has 2303 pixels instead of 2304"),
        ("pixels", " ".join(["7"] * 2305), "row 4 of .* has 2305 pixels instead of 2304"),
        ("pixels", "", "row 4 of .* has 0 pixels|row 4 of .* not a number"),
        ("pixels", " ".join(["7"] * 2303 + ["x"]), "row 4 of .* not a number"),
        ("pixels", " ".join(["7"] * 2303 + ["256"]), "row 4 of .* outside 0 to 255"),
        ("pixels", " ".join(["7"] * 2303 + ["-1"]), "row 4 of .* outside 0 to 255"),
        ("emotion", "9", "row 4 of .* unknown emotion 9"),
        ("emotion", "", "row 4 of .* unknown emotion"),
        ("Usage", "Holiday", "row 4 of .* unknown Usage Holiday"),
    ],
)
def test_a_damaged_row_is_named(cache, tmp_path, column, value, message):
    table = rows()
    table[3][column] = value
    with pytest.raises(CorpusError, match=message):
        fer2013.manifest(write(tmp_path / "fer2013", table=table))
    assert not list(cache.rglob("table.csv"))


def test_a_table_without_labels_is_refused(cache, tmp_path):
    (tmp_path / "fer2013.csv").write_text("pixels\n1 2 3\n")
    with pytest.raises(CorpusError, match=r"has no column emotion .*use fer2013.csv"):
        fer2013.manifest(tmp_path)


def test_the_contest_file_without_usage_is_training(cache, tmp_path):
    folder = write(tmp_path / "fer2013")
    pd.DataFrame(rows()).drop(columns="Usage").to_csv(folder / "fer2013.csv", index=False)
    assert set(fer2013.manifest(folder)["usage"]) == {"Training"}


def test_class_folders_are_read_and_strangers_reported(cache, tmp_path, picture):
    picture(tmp_path / "train" / "angry" / "Training_3908.jpg", seed=1)
    picture(tmp_path / "train" / "fear" / "im0.png", seed=2)
    picture(tmp_path / "test" / "surprise" / "PrivateTest_10131363.jpg", seed=3)
    picture(tmp_path / "test" / "angry" / "im0.png", seed=4)
    picture(tmp_path / "train" / "bored" / "im0.png", seed=5)
    picture(tmp_path / "train" / "astray.png", seed=6)
    picture(tmp_path / "train" / "happy" / "large.png", side=224)
    table = fer2013.manifest(tmp_path).set_index("clip_id")
    assert table["emotion"].to_dict() == {
        "fer2013-test-angry-im0": "angry",
        "fer2013-test-surprise-PrivateTest_10131363": "surprised",
        "fer2013-train-angry-Training_3908": "angry",
        "fer2013-train-fear-im0": "fearful",
    }
    assert table["usage"].tolist() == ["PublicTest", "PrivateTest", "Training", "Training"]
    assert fer2013.images(tmp_path).shape == (4, 48, 48)
    causes = sorted(line["cause"] for line in table.attrs["problems"])
    assert "'bored' is no emotion" in causes[0] and "'train' is no emotion" in causes[1]
    assert "224×224" in causes[2] and len(causes) == 3


def test_ferplus_takes_the_majority_and_counts_what_has_none(cache, tmp_path):
    folder = write(tmp_path / "fer2013")
    votes = np.zeros((7, 10), int)
    winners = ["anger", "contempt", "unknown", "NF", "fear", "happiness"]
    for row, winner in enumerate(winners):
        votes[row, fer2013.FERPLUS.index(winner)] = 6
    votes[6, :2] = 5  # a tie
    table = pd.DataFrame(votes, columns=list(fer2013.FERPLUS))
    table.insert(0, "Usage", USAGES)
    table.insert(1, "Image name", "x.png")
    table.to_csv(folder / "fer2013new.csv", index=False)
    assert fer2013.ferplus(folder).shape == (7, 10)
    labelled = fer2013.manifest(folder, labels="ferplus")
    assert labelled["emotion"].tolist() == ["angry", "contempt", "fearful", "happy"]
    assert labelled["row"].tolist() == [0, 1, 4, 5]
    assert (fer2013.images(folder, labels="ferplus") == PIXELS[[0, 1, 4, 5]]).all()
    (problem,) = labelled.attrs["problems"]
    assert problem["cause"].startswith("3 pictures have no FERPlus majority")


def test_ferplus_votes_of_other_rows_are_refused(cache, tmp_path):
    folder = write(tmp_path / "fer2013")
    with pytest.raises(CorpusError, match=r"fer2013new.csv is missing: take it from"):
        fer2013.ferplus(folder)
    table = pd.DataFrame(np.zeros((7, 10), int), columns=list(fer2013.FERPLUS))
    table.insert(0, "Usage", USAGES[::-1])
    table.to_csv(folder / "fer2013new.csv", index=False)
    with pytest.raises(CorpusError, match="in another order"):
        fer2013.ferplus(folder)


def test_unknown_labels_and_an_empty_folder_are_refused(cache, tmp_path):
    with pytest.raises(CorpusError, match="'best': known are fer2013, ferplus"):
        fer2013.manifest(tmp_path, labels="best")
    with pytest.raises(CorpusError, match=r"accept the terms on Kaggle.*into .*EMOLIB_DATA"):
        fer2013.manifest(tmp_path)


def test_a_truncated_archive_is_an_error_and_leaves_no_cache(cache, tmp_path):
    folder = write(tmp_path / "fer2013", "fer2013.csv.xz")
    path = folder / "fer2013.csv.xz"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CorpusError, match=r"fer2013.csv.xz cannot be read .*fetch it again"):
        fer2013.manifest(folder)
    assert not list(cache.rglob("table.csv"))
    path.write_bytes(lzma.compress(b"")[:10])
    with pytest.raises(CorpusError, match="cannot be read"):
        fer2013.manifest(folder)


@pytest.mark.realdata
def test_the_real_pictures(recordings):
    folder = recordings / "fer2013"
    table = fer2013.manifest(folder)
    started = time.process_time()
    assert len(fer2013.manifest(folder)) == len(table) == 30771
    assert time.process_time() - started < 1  # from the cache
    assert fer2013.images(folder).shape == (30771, 48, 48)
    assert table["usage"].value_counts().to_dict() == {"Training": 27327, "PublicTest": 3444}
    assert table["emotion"].value_counts().to_dict() == {
        "happy": 7781,
        "neutral": 5358,
        "sad": 5271,
        "fearful": 4321,
        "angry": 4280,
        "surprised": 3287,
        "disgust": 473,
    }
    assert fer2013.ferplus(folder).shape == (30771, 10)
    labelled = fer2013.manifest(folder, labels="ferplus")
    assert len(labelled) == len(fer2013.images(folder, labels="ferplus")) == 29048
