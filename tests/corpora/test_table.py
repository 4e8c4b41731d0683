"""One's own recordings: what a CSV or folders list, and what becomes of every line."""

import csv
import io
import os
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emolib import corpora
from emolib.corpora import CorpusError, splits, table
from emolib.errors import EmolibError


@pytest.fixture
def listed(tmp_path):
    """Write a CSV: ``listed("a.wav,happy,ann", …)``; the header stands before the lines."""

    def write(*lines, header="path,emotion,actor", name="my.csv", encoding="utf-8"):
        file = tmp_path / name
        file.write_text("\n".join([header, *lines]) + "\n", encoding=encoding)
        return file

    return write


def causes(clips):
    """Return what is wrong, by the line of the CSV or by the file."""
    return {problem["path"]: problem["cause"] for problem in clips.attrs["problems"]}


def test_every_column_of_a_csv_goes_into_the_manifest(listed, tmp_path, sound):
    sound(tmp_path / "clips/a.wav", rate=16000)
    file = listed(
        'clips/a.wav, Happiness ,ann,"Well, well",s1,99',
        header="Path,emotion,actor,text,session,duration_s",
    )
    (row,) = table.manifest(file).to_dict("records")
    assert (row["clip_id"], row["emotion"], row["actor"]) == ("clips/a.wav", "happy", "ann")
    assert (row["text"], row["session"], row["modality"]) == ("Well, well", "s1", "audio")
    assert row["duration_s"] == pytest.approx(0.1), "the file says how long it is, not the CSV"
    assert row["sample_rate"] == 16000
    assert row["corpus"] == "table"


def test_what_a_file_holds_says_what_it_is(listed, tmp_path, sound, movie, picture):
    sound(tmp_path / "voice.wav").rename(tmp_path / "voice.mp4")
    movie(tmp_path / "film.mp4").rename(tmp_path / "film.bin")
    movie(tmp_path / "silent.mp4", sound=False)
    picture(tmp_path / "face.png")
    picture(tmp_path / "face.jpg", seed=1)
    names = ("voice.mp4", "film.bin", "silent.mp4", "face.png", "face.jpg")
    clips = table.manifest(listed(*(f"{name},sad,ann" for name in names)))
    kinds = ["audio", "audiovisual", "video", "image", "image"]
    assert clips["modality"].tolist() == kinds
    assert clips["sample_rate"].isna().tolist() == [False, False, True, True, True]
    assert table.manifest(clips.attrs["root"], modality="image")["path"].str.contains("face").all()


@pytest.mark.parametrize("order", ["{emotion}/{actor}", "{actor}/{emotion}"])
def test_folders_name_emotion_and_speaker(tmp_path, sound, order):
    for pitch, actor in enumerate(("ann", "ben"), 200):
        for emotion in ("Happy", "sadness"):
            folder = tmp_path / order.format(emotion=emotion, actor=actor)
            sound(folder / "1.wav", pitch=pitch + 10 * len(emotion))
    (tmp_path / "notes.txt").write_text("not a recording")
    clips = table.manifest(tmp_path)
    assert sorted(zip(clips["emotion"], clips["actor"], strict=True)) == [
        ("happy", "ann"), ("happy", "ben"), ("sad", "ann"), ("sad", "ben"),
    ]  # fmt: skip
    assert clips.attrs["problems"] == []


def test_a_folder_that_says_too_much_or_too_little_is_named(tmp_path, sound):
    sound(tmp_path / "happy/1.wav")
    sound(tmp_path / "bored/2.wav")
    sound(tmp_path / "happy/sad/3.wav")
    sound(tmp_path / "happy/ann/monday/4.wav")
    clips = table.manifest(tmp_path)
    assert clips["clip_id"].tolist() == ["happy/1.wav"]
    assert causes(clips) == {
        "bored/2.wav": "no folder on the way to it is named by an emotion",
        "happy/sad/3.wav": "several folders on the way to it are named by an emotion",
        "happy/ann/monday/4.wav": "each of the folders ann, monday could be the speaker's",
    }


