"""Experiments: what is refused, what is resumed, and what a leak does to a number."""

import functools
import shutil
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from emolib import models, paths, results
from emolib.corpora import manifest as manifests
from emolib.corpora import splits
from emolib.errors import EmolibError
from emolib.papers import ding, engine
from emolib.papers.engine import Dataset
from emolib.papers.experiment import Experiment
from emolib.registry import UnknownPaperError
from emolib.training import Samples, TrainingRecipe

EMOTIONS = ("neutral", "happy", "sad", "angry")
SEGMENTS = 2
RECIPE = TrainingRecipe(batch_size=64, max_epochs=20, lr=0.005)


def dataset(corpus="ravdess", modality="audio", mode="quick", *, cue="emotion", actors=12):
    """48 clips of 12 actors. `cue` says what the sound tells about the emotion.

    "emotion": the same for everybody; "actor": each actor has a code of their own, which
    tells nothing about another actor's.
    """
    rng = np.random.default_rng(0)
    rows, sounds = [], []
    for actor, (number, emotion), take in product(range(actors), enumerate(EMOTIONS), range(6)):
        clip = f"03-01-{number:02d}-01-{take // 3 + 1:02d}-{take % 3 + 1:02d}-{actor + 1:02d}"
        rows.append(
            {"clip_id": clip, "path": "", "corpus": "ravdess", "actor": f"{actor + 1:02d}",
             "emotion": emotion, "modality": "audio", "channel": "speech",
             "sex": ("female", "male")[(actor + 1) % 2]}
        )  # fmt: skip
        source = np.random.default_rng([number] if cue == "emotion" else [number, actor])
        sounds.append(5 * source.normal(size=40) + rng.normal(size=(SEGMENTS, 40)))
    manifest = manifests.build(rows)
    labels = torch.tensor([EMOTIONS.index(name) for name in manifest["emotion"]])
    audio = torch.tensor(np.array(sounds), dtype=torch.float32).reshape(-1, 40)
    return Dataset(
        samples=Samples({"audio": audio}, labels.repeat_interleave(SEGMENTS)),
        manifest=manifest,
        n_segments=SEGMENTS,
        classes=EMOTIONS,
        features={"audio": {"cue": cue}},
    )


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(ding, "load", dataset)
    return tmp_path


ASKED = Experiment("ravdess", "audio", seeds=(0,), options={"dropout": 0.0}, recipe=RECIPE)
SHORT = replace(ASKED, folds=(0,), recipe=replace(RECIPE, max_epochs=1))


def run(experiment, *, mode="full", **options):
    return engine.run("ding", experiment, mode=mode, device="cpu", progress=False, **options)


def test_a_run_ends_in_a_result_with_everything_needed_to_doubt_it():
    result = run(replace(ASKED, seeds=(0, 1), folds=(0, 1)))
    assert len(result.runs) == 4
    assert result.level == "clip"
    assert result.title == "Ding, audio, RAVDESS speech, split by actor, 2 of 6 folds"
    assert result.summary["uar"].mean > 0.9, "the emotion can be heard"
    assert result.model.parameters == sum(
        p.numel() for p in models.build("ding", 4, modality="audio").parameters()
    )
    for one in result.runs:
        counts = one.counts
        actors = [set(counts[part]["by_actor"]) for part in ("train", "valid", "test")]
        assert [len(a) for a in actors] == [8, 2, 2]
        assert len(set.union(*actors)) == 12, "no actor is on two sides"
        assert counts["test"]["n"] == 2 * 4 * 6 * SEGMENTS
        assert set(counts["test"]["by_class"].values()) == {24}
        assert one.metrics["accuracy"] == pytest.approx(
            (one.probabilities().argmax(1) == np.array(result.samples.labels)[one.rows()]).mean()
        )
        # A clip is the mean of its segments.
        segments = one.probabilities("segment").reshape(-1, SEGMENTS, 4).mean(1)
        np.testing.assert_allclose(segments, one.probabilities(), atol=0.01)
    assert result.split.sha256 == splits.make("actor", dataset().manifest).digest()
    assert results.load("ding", results.save(result).stem) == result


