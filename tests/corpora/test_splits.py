from functools import cache
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emolib import paths
from emolib.corpora import CorpusError, ckplus, cremad, fer2013, paired, pictures, ravdess, splits
from emolib.corpora.manifest import build
from emolib.corpora.splits import LeakError, Split, make

few = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


@cache
def _voices(actors, prefix, corpus, emotions):
    choices = product(range(1, actors + 1), emotions, (1, 2), (1, 2), (1, 2))
    rows = []
    for actor, emotion, intensity, statement, repetition in choices:
        if emotion == 1 and intensity == 2:
            continue  # there is no strong neutral
        fields = (1, emotion, intensity, statement, repetition, actor)
        take = "-".join(f"{field:02}" for field in fields)
        rows.append(
            {
                "clip_id": f"{prefix}-{take}",
                "path": f"/x/{take}.wav",
                "corpus": corpus,
                "actor": f"{actor:02}",
                "emotion": ravdess.CLASSES[emotion - 1],
                "modality": "audio",
                "sex": "male" if actor % 2 else "female",
                "twin": take,
            }
        )
    return build(rows)


def voices(actors=24, prefix="03", corpus="ravdess", emotions=range(1, 9)):
    """A manifest with the names of RAVDESS speech, without files."""
    return _voices(actors, prefix, corpus, tuple(emotions)).copy()


def frames(subjects=12, sequences=3):
    """A manifest like CK+: three frames a sequence."""
    return build(
        {
            "clip_id": f"S{subject:03}_{sequence:03}_{frame:08}",
            "path": "/x.png",
            "corpus": "ckplus",
            "actor": f"S{subject:03}",
            "emotion": ckplus.CLASSES[(subject + sequence) % 7],
            "modality": "image",
            "sequence": f"S{subject:03}_{sequence:03}",
        }
        for subject in range(subjects)
        for sequence in range(sequences)
        for frame in range(3)
    )


def faces(count=300):
    return build(
        {
            "clip_id": f"fer2013-{row:05}",
            "path": "/x.csv",
            "corpus": "fer2013",
            "emotion": fer2013.CODES[row % 7],
            "modality": "image",
            "usage": fer2013.USAGES[max(0, row % 10 - 7)],
        }
        for row in range(count)
    )


def sides(split, manifest, column, fold):
    """Return the values of a column in train, valid and test of a fold."""
    table = split.table[split.table["fold"] == fold].merge(manifest, on="clip_id")
    return {part: set(table.loc[table["part"] == part, column]) for part in splits.PARTS}


# --- every split ----------------------------------------------------------------------------


@few
@given(
    kind=st.sampled_from(["segment", "clip", "actor"]),
    seed=st.integers(0, 2**31),
    actors=st.integers(3, 24),
    n_segments=st.integers(1, 6),
)
def test_the_tests_of_all_folds_are_every_sample_once(kind, seed, actors, n_segments):
    manifest = voices(actors)
    split = make(kind, manifest, seed=seed, n_segments=n_segments)
    tested = [split.indices(manifest, f, "test", n_segments) for f in range(split.n_folds)]
    assert sorted(np.concatenate(tested)) == list(range(len(manifest) * n_segments))
    for fold in range(split.n_folds):
        parts = [split.indices(manifest, fold, part, n_segments) for part in splits.PARTS]
        assert sorted(np.concatenate(parts)) == list(range(len(manifest) * n_segments))
        assert all(len(part) for part in parts)


@few
@given(
    kind=st.sampled_from(["segment", "clip", "actor", "official"]),
    seed=st.integers(0, 2**31),
    order=st.integers(0, 2**31),
)
def test_a_seed_gives_one_split_whatever_the_order_and_the_format_of_the_files(kind, seed, order):
    manifest = faces() if kind == "official" else voices(8)
    one = make(kind, manifest, seed=seed)
    shuffled = manifest.sample(frac=1, random_state=order % 2**32)
    shuffled["path"] = shuffled["path"].str.replace(".wav", ".flac")
    assert make(kind, shuffled, seed=seed).digest() == one.digest()
    assert make(kind, manifest, seed=seed + 1).digest() != one.digest()


