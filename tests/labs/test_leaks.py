"""The leak lab: what leaks is counted, planted leaks are recovered, nothing is tested twice."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from emolib import paths, results, synthetic
from emolib.corpora import manifest as manifests
from emolib.corpora import pictures, splits
from emolib.labs import leaks, learners
from emolib.papers import engine
from emolib.papers.engine import Dataset
from emolib.papers.experiment import Experiment, ExperimentError
from emolib.training import Samples

EMOTIONS = ("neutral", "happy", "sad", "angry")


def recordings_of(actors=6, takes=4):
    """Clips whose numbers tell the emotion in a code that is private to the actor."""
    rng = np.random.default_rng(0)
    rows, audio, video = [], [], []
    for actor, (number, emotion), take in product(range(actors), enumerate(EMOTIONS), range(takes)):
        rows.append(
            {"clip_id": f"a{actor}-{number}-{take}", "path": "", "corpus": "ravdess",
             "actor": f"{actor + 1:02d}", "emotion": emotion, "modality": "audio",
             "channel": "speech"}
        )  # fmt: skip
        code = np.random.default_rng([number, actor]).normal(size=8)
        audio.append(4 * code + rng.normal(size=8))
        video.append(4 * code[:5] + rng.normal(size=5))
    manifest = manifests.build(rows)
    place = {row["clip_id"]: at for at, row in enumerate(rows)}
    order = [place[name] for name in manifest["clip_id"]]
    labels = torch.tensor([EMOTIONS.index(name) for name in manifest["emotion"]])
    tensors = [torch.tensor(np.array(v)[order], dtype=torch.float32) for v in (audio, video)]
    return Dataset(Samples(dict(zip(("audio", "video"), tensors, strict=True)), labels),
                   manifest, 1, EMOTIONS)  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    monkeypatch.setitem(leaks.INPUTS, "few", lambda corpus, modality, mode: recordings_of())
    return tmp_path


def run(experiment, **options):
    return engine.run(leaks.LAB, experiment, mode="full", progress=False, **options)


def classify(learner="neighbour", split="actor", *, fusion="early", name=None, **fields):
    options = {"learner": learner, "fusion": fusion}
    asked = Experiment(
        "ravdess", "both", split, seeds=(0,), options=options, data={"inputs": "few"}, **fields
    )
    return run(asked, name=name)


@pytest.mark.parametrize("learner", ["neighbour", "svm"])
def test_a_private_code_is_read_on_known_actors_and_worthless_on_strangers(learner):
    known = classify(learner, "clip", allow_leak="clip")
    strangers = classify(learner, "actor")
    assert known.summary["accuracy"].mean > 0.85
    assert strangers.summary["accuracy"].mean < 0.5
    assert known.split.leaks["actor"] > 0 == strangers.split.leaks["actor"]
    assert "leak" in known.title
    assert "leak" not in strangers.title


def test_a_leaking_split_must_be_named():
    with pytest.raises(splits.LeakError, match="allow_leak"):
        classify(split="clip")


@pytest.mark.parametrize("fusion", learners.FUSIONS)
def test_every_fusion_tests_every_clip_once_with_probabilities(fusion):
    result = classify("svm", fusion=fusion)
    rows, labels, probabilities, _ = result.pooled()
    assert len(rows) == len(labels) == len(recordings_of().manifest)
    np.testing.assert_allclose(probabilities.sum(1), 1)


def test_unknown_learners_and_fusions_are_refused_by_name():
    with pytest.raises(ExperimentError, match="svm"):
        classify("forest")
    with pytest.raises(ExperimentError, match="geometric"):
        classify(fusion="harmonic")


@pytest.mark.parametrize("dose", [0, 1, 4, 8])
def test_a_dose_moves_that_many_clips_of_each_test_actor_and_never_what_is_tested(dose):
    manifest = recordings_of().manifest
    split, strangers = leaks.dosed(manifest, dose), leaks.dosed(manifest, 0)
    for fold in range(split.n_folds):
        test = split.indices(manifest, fold, "test")
        np.testing.assert_array_equal(test, strangers.indices(manifest, fold, "test"))
        train = manifest.iloc[split.indices(manifest, fold, "train")]
        for actor in set(manifest.iloc[test]["actor"]):
            assert (train["actor"] == actor).sum() == dose
    report = split.check(manifest, allow_leak="clip" if dose else None)
    assert (report.counts["actor"] > 0) == (dose > 0)


def test_a_dose_larger_than_half_of_an_actors_clips_is_refused():
    with pytest.raises(ExperimentError, match="from 0 to 8"):
        leaks.dosed(recordings_of().manifest, 9)


def test_the_reader_of_planted_cues_recovers_the_size_of_the_leak():
    told = synthetic.cues("actor", actors=24, full=True)
    clips = told.assign(corpus="synthetic")
    known = leaks.cue_reader(told, splits.make("clip", clips))
    stranger = leaks.cue_reader(told, splits.make("actor", clips))
    assert known == pytest.approx(synthetic.LEAKS["actor"].leaking["clip"], abs=0.03)
    assert stranger == pytest.approx(1 / 8, abs=0.03)


def test_planted_duplicates_are_found_and_counted():
    rng = np.random.default_rng(0)
    drawn = rng.integers(40, 215, (30, 48, 48)).astype(np.uint8)
    pixels, source = leaks.plant_duplicates(drawn, 10)
    groups = pictures.near_duplicates(pixels)
    assert (groups[30:] == groups[source]).mean() > 0.8
    usage = np.array(["Training"] * 30 + ["PublicTest"] * 10)
    report = pictures.near_duplicate_report(pixels, np.zeros(40), usage)
    assert report.loc["≤ 6 bits", "test_pictures_seen"] >= 8
    assert report.loc["same bytes", "pairs"] == 0
    assert report["pairs_across_emotions"].eq(0).all()
    assert report.loc["≤ 0 bits":, "pairs"].is_monotonic_increasing


@pytest.fixture(scope="module")
def faces_of_people():
    """Clips of six actors and a picture for each, without a recording."""
    rng = np.random.default_rng(0)
    manifest = recordings_of().manifest.assign(corpus="paired", modality="audiovisual")
    return manifest, rng.integers(40, 215, (len(manifest), 48, 48)).astype(np.uint8)


@pytest.fixture
def paired_of(monkeypatch, faces_of_people):
    from emolib.corpora import fer2013, paired

    manifest, drawn = faces_of_people
    monkeypatch.setattr(paired, "manifest", lambda root=None, seed=0: manifest)
    monkeypatch.setattr(
        paired, "frames", lambda clips, k, seed=0, root=None: np.arange(len(clips))[:, None]
    )
    monkeypatch.setattr(fer2013, "images", lambda root=None: drawn)
    return manifest


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_planted_twins_are_other_peoples_and_are_used_once(paired_of, share):
    data = leaks.twins(share=share)
    pairs = data.features["copy_of"]
    assert len(pairs) == round(share * len(paired_of))
    assert len({*pairs, *pairs.values()}) == 2 * len(pairs)
    known = paired_of.set_index("clip_id")
    for copy, source in pairs.items():
        assert known.loc[copy, "emotion"] == known.loc[source, "emotion"]
        assert known.loc[copy, "actor"] != known.loc[source, "actor"]


def shown_twins(share, **fields):
    return Experiment(
        "paired", "video", seeds=(0,), data={"inputs": "twins", "share": share}, **fields
    )


def test_the_planted_share_of_twins_is_recovered(paired_of, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    for name, share in (("none", 0.0), ("some", 0.3)):
        asked = shown_twins(share, allow_leak="image" if share else None)
        results.save(run(asked, name=name))
    table = leaks.recovered(["none", "some"])
    assert table["planted"].tolist()[0] == table["found"].tolist()[0] == 0
    assert table["planted"][1] > 0
    assert table["found"][1] == pytest.approx(table["planted"][1], rel=0.1)
    assert table["measured"][1] == pytest.approx(table["expected"][1], abs=5)
    assert table["measured"][1] > table["measured"][0] + 10


def test_planted_twins_are_refused_until_they_are_named(paired_of):
    with pytest.raises(splits.LeakError, match="near-duplicate"):
        run(shown_twins(0.3))
    with pytest.raises(ExperimentError, match="a share of 0 to"):
        leaks.twins(share=0.7)


@pytest.fixture
def crowds(monkeypatch, faces_of_people):
    """Clips that may show three pictures each: a dark one, a grey one and a bright one."""
    from emolib import corpora
    from emolib.corpora import fer2013, paired

    manifest, _ = faces_of_people
    levels = np.resize(np.array([60, 120, 180], np.uint8), 3 * len(manifest))
    drawn = np.repeat(levels, 48 * 48).reshape(-1, 48, 48)
    rows = np.arange(len(drawn)).reshape(len(manifest), 3)
    known = pd.Series(range(len(manifest)), index=manifest["clip_id"].to_numpy())

    def frames(clips, k, seed=0, root=None):
        return np.resize(rows.T, (k, len(manifest))).T[known[clips["clip_id"]].to_numpy()]

    monkeypatch.setattr(paired, "frames", frames)
    monkeypatch.setattr(fer2013, "images", lambda root=None: drawn)
    monkeypatch.setattr(corpora, "carrying", lambda *_: manifest)
    return len(manifest)


def test_several_pictures_a_clip_are_shown_only_under_their_name(crowds):
    one, several, crossed = (
        leaks.looks(pictures=pictures, tested=tested)
        for pictures, tested in (("one", None), ("several", None), ("several", "one"))
    )

    def distinct(data, generator=None):
        """Count the pictures among the frames of a clip; motion changes light by 6 % at most."""
        frames = data.prepare(dict(data.samples.inputs), generator)["video"][0, :, 0]
        light = (frames.mean((-1, -2)) + 1) * 127.5
        return len(set((light / 60).round().tolist()))

    training = torch.Generator().manual_seed(0)
    assert (distinct(one), distinct(several), distinct(crossed)) == (1, 3, 1)
    assert distinct(crossed, training) == 3
    assert distinct(one, training) == 1
    assert crossed.features["pictures"] == {"trained": "several", "tested": "one"}
    assert several.images.shape == (crowds, 15)
    with pytest.raises(ExperimentError, match="unknown pictures 'two': known are one, several"):
        leaks.looks(pictures="two")
    with pytest.raises(ExperimentError, match="are those of paired"):
        leaks.looks("ckplus")


def test_a_panel_is_right_more_often_than_its_members(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    assert leaks.panel("weak").empty
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(7), 60)
    scores = rng.gumbel(size=(420, 7)) + 1.5 * np.eye(7)[labels]  # a little for the truth
    weak = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    (tmp_path / leaks.LAB).mkdir()
    (tmp_path / leaks.LAB / "weak.json").touch()
    pooled = SimpleNamespace(pooled=lambda: (np.arange(420), labels, weak, None))
    monkeypatch.setattr(leaks.results, "load", lambda key, name: pooled)
    table = leaks.panel("weak", (1, 4, 15))
    alone = (weak.argmax(1) == labels).mean()
    assert 0.3 < alone < 0.6
    assert table["accuracy"][0] == pytest.approx(alone, abs=0.04)
    assert table["accuracy"].is_monotonic_increasing
    assert table["accuracy"][2] > 0.9


def test_a_room_tone_is_read_from_siblings_and_not_from_other_clips():
    tones = Experiment("synthetic", "audio", seeds=(0,), data={"inputs": "room tones"})
    quiet = {kind: run(tones.changed(split=kind, allow_leak=kind)) for kind in ("segment", "clip")}
    known, strange = (quiet[kind].summary["segment_accuracy"].mean for kind in ("segment", "clip"))
    assert known > 0.8 * synthetic.LEAKS["segment"].leaking["segment"]
    assert strange < 0.4


@pytest.mark.realdata
def test_the_rung_of_another_corpus_shares_no_one_and_has_the_emotions_of_both(recordings):
    crossed = leaks.FULL["svm-shared-corpus"]
    data, _, _ = engine.prepared(leaks.LAB, crossed, "quick")
    assert len(data.classes) == 6
    assert "contempt" not in data.classes
    for test in ("fer2013", "ckplus"):
        split = splits.make("corpus", data.manifest, test=test)
        assert not any(split.check(data.manifest).counts.values())
        tested = data.manifest.iloc[split.indices(data.manifest, 0, "test")]
        assert set(tested["corpus"]) == {test}
    alone = leaks.faces("ckplus", size=48, shared=True, root=recordings / "ckplus48")
    assert alone.classes == data.classes


@pytest.mark.realdata
def test_no_picture_stands_in_both_corpora_of_the_last_rung(recordings):
    data, split, _ = engine.prepared(leaks.LAB, "svm-shared-corpus")
    stored = results.load(leaks.LAB, "svm-shared-corpus")
    assert split.digest() == stored.split.sha256
    assert manifests.digest(data.manifest) == stored.provenance.manifest_sha256
    assert data.samples.labels.tolist() == stored.samples.labels
    assert list(data.classes) == stored.classes
    hashes = pictures.perceptual_hashes(data.samples.inputs["video"][:, 0].numpy())
    posed = (data.manifest["corpus"] == "ckplus").to_numpy()
    bits = np.bitwise_count(hashes[posed][:, None] ^ hashes[~posed][None])
    assert bits.min() >= 6


def test_faces_of_another_corpus_are_refused_by_name():
    with pytest.raises(ExperimentError, match="ckplus or fer2013"):
        leaks.faces("savee")


def test_a_result_that_was_not_made_keeps_its_row_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    made = classify(learner="neighbour")
    results.save(made.model_copy(update={"experiment": "neighbour-early-actor"}))
    names = ["neighbour-early-actor", "svm-early-actor", "ding/audio-actor"]
    table = leaks.ladder({"model": names})
    assert table["value"].notna().tolist() == [True, False, False]
    assert table["command"][1] == "emolib train lab_leaks --experiment svm-early-actor"
    assert table["command"][2] == "emolib train ding --experiment audio-actor"


def test_a_ladder_in_words_names_every_rung_that_was_measured():
    table = pd.DataFrame(
        {"model": ["SVM", "SVM", "net"], "rung": ["clip", "actor", "clip"],
         "value": [94.51, 64.03, None]}
    )  # fmt: skip
    assert leaks.in_words(table, "model", "rung") == "SVM: clip 95, actor 64 percent."


def test_a_tidy_ladder_shows_whole_counts_and_only_the_columns_that_say_something():
    table = pd.DataFrame(
        {"model": ["SVM", "net"], "test": pd.array([1440, None], "Int64"), "value": [94.51, None],
         "title": ["a", "b"], "command": ["", "make it"], "same clip": [None, None]}
    )  # fmt: skip
    shown = leaks.tidy(table)
    assert shown.to_numpy().tolist() == [["SVM", 1440, "94.5", ""], ["net", "", "", "make it"]]
    assert "command" not in leaks.tidy(table.iloc[:1])


def test_comparing_a_result_with_itself_finds_no_difference(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    results.save(classify(name="one"))
    results.save(classify(name="two"))
    table = leaks.comparisons([("one", "two"), ("one", "missing")])
    assert len(table) == 1
    assert table["difference (points)"].iloc[0] == 0
    assert table["McNemar p (first seed)"].iloc[0] == 1


@pytest.mark.realdata
def test_voice_and_face_of_one_performance_belong_together(recordings):
    data = leaks.numbers("ravdess", "both", "quick", root=recordings / "ravdess")
    assert [v.shape[1] for v in data.samples.inputs.values()] == [40, 35]
    alone = leaks.numbers(
        "ravdess", "both", "quick", normalise="speaker", root=recordings / "ravdess"
    )
    means = pd.DataFrame(alone.samples.inputs["video"].numpy()).groupby(
        alone.manifest["actor"].to_numpy()
    )
    assert means.mean().abs().to_numpy().max() < 1e-3