def test_numbers_from_known_actors_say_nothing_about_new_ones(monkeypatch):
    """The point of the book: an actor's own habits look like knowledge of emotion."""
    monkeypatch.setattr(ding, "load", functools.partial(dataset, cue="actor"))
    leaky = run(replace(ASKED, split="segment", folds=(0,), allow_leak="segment"))
    honest = run(replace(ASKED, folds=(0, 3)))
    assert leaky.summary["accuracy"].mean > 0.9
    assert honest.summary["accuracy"].mean < 0.55  # chance is 0.25, the intervals are wide
    assert leaky.level == "segment"
    assert "leaking" in leaky.title and "leak" not in honest.title
    assert leaky.split.leaks["segment"] > 0 and sum(honest.split.leaks.values()) == 0
    assert leaky.summary["segment_uar"].mean == leaky.summary["uar"].mean


@pytest.mark.parametrize("kind", ["segment", "clip"])
@pytest.mark.parametrize("allowed", [None, "actor"])
def test_a_leaking_split_must_be_asked_for_in_so_many_words(kind, allowed):
    with pytest.raises(splits.LeakError, match=f'allow_leak="{kind}"'):
        replace(ASKED, split=kind, allow_leak=allowed)
    with pytest.raises(splits.LeakError, match=f'allow_leak="{kind}"'):
        made = splits.make(kind, dataset().manifest, n_segments=SEGMENTS)
        replace(ASKED, split=made, allow_leak=allowed)


def test_a_split_that_only_claims_to_be_by_actor_is_refused():
    table = splits.make("clip", dataset().manifest, n_segments=SEGMENTS).table
    with pytest.raises(splits.LeakError, match="actor"):
        run(replace(ASKED, split=splits.Split("actor", "ravdess", table)))


def test_finished_runs_are_skipped_and_anything_that_matters_makes_new_ones(monkeypatch):
    fits = []
    fit = engine.training.fit
    monkeypatch.setattr(engine.training, "fit", lambda *a, **k: (fits.append(1), fit(*a, **k))[1])
    first = run(SHORT)
    assert run(SHORT).runs == first.runs
    assert len(fits) == 1
    assert run(replace(SHORT, seeds=(0, 1))).runs[0] == first.runs[0]
    assert len(fits) == 2
    for change in (
        {"recipe": replace(RECIPE, max_epochs=1, lr=0.002)},
        {"options": {"dropout": 0.1}},
        {"data": {"cue": "actor"}},
        {"split": splits.make("actor", dataset().manifest, seed=1)},
    ):
        before = len(fits)
        run(replace(SHORT, **change))
        assert len(fits) == before + 1, change


def test_a_network_can_be_asked_again_by_its_result(folder):
    result = run(replace(ASKED, recipe=replace(RECIPE, max_epochs=2), seeds=(3,), folds=(0, 1)))
    (folder / "runs" / "ding-damaged").mkdir()
    (folder / "runs" / "ding-damaged" / "seed3-fold1.json").write_text("{")
    split = splits.make("actor", dataset().manifest)
    for fold in (0, 1):
        _, _, test = dataset().parts(split, fold)
        with torch.inference_mode():
            answers = result.network(3, fold)(**test.inputs).softmax(1)
        np.testing.assert_allclose(answers, result.runs[fold].probabilities("segment"), atol=0.01)
    result.weights(3, 0).unlink()
    with pytest.raises(results.ResultError, match=r"seed 3, fold 0.*emolib train ding"):
        result.network(3, 0)


def test_a_damaged_run_is_made_again(folder):
    first = run(SHORT)
    (file,) = (folder / "runs").rglob("*.json")
    file.write_text(file.read_text()[:100])
    with pytest.warns(UserWarning, match="damaged"):
        again = run(SHORT)
    assert again.runs[0].predictions == first.runs[0].predictions
    assert not list((folder / "runs").rglob("*.pt")), "checkpoints go when their run is finished"