@few
@given(kind=st.sampled_from(["segment", "clip"]), seed=st.integers(0, 2**31))
def test_folds_and_valid_are_stratified_fifths(kind, seed):
    manifest = voices(24)
    split = make(kind, manifest, seed=seed)
    counts = split.table.merge(manifest, on="clip_id").groupby(["fold", "part", "emotion"]).size()
    whole = manifest["emotion"].value_counts() * (6 if kind == "segment" else 1)
    for (_, part, emotion), count in counts.items():
        share = {"test": 0.2, "valid": 0.16, "train": 0.64}[part]
        assert abs(count - share * whole[emotion]) <= 2.5
    sizes = split.table[split.table["part"] == "test"].groupby("fold").size()
    assert set(sizes) == {1728 if kind == "segment" else 288}


@few
@given(kind=st.sampled_from(["segment", "clip", "actor"]), seed=st.integers(0, 99))
def test_a_saved_split_is_read_back_whole(kind, seed, tmp_path_factory):
    split = make(kind, voices(6), seed=seed)
    path = split.save(tmp_path_factory.mktemp("splits") / f"{split.name}.csv")
    again = Split.load(path)
    assert again.digest() == split.digest() and again.name == split.name
    assert (again.kind, again.corpus, again.seed) == (kind, "ravdess", seed)


# --- leaks ----------------------------------------------------------------------------------


@few
@given(seed=st.integers(0, 2**31), actors=st.integers(3, 24), folds=st.integers(3, 6))
def test_a_split_by_actor_never_leaks(seed, actors, folds):
    manifest = voices(actors)
    split = make("actor", manifest, seed=seed, n_folds=min(folds, actors))
    assert set(split.check(manifest).counts.values()) == {0}
    for fold in range(split.n_folds):
        seen = sides(split, manifest, "actor", fold)
        assert not seen["test"] & (seen["train"] | seen["valid"])
        assert not seen["valid"] & seen["train"]


@few
@given(seed=st.integers(0, 2**31))
def test_ravdess_has_six_folds_of_two_men_and_two_women(seed):
    manifest = voices(24)
    split = make("actor", manifest, seed=seed)
    assert split.n_folds == 6
    for fold in range(6):
        seen = sides(split, manifest, "actor", fold)
        assert [len(seen[part]) for part in ("test", "valid", "train")] == [4, 4, 16]
        assert sum(int(actor) % 2 for actor in seen["test"]) == 2
        assert seen["valid"] == sides(split, manifest, "actor", (fold + 1) % 6)["test"]


@settings(few, max_examples=3)
@given(seed=st.integers(0, 2**31))
def test_clip_and_segment_splits_need_the_leak_to_be_named(seed):
    manifest = voices(8)
    by_clip = make("clip", manifest, seed=seed)
    with pytest.raises(LeakError, match=r"share actors \(actor: ravdess 0.*allow_leak='clip'"):
        by_clip.check(manifest)
    counts = by_clip.check(manifest, allow_leak="clip").counts
    assert counts["actor"] > 0 and counts["clip"] == counts["segment"] == counts["twin"] == 0

    by_segment = make("segment", manifest, seed=seed)
    for allowed in (None, "clip", "actor", "image", "twin"):
        with pytest.raises(LeakError, match="segments of one clip"):
            by_segment.check(manifest, allow_leak=allowed)
    counts = by_segment.check(manifest, allow_leak="segment").counts
    assert counts["segment"] > 0 and counts["clip"] == 0


def test_nearly_every_test_segment_has_a_sibling_in_train():
    manifest = voices(24)
    report = make("segment", manifest).check(manifest, allow_leak="segment")
    assert (report.table.query("leak == 'segment'")["share"] > 0.99).all()