def test_a_csv_without_emotions_takes_them_from_the_folders(listed, tmp_path, sound):
    sound(tmp_path / "anger/1.wav")
    sound(tmp_path / "elsewhere/2.wav")
    file = listed("anger/1.wav,ann", "elsewhere/2.wav,ann", header="path,speaker")
    clips = table.manifest(file)
    assert clips[["emotion", "actor"]].to_numpy().tolist() == [["angry", "ann"]]
    assert causes(clips) == {"my.csv, line 3: elsewhere/2.wav": "no emotion is said"}


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("gone.wav,happy,ann", "there is no such file"),
        ("sub,happy,ann", "there is no such file"),
        ("a.wav,excited,ann", "unknown emotion 'excited'"),
        ("a.wav,,ann", "no emotion is said"),
        ("a.wav,happy,", "no speaker is said, as it is of others"),
        (",happy,ann", "the line names no file"),
        ("empty.wav,happy,ann", "the file is empty (0 bytes)"),
        ("broken.wav,happy,ann", "neither a sound, nor a film, nor a picture that can be read"),
        ("a.wav,happy,ann,or so", "the line has 4 values for 3 columns"),
        ("a\0.wav,happy,ann", "there is no such file"),
        (f"{'a' * 400}.wav,happy,ann", "neither a sound, nor a film"),
        ("good.wav,sad,ann", "the same recording as my.csv, line 2: good.wav"),
        ("./good.wav,sad,ann", "the same recording as my.csv, line 2: good.wav"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_and_costs_no_other(
    listed, tmp_path, sound, line, cause
):
    sound(tmp_path / "good.wav")
    sound(tmp_path / "a.wav", pitch=300)
    (tmp_path / "sub").mkdir()
    (tmp_path / "empty.wav").touch()
    (tmp_path / "broken.wav").write_bytes(b"RIFF and so on" * 100)
    clips = table.manifest(listed("good.wav,sad,ann", line))
    assert clips["clip_id"].tolist() == ["good.wav"]
    (problem,) = clips.attrs["problems"]
    assert problem["path"].startswith("my.csv, line 3")
    assert problem["cause"].startswith(cause)
    assert problem["remedy"]


def test_one_recording_under_two_labels_is_no_use_under_either(listed, tmp_path, sound):
    sound(tmp_path / "a.wav")
    sound(tmp_path / "copy.wav")
    sound(tmp_path / "b.wav", pitch=300)
    clips = table.manifest(listed("a.wav,happy,ann", "copy.wav,sad,ann", "b.wav,sad,ann"))
    assert clips["clip_id"].tolist() == ["b.wav"]
    assert all("with another emotion or speaker" in cause for cause in causes(clips).values())
    assert len(causes(clips)) == 2


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (b"", "has no column path, it has none"),
        (b"file,emotion\na.wav,happy\n", "has no column path, it has file, emotion"),
        (b"path,emotion,Path\n", "has the column path twice"),
        (b"path,emotion,actor\n\n , ,\n", "it has a header only"),
        ("path,emotion\nbjörn.wav,happy\n".encode("latin-1"), r"not a text in UTF-8 \(line 2\)"),
        (b'path,emotion\n"a.wav,happy\n', "line 2: unexpected end of data"),
        (b"path,emotion,actor\ngone.wav,happy,ann\n", "1 file is left out, the first is my.csv"),
    ],
)
def test_a_csv_that_cannot_be_used_says_why(tmp_path, text, cause):
    file = tmp_path / "my.csv"
    file.write_bytes(text)
    with pytest.raises(CorpusError, match=cause):
        table.manifest(file)


def test_what_a_spreadsheet_writes_is_read(listed, tmp_path, sound):
    sound(tmp_path / "clips/Zoë.wav")
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        for mark in ",;\t":
            line = mark.join(("clips\\Zoë.wav", "happy", "Zoë", ""))
            header = mark.join(("path", "emotion", "speaker", ""))
            clips = table.manifest(listed(line, header=header, encoding=encoding))
            assert clips[["clip_id", "actor"]].to_numpy().tolist() == [["clips/Zoë.wav", "Zoë"]]


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(CorpusError, match="list them in a CSV with the columns path, emotion"):
        corpora.load("table")
    with pytest.raises(CorpusError, match="does not exist"):
        corpora.load("table", tmp_path / "gone.csv")
    (tmp_path / "my.csv").write_text("path\n")
    with pytest.raises(CorpusError, match=r"no folder .* emotion .*it holds my.csv: name that"):
        corpora.load("table", tmp_path)