def test_the_same_seed_gives_the_same_predictions(folder, monkeypatch):
    twice = replace(SHORT, recipe=replace(RECIPE, max_epochs=2))
    first = run(twice)
    monkeypatch.setattr(paths, "RUNS", folder / "other")
    assert run(twice).runs[0].predictions == first.runs[0].predictions


def test_processes_give_what_one_process_gives(folder, monkeypatch):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(paths, "RUNS", folder / "one")
    one = run(SHORT)
    torch.set_num_threads(threads)
    monkeypatch.setattr(paths, "RUNS", folder / "two")
    two = run(SHORT, n_jobs=2)
    assert [r.predictions for r in two.runs] == [r.predictions for r in one.runs]
    assert two.provenance.threads == 1


@pytest.fixture
def no_features(monkeypatch):
    """Fail as soon as features would be extracted."""
    from emolib.corpora import ravdess

    def load(corpus, modality, mode="full", *, augmentation="copies"):
        pytest.fail("features were extracted")

    monkeypatch.setattr(ding, "load", load)
    monkeypatch.setattr(ravdess, "manifest", lambda root=None: dataset().manifest)


@pytest.mark.usefixtures("no_features")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "Full"}, "unknown mode 'Full': known are quick, full"),
        ({"device": "tpu"}, "unknown device 'tpu': known are auto, cpu, cuda, mps"),
        ({"experiment": "nothing"}, "no experiment nothing: it has audio-segment"),
        ({"folds": (6,)}, r"folds=\(6,\): ravdess-actor has folds from 0 to 5"),
        (
            {"options": {"drop": 0.1}},
            "ding has no option 'drop': there are n_classes, hidden, dropout",
        ),
        ({"options": {"dropout": 7}}, "dropout=7 of ding: give a number from 0 to 1"),
        ({"options": {"n_classes": 8}}, "n_classes=8 .*the head follows the labels"),
        ({"modality": "sound"}, "modality='sound'"),
        ({"data": {"stretch": 2}}, "unknown data option 'stretch': known are augmentation"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_feature_is_extracted(arguments, message):
    fields = {name: arguments.pop(name) for name in list(arguments) if hasattr(ASKED, name)}
    asked = {"experiment": replace(ASKED, **fields), **arguments}
    with pytest.raises(EmolibError, match=message):
        engine.run("ding", **asked)


def test_unknown_papers_are_refused_with_the_papers_and_labs_there_are():
    with pytest.raises(UnknownPaperError, match=r"'dong': known are ding, lu, .*, lab_leaks"):
        engine.run("dong", ASKED)


def test_quick_mode_shortens_the_recipe_and_says_so():
    result = run(replace(ASKED, folds=(0,)), mode="quick")
    assert result.runs[0].history_summary["epochs"] == engine.QUICK_EPOCHS
    assert "quick" in result.title and result.experiment.endswith("quick")


def test_standardisation_uses_the_training_rows_alone():
    data = replace(dataset(), standardise={"audio": (0,)})
    rows = {"train": np.arange(100), "valid": np.arange(100, 120), "test": np.arange(120, 150)}
    loud = data.samples.inputs["audio"].clone()
    loud[100:] *= 50  # validation and test must not move the statistics
    changed = replace(data, samples=Samples({"audio": loud}, data.samples.labels))
    (train, *_), (again, _, test) = (d.take(rows) for d in (data, changed))
    torch.testing.assert_close(train.inputs["audio"].mean(0), torch.zeros(40), atol=1e-5, rtol=0)
    torch.testing.assert_close(train.inputs["audio"].std(0, False), torch.ones(40))
    assert torch.equal(train.inputs["audio"], again.inputs["audio"])
    assert test.inputs["audio"].std() > 10


def test_copies_join_the_training_rows_only():
    data = dataset()
    copy = Samples({"audio": data.samples.inputs["audio"] + 100}, data.samples.labels)
    rows = {"train": np.array([4, 5]), "valid": np.array([8]), "test": np.array([9])}
    train, valid, test = replace(data, copies=(copy,)).take(rows)
    assert len(train) == 4 and len(valid) == len(test) == 1
    assert torch.equal(train.inputs["audio"][2:], data.samples.inputs["audio"][[4, 5]] + 100)


@pytest.mark.parametrize(
    ("changes", "name", "note"),
    [
        ({}, "declared", ""),
        ({"seeds": (0,)}, "declared", ", 1 of 2 seeds"),
        ({"folds": (0,)}, "declared", ", 1 of 2 folds"),
        ({"options": {"dropout": 0.5}}, "declared-dropout-0.5", ""),
        ({"split": "clip", "allow_leak": "clip", "folds": (0,)}, "declared-clip", ", 1 of 5 folds"),
    ],
)
def test_what_was_changed_of_a_declared_experiment_is_said(monkeypatch, changes, name, note):
    few = splits.make("actor", dataset().manifest)
    table = few.table[few.table["fold"] < 2]
    declared = replace(
        ASKED, split=splits.Split("actor", "ravdess", table), seeds=(0, 1), recipe=SHORT.recipe
    )
    monkeypatch.setitem(ding.FULL, "declared", declared)
    result = run(declared.changed(**changes), name="declared")
    assert result.experiment == name
    kind = changes.get("split", "actor")
    assert (
        result.title.partition(" (leaking")[0]
        == f"Ding, audio, RAVDESS speech, split by {kind}{note}"
    )


def test_another_row_in_the_table_of_experiments_keeps_what_can_be_resumed(tmp_path):
    ours, theirs = tmp_path / "ours.py", tmp_path / "theirs.py"
    shutil.copy(ding.__file__, ours)
    added = "FULL['new'] = Experiment('ravdess', 'audio')\n"
    theirs.write_text(ours.read_text() + added)
    assert engine._code(ours) == engine._code(theirs)
    assert "def prepare" in engine._code(ours)
    theirs.write_text(ours.read_text().replace("SIDE = 64", "SIDE = 32"))
    assert engine._code(ours) != engine._code(theirs)


def test_two_corpora_are_put_together_clip_by_clip_with_the_emotions_of_both(monkeypatch):
    here, there = dataset(), dataset(actors=3)
    rows = np.flatnonzero(np.repeat((there.manifest["emotion"] != "sad").to_numpy(), SEGMENTS))
    clips = there.manifest.iloc[rows[::SEGMENTS] // SEGMENTS].reset_index(drop=True)
    there = replace(there, manifest=clips.assign(corpus="savee"), samples=there.samples.take(rows))
    both = engine.joined([here, there])
    assert both.classes == ("neutral", "happy", "angry")
    assert len(both.samples) == SEGMENTS * len(both.manifest)
    for part in (here, there):
        number = {clip: at for at, clip in enumerate(part.manifest["clip_id"])}
        for at, row in enumerate(both.manifest.itertuples()):
            corpus, _, clip = row.clip_id.partition(":")
            if corpus != part.manifest["corpus"].iloc[0]:
                continue
            mine = slice(SEGMENTS * at, SEGMENTS * (at + 1))
            theirs = slice(SEGMENTS * number[clip], SEGMENTS * (number[clip] + 1))
            sound = part.samples.inputs["audio"][theirs]
            assert torch.equal(both.samples.inputs["audio"][mine], sound)
            assert {both.classes[label] for label in both.samples.labels[mine]} == {row.emotion}
    monkeypatch.setattr(ding, "load", lambda corpus, *_: {"ravdess": here, "savee": there}[corpus])
    crossed = replace(
        SHORT, corpus="ravdess+savee", split="corpus", split_options={"test": "savee"}
    )
    result = run(crossed)
    assert result.title == "Ding, audio, RAVDESS speech and SAVEE, split by corpus"
    assert result.experiment == "ravdess-savee-audio-corpus-dropout-0.0"
    assert sum(result.split.leaks.values()) == 0