def test_the_pairs_of_a_leak_are_counted():
    manifest = voices(3, emotions=[1])  # 12 clips of 3 actors
    table = pd.DataFrame({"clip_id": manifest["clip_id"], "segment": -1, "fold": 0})
    table["part"] = ["test"] + ["valid"] + ["train"] * 10
    report = Split("clip", "ravdess", table).check(manifest, allow_leak="clip")
    assert report.counts == {"clip": 0, "segment": 0, "twin": 0, "image": 0, "actor": 3}
    row = report.table.query("leak == 'actor'").iloc[0]
    assert (row["test_rows"], row["share"], row["offenders"]) == (1, 1.0, ["ravdess 01"])


def test_offenders_are_named_with_their_total():
    manifest = voices(8)
    with pytest.raises(LeakError, match="ravdess 01, ravdess 02, ravdess 03 and 5 more in fold 0"):
        make("clip", manifest).check(manifest)


def test_a_row_in_two_parts_is_refused():
    manifest = voices(4)
    table = make("actor", manifest).table
    with pytest.raises(LeakError, match="rows are there more than once, the first is clip 03-01-"):
        Split("actor", "ravdess", pd.concat([table, table.head(3).assign(part="test")]))


def test_valid_counts_as_seen():
    manifest = voices(4)
    table = make("actor", manifest).table
    one = manifest[manifest["actor"] == "01"]["clip_id"]
    fold = int(table[(table["clip_id"].isin(one)) & (table["part"] == "test")]["fold"].iloc[0])
    moved = table.copy()
    moved.loc[(table["fold"] == fold) & (table["clip_id"] == one.iloc[0]), "part"] = "valid"
    with pytest.raises(LeakError, match="ravdess 01"):
        Split("actor", "ravdess", moved).check(manifest)


def test_actors_of_another_corpus_have_the_sex_that_it_tells_and_no_other():
    """Odd actors are men in RAVDESS; elsewhere two digits say nothing."""
    other = voices(8, corpus="elsewhere").drop(columns=["sex", "twin"])
    assert make("actor", other).n_folds == 5
    told = other.assign(sex=np.where(other["actor"].astype(int) <= 4, "male", "female"))
    split = make("actor", told, n_folds=4)
    for fold in range(4):
        assert sides(split, told, "sex", fold)["test"] == {"male", "female"}


def test_twins_in_other_modalities_stay_together_by_clip_and_are_found_when_they_do_not():
    manifest = build(pd.concat([voices(6, prefix) for prefix in ("01", "02", "03")]))
    by_clip = make("clip", manifest)
    assert by_clip.check(manifest, allow_leak="clip").counts["twin"] == 0
    alone = make("clip", voices(6, "03")).table
    other = alone.assign(clip_id="01" + alone["clip_id"].str[2:], fold=(alone["fold"] + 1) % 5)
    mixed = Split("clip", "ravdess", pd.concat([alone, other]))
    with pytest.raises(LeakError, match=r"two recordings of one performance \(twin: ravdess 01-"):
        mixed.check(manifest, allow_leak="clip")
    assert mixed.check(manifest, allow_leak="twin").counts["twin"] > 0


def test_the_recording_published_under_two_names_stays_on_one_side():
    manifest = voices(24)
    manifest["twin"] = manifest["clip_id"].str[3:].replace(ravdess.SAME_RECORDING)
    for seed in range(5):
        split = make("clip", manifest, seed=seed)
        assert split.check(manifest, allow_leak="clip").counts["twin"] == 0
        assert set(split.table.query("part == 'test'").groupby("fold").size()) == {288}


def test_near_duplicate_images_across_the_split_are_found():
    manifest = faces(100)
    split = make("official", manifest)
    numbers = np.arange(100)
    assert split.check(manifest, images=numbers).counts["image"] == 0
    first_train = split.indices(manifest, 0, "train")[0]
    first_test = split.indices(manifest, 0, "test")[0]
    numbers[first_test] = first_train
    with pytest.raises(LeakError, match=r"near-duplicate images.*allow_leak='image'"):
        split.check(manifest, images=numbers)
    report = split.check(manifest, images=numbers, allow_leak="image")
    assert report.counts["image"] == 1
    assert report.table.query("leak == 'image'")["test_rows"].item() == 1
    with pytest.raises(CorpusError, match="99 images for 100 clips"):
        split.check(manifest, images=numbers[:99])