def test_what_a_table_lacks_is_said_from_its_files(listed, tmp_path, sound, picture):
    sound(tmp_path / "a.wav")
    sound(tmp_path / "b.wav", pitch=300)
    file = listed("a.wav,happy,ann", "b.wav,sad,ann")
    with pytest.raises(CorpusError, match=r"my.csv has no faces: it has voices \(audio\) in 2 of"):
        corpora.carrying("table", ["audio", "video"], file)
    picture(tmp_path / "a.png")
    file = listed("a.wav,happy,ann", "b.wav,sad,ann", "a.png,sad,ann")
    with pytest.raises(CorpusError, match="has no voices and faces in one file"):
        corpora.carrying("table", ["audio", "video"], file)
    heard = corpora.carrying("table", ["audio"], file)
    assert heard["clip_id"].tolist() == ["a.wav", "b.wav"]
    assert list(causes(heard).values()) == ["it has no voices"]
    with pytest.raises(CorpusError, match=r"one emotion only \(sad\) among 1 usable"):
        corpora.carrying("table", ["video"], file)


def people(listed, tmp_path, sound, *names):
    """Return the manifest of two recordings of each person."""
    lines = []
    for number, name in enumerate(names):
        for emotion in ("happy", "sad"):
            file = f"{number}-{emotion}.wav"
            sound(tmp_path / file, pitch=200 + 20 * number + len(emotion))
            lines.append(f"{file},{emotion},{name}")
    return table.manifest(listed(*lines))


def test_as_many_folds_as_there_are_speakers_and_five_at_most(listed, tmp_path, sound):
    few = people(listed, tmp_path, sound, "ann", "ben", "cho")
    assert splits.make("actor", few).n_folds == 3
    many = people(listed, tmp_path, sound, *"abcdefgh")
    split = splits.make("actor", many)
    assert split.n_folds == 5
    assert split.check(many).counts["actor"] == 0


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("", "", "", ""), "8 clips have no actor"),
        (("ann", "ann"), "needs 3 actors"),
        (("ann", "ben"), "needs 3 actors"),
    ],
)
def test_without_speakers_there_is_no_honest_split(listed, tmp_path, sound, names, reason):
    clips = people(listed, tmp_path, sound, *names)
    with pytest.raises(CorpusError, match=reason) as refused:
        splits.make("actor", clips)
    assert "--split clip --allow-leak clip" in str(refused.value)


def test_two_tables_of_one_name_are_called_differently(tmp_path):
    one, other = (corpora.called("table", tmp_path / name / "my.csv") for name in "ab")
    assert one != other
    assert one.startswith("table-my-")
    assert corpora.called("ravdess", tmp_path) == "ravdess"


@pytest.mark.skipif(os.name == "nt", reason="names there are text")
def test_a_name_that_is_no_text_is_refused(tmp_path, sound):
    sound(tmp_path / "happy/a.wav")
    sound(tmp_path / "happy/b.wav", pitch=300).rename(
        os.fsdecode(os.fsencode(tmp_path) + b"/happy/\xff.wav")
    )
    clips = table.manifest(tmp_path)
    assert clips["clip_id"].tolist() == ["happy/a.wav"]
    assert list(causes(clips).values()) == ["its name is not a text in UTF-8"]


VALUES = st.one_of(
    st.sampled_from(["a.wav", "b.mp4", "happy", "sadness", "ann", "", ".", "..", "/", "~", "\0"]),
    st.text(max_size=12),
)
NAMES = st.sampled_from(["path", "emotion", "actor", "speaker", "text", "clip_id", "twin", "_file"])


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    header=st.lists(NAMES | VALUES, max_size=5),
    lines=st.lists(st.lists(VALUES, max_size=6), max_size=5),
    raw=st.none() | st.binary(max_size=60),
    dialect=st.sampled_from([",", ";", "\t"]),
)
def test_no_csv_ends_in_anything_but_an_error_of_the_package(
    tmp_path, sound, header, lines, raw, dialect
):
    if not (tmp_path / "a.wav").exists():
        sound(tmp_path / "a.wav")
    text = io.StringIO()
    csv.writer(text, delimiter=dialect).writerows([header, *lines])
    file = tmp_path / "my.csv"
    content = text.getvalue().encode("utf-8", "replace")
    file.write_bytes(content if raw is None else content + raw)
    try:
        clips = table.manifest(file)
    except EmolibError as error:
        assert str(error).strip(string.whitespace)
    else:
        assert set(clips["path"]) == {str(tmp_path / "a.wav")}
        assert all(problem["cause"] for problem in clips.attrs["problems"])