def test_pictures_themselves_are_compared_by_perceptual_hash(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(paths, "FEATURES", tmp_path)
    manifest = faces(100)
    split = make("official", manifest)
    coarse = np.random.default_rng(0).integers(0, 256, (100, 6, 6), np.uint8)
    resize = Image.Resampling.BICUBIC
    images = np.stack([np.asarray(Image.fromarray(c).resize((48, 48), resize)) for c in coarse])
    assert split.check(manifest, images=images).counts["image"] == 0
    copied = images.copy()
    train, test = (split.indices(manifest, 0, part)[0] for part in ("train", "test"))
    copied[test] = copied[train] // 2 + 60
    with pytest.raises(LeakError, match="near-duplicate images"):
        split.check(manifest, images=copied)


def test_groups_stay_together_where_they_are_given():
    manifest = faces(300)
    groups = np.arange(300) // 3
    split = make("clip", manifest, groups=groups)
    assert split.check(manifest, images=groups).counts["image"] == 0
    with pytest.raises(LeakError):
        make("clip", manifest).check(manifest, images=groups)


# --- frames, corpora, official parts --------------------------------------------------------


def test_frames_of_a_sequence_are_siblings():
    manifest = frames()
    by_frame, by_sequence = make("segment", manifest), make("clip", manifest)
    assert len(by_frame.table) == len(manifest) * 5 and set(by_frame.table["segment"]) == {-1}
    with pytest.raises(LeakError, match="frames of one sequence"):
        by_frame.check(manifest, allow_leak="clip")
    assert by_frame.check(manifest, allow_leak="segment").counts["segment"] > 0
    counts = by_sequence.check(manifest, allow_leak="clip").counts
    assert counts["segment"] == 0 and counts["actor"] > 0
    assert set(make("actor", manifest).check(manifest).counts.values()) == {0}


def corpora():
    english = voices(6).assign(sex=lambda t: np.where(t["actor"].astype(int) % 2, "male", "female"))
    other = voices(8, corpus="synthetic", emotions=(1, 3, 4, 7))
    return splits.combine(english, other)


def test_corpora_are_joined_over_their_common_emotions_under_distinct_names():
    joined = corpora()
    assert set(joined["emotion"]) == {"neutral", "happy", "sad", "disgust"}
    assert joined["clip_id"].is_unique and joined["clip_id"].str.contains(":").all()
    with pytest.raises(CorpusError, match="no emotion in common"):
        splits.combine(voices(3, emotions=[3]), voices(3, corpus="x", emotions=[4]))


def test_by_corpus_every_corpus_is_the_test_once():
    joined = corpora()
    split = make("corpus", joined)
    assert split.name == "ravdess+synthetic-corpus" and split.n_folds == 2
    assert set(split.check(joined).counts.values()) == {0}
    for fold, name in enumerate(("ravdess", "synthetic")):
        seen = sides(split, joined, "corpus", fold)
        assert seen["test"] == {name} and name not in seen["train"] | seen["valid"]
        people = sides(split, joined.assign(who=joined["corpus"] + joined["actor"]), "who", fold)
        assert people["valid"] and not people["valid"] & people["train"]
    assert make("corpus", joined, test="synthetic").n_folds == 1


def test_the_same_people_in_two_corpora_are_a_leak():
    joined = splits.combine(voices(6), voices(6, corpus="paired"))
    with pytest.raises(LeakError, match="ravdess 01"):
        make("corpus", joined).check(joined)


def test_by_speaker_each_is_left_out_once_and_all_others_train():
    clips = voices(24)
    split = make("speaker", clips, seed=1)
    report = split.check(clips)
    assert set(report.counts.values()) == {0}
    assert split.n_folds == 24
    everyone = sorted(set(clips["actor"]))
    for fold, left_out in enumerate(everyone):
        parts = {p: clips.iloc[split.indices(clips, fold, p)] for p in splits.PARTS}
        assert set(parts["test"]["actor"]) == {left_out}
        assert set(parts["train"]["actor"]) == set(everyone) - {left_out}
        share = len(parts["valid"]) / (len(clips) - len(parts["test"]))
        assert share == pytest.approx(0.2, abs=0.01)


def test_one_speaker_alone_cannot_be_left_out():
    with pytest.raises(CorpusError, match="one speaker cannot be left out of 1"):
        make("speaker", voices(1))


def test_one_corpus_cannot_be_split_by_corpus():
    with pytest.raises(CorpusError, match=r"splits.combine\(a, b\)"):
        make("corpus", voices(4))


def test_the_official_parts_of_fer2013():
    manifest = faces(1000)
    split = make("official", manifest)
    usage = sides(split, manifest, "usage", 0)
    assert usage == {"train": {"Training"}, "valid": {"Training"}, "test": {"PrivateTest"}}
    size = split.table["part"].value_counts()
    assert abs(size["valid"] / (size["valid"] + size["train"]) - 0.2) < 0.01
    assert split.check(manifest).unused == (manifest["usage"] == "PublicTest").sum()
    public = make("official", manifest, test="PublicTest")
    assert sides(public, manifest, "usage", 0)["test"] == {"PublicTest"}
    rest = manifest[manifest["usage"] != "PrivateTest"]
    assert sides(make("official", rest), rest, "usage", 0)["test"] == {"PublicTest"}


# --- wrong use ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "manifest", "options", "message"),
    [
        ("best", voices(3), {}, "unknown kind of split 'best': known are segment, clip"),
        ("actor", faces(), {}, "have no actor .*split FER2013 officially"),
        ("actor", voices(2), {}, "needs 3 actors, .* there are 2 .*allow_leak='clip'"),
        ("actor", voices(4), {"n_folds": 5}, "5 folds cannot be made of 4 actors"),
        ("official", voices(3), {}, "only FER2013 has them"),
        ("clip", voices(3), {"valid": 1.0}, "valid=1.0 must lie between"),
        ("clip", voices(3).head(4), {}, "5 folds cannot be made of 4 clips"),
        ("clip", voices(3).head(0), {}, "the manifest is empty"),
    ],
)
def test_a_split_that_cannot_be_made_says_why(kind, manifest, options, message):
    with pytest.raises(CorpusError, match=message):
        make(kind, manifest, **options)


def test_clips_that_fell_out_leave_the_split_and_nothing_else():
    manifest = voices(4)
    split = make("actor", manifest)
    kept = manifest.drop(index=[3, 50]).reset_index(drop=True)
    for part in splits.PARTS:
        here = split.indices(kept, 0, part, 2)
        names = kept["clip_id"].iloc[here[::2] // 2]
        before = manifest["clip_id"].iloc[split.indices(manifest, 0, part)]
        assert names.tolist() == [name for name in before if name in set(kept["clip_id"])]
    assert set(split.check(kept).counts.values()) == {0}


def test_indices_follow_the_order_of_the_manifest():
    manifest = voices(4)
    split = make("actor", manifest)
    backwards = manifest[::-1].reset_index(drop=True)
    one = set(manifest["clip_id"].iloc[split.indices(manifest, 1, "test")])
    other = set(backwards["clip_id"].iloc[split.indices(backwards, 1, "test")])
    assert one == other


@pytest.mark.parametrize(
    ("fold", "part", "segments", "message"),
    [
        (9, "test", 6, "has no part 'test' in fold 9: parts are"),
        (0, "exam", 6, "has no part 'exam'"),
        (0, "test", 3, "made for 6 segments a clip, the samples have 3"),
    ],
)
def test_wrong_folds_parts_and_segments_are_refused(fold, part, segments, message):
    manifest = voices(3)
    with pytest.raises(CorpusError, match=message):
        make("segment", manifest).indices(manifest, fold, part, segments)


def test_the_manifest_of_another_corpus_is_refused():
    split, other = make("actor", voices(4)), frames()
    for call in (lambda: split.check(other), lambda: split.indices(other, 0, "test")):
        with pytest.raises(
            CorpusError, match=r"none of the 108 clips .* is in split ravdess-actor"
        ):
            call()


def test_unknown_leaks_are_refused():
    manifest = voices(4)
    with pytest.raises(CorpusError, match="unknown allow_leak 'all': known are segment, twin"):
        make("actor", manifest).check(manifest, allow_leak="all")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="part"), "has no column part"),
        (lambda t: t.assign(part="exam"), "unknown part exam"),
        (lambda t: t.assign(fold=t["fold"] + 1), "folds must count from 0"),
        (lambda t: t[t["part"] != "test"], "rows for train and for test"),
        (lambda t: pd.concat([t, t.head(1).assign(segment=2)]), "whole clips .* and segments"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, change, message):
    table = make("actor", voices(4)).table
    path = tmp_path / "ravdess-actor.csv"
    change(table).to_csv(path, index=False)
    with pytest.raises(CorpusError, match=message):
        Split.load(path)


def test_a_file_that_is_not_there_is_named_with_those_that_are(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "SPLITS", tmp_path)
    make("actor", voices(4)).save()
    assert Split.load("ravdess-actor").n_folds == 4
    with pytest.raises(CorpusError, match=r"saved there are ravdess-actor"):
        Split.load("ravdess-clip")
    with pytest.raises(CorpusError, match="not named like a split"):
        Split.load("holiday")


# --- the saved folds and real corpora -------------------------------------------------------


def test_the_saved_folds_of_ravdess_are_the_ones_that_make_gives():
    assert Split.load("ravdess-actor").digest() == make("actor", voices(24)).digest()


@pytest.mark.realdata
def test_the_saved_folds_fit_the_real_recordings(recordings):
    manifest = ravdess.manifest(recordings / "ravdess")
    split = Split.load("ravdess-actor")
    assert split.digest() == make("actor", manifest).digest()
    report = split.check(manifest)
    assert set(report.counts.values()) == {0} and report.unused == 0
    sizes = split.table.groupby("fold")["part"].value_counts().to_dict()
    assert all(n == (960 if part == "train" else 240) for (_, part), n in sizes.items())


@pytest.mark.realdata
def test_real_faces_leak_through_official_parts_but_not_through_a_split_of_paired_by_actor(
    recordings,
):
    images = fer2013.images(recordings / "fer2013")
    groups = pictures.near_duplicates(images)
    faces = fer2013.manifest(recordings / "fer2013")
    official = make("official", faces)
    assert set(official.check(faces).counts.values()) == {0}
    report = official.check(faces, images=groups, allow_leak="image")
    assert report.table.query("leak == 'image'")["test_rows"].item() == 502

    clips = paired.manifest(recordings)
    shown = groups[paired.frames(clips, 6)]
    assert set(make("actor", clips).check(clips, images=shown).counts.values()) == {0}
    counts = make("clip", clips).check(clips, images=shown, allow_leak="clip").counts
    assert counts["image"] > 0


@pytest.mark.realdata
def test_real_frames_of_a_sequence_leak_when_split_by_frame(recordings):
    manifest = ckplus.manifest(recordings / "ckplus48")
    report = make("segment", manifest).check(manifest, allow_leak="segment")
    assert (report.table.query("leak == 'segment'")["share"] > 0.9).all()
    assert set(make("actor", manifest).check(manifest).counts.values()) == {0}


@pytest.mark.realdata
def test_ravdess_and_cremad_meet_in_a_split_by_corpus(recordings):
    joined = splits.combine(
        ravdess.manifest(recordings / "ravdess"), cremad.manifest(recordings / "cremad")
    )
    split = make("corpus", joined, test="cremad")
    assert set(split.check(joined).counts.values()) == {0}
    assert len(split.indices(joined, 0, "test")) == 6
