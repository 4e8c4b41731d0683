"""A result file says where it comes from and lets every metric be recomputed."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from emolib import evaluation, paths, registry, results
from emolib.papers import engine

CLASSES = ["neutral", "happy", "sad"]
N, ACTORS = 60, 6


def _probabilities(labels, seed):
    rng = np.random.default_rng(seed)
    weights = rng.random((len(labels), 3))
    weights[np.arange(len(labels)), labels] += 0.6
    return weights / weights.sum(1, keepdims=True)


SAMPLES = results.TestClips(
    clip_ids=[f"clip-{i:02d}" for i in range(N)],
    labels=[i % 3 for i in range(N)],
    actors=[f"{i % ACTORS:02d}" for i in range(N)],
)
LABELS = np.array(SAMPLES.labels)


def a_run(seed=0, fold=0, rows=None):
    rows = np.arange(N)[fold::2] if rows is None else rows
    probabilities = _probabilities(LABELS[rows], 10 * seed + fold)
    judged = evaluation.evaluate(LABELS[rows], probabilities, CLASSES, draws=1)
    return results.Run(
        seed=seed,
        fold=fold,
        commit="a" * 40,
        metrics={name: getattr(judged, name) for name in results.METRICS},
        history_summary={"epochs": 7, "best_epoch": 5, "seconds": 1.5},
        curves={"train_loss": [1.0, 0.5]},
        counts={part: {"n": 30, "by_class": {}, "by_actor": {}} for part in ("train", "test")},
        predictions={"clip": results.Packed.pack(rows, probabilities, 16)},
    )


def a_result(seeds=(0, 1), **changes):
    runs = [a_run(seed, fold) for seed in seeds for fold in (0, 1)]
    fields = {
        "key": "ding",
        "experiment": "audio-actor",
        "title": "Ding, audio, RAVDESS speech, split by actor",
        "mode": "full",
        "corpus": "ravdess",
        "modality": "audio",
        "level": "clip",
        "classes": CLASSES,
        "n_segments": 1,
        "split": {
            "name": "ravdess-actor", "kind": "actor", "sha256": "0" * 64, "n_folds": 2,
            "folds": [0, 1],
        },
        "model": {"options": {"modality": "audio"}, "parameters": 7},
        "recipe": {"lr": 0.001, "digest": "d"},
        "features": {},
        "provenance": results.provenance(runs, manifest_sha256="1" * 64, threads=1),
        "summary": results.summarise(runs, SAMPLES, CLASSES, "clip", 1),
        "samples": SAMPLES,
        "runs": runs,
    }  # fmt: skip
    return results.Result(**{**fields, **changes})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    return tmp_path


@given(st.integers(1, 40), st.integers(2, 9), st.integers(0, 10_000), st.sampled_from([8, 16]))
@settings(max_examples=60, deadline=None)
def test_packed_probabilities_keep_every_decision_and_lose_half_a_code(n, c, seed, bits):
    rng = np.random.default_rng(seed)
    # Sharp, flat, and tied distributions: where rounding could turn a decision around.
    probabilities = rng.dirichlet(np.full(c, rng.choice([0.05, 1, 1000])), n)
    rows = rng.permutation(1000)[:n]
    packed = results.Packed.pack(rows, probabilities, bits)
    decoded = packed.probabilities()
    assert (decoded.argmax(1) == probabilities.argmax(1)).all()
    assert packed.sample_rows().tolist() == rows.tolist()
    np.testing.assert_allclose(decoded.sum(1), 1)
    assert np.abs(decoded - probabilities).max() < (c + 3) / (2**bits - 1)


def test_a_tie_is_decided_as_before_packing():
    packed = results.Packed.pack([0], [[0.3332, 0.3333, 0.3335]], 8)
    assert packed.probabilities().argmax() == 2


def test_a_result_survives_the_file(folder):
    result = a_result()
    path = results.save(result)
    assert path == folder / "ding" / "audio-actor.json"
    assert results.load("ding", "audio-actor") == result
    assert [r.experiment for r in results.load_all()] == ["audio-actor"]
    assert results.load_all("lu") == []
    assert list(folder.rglob("*.json")) == [path], "no temporary file stays behind"


def test_metrics_can_be_recomputed_from_the_file(folder):
    results.save(a_result())
    result = results.load("ding", "audio-actor")
    for run in result.runs:
        labels = LABELS[run.rows()]
        recomputed = evaluation.evaluate(labels, run.probabilities(), CLASSES, draws=1)
        for name in results.METRICS:
            assert getattr(recomputed, name) == run.metrics[name]
    for name in results.METRICS:
        per_seed = [getattr(result.evaluation(seed), name) for seed in result.seeds]
        assert per_seed == pytest.approx(result.summary[name].per_seed)


def test_the_summary_pools_folds_before_it_averages_seeds():
    result = a_result(seeds=(0, 1, 2))
    summary = result.summary["uar"]
    assert summary.n == 3
    assert summary.mean == pytest.approx(np.mean(summary.per_seed))
    assert summary.sd == pytest.approx(np.std(summary.per_seed, ddof=1))
    assert summary.fold_sd == pytest.approx(result.table()["uar"].std())
    assert summary.interval[0] < summary.mean < summary.interval[1]
    rows, labels, probabilities, actors = result.pooled(1)
    assert rows.tolist() == list(range(N))
    assert labels.tolist() == SAMPLES.labels
    assert actors.tolist() == SAMPLES.actors
    np.testing.assert_allclose(
        probabilities[1::2], result.runs[3].probabilities(), err_msg="fold 1 has the odd rows"
    )


def test_an_ensemble_is_judged_on_the_mean_of_its_members():
    result = a_result(seeds=(0, 1))
    _, labels, first, _ = result.pooled(0)
    second = result.pooled(1)[2]
    expected = ((first + second) / 2).argmax(1) == labels
    assert result.ensemble().accuracy == pytest.approx(expected.mean())
    alone = a_result(seeds=(1,))
    assert alone.ensemble().accuracy == pytest.approx(alone.evaluation(1).accuracy)


def test_pictures_are_drawn_where_people_have_no_names():
    unnamed = SAMPLES.model_copy(update={"actors": [""] * N})
    result = a_result(samples=unnamed)
    for judged in (result.evaluation(), result.ensemble()):
        low, high = judged.uar_interval
        assert low < judged.uar < high


def test_one_seed_has_no_standard_deviation_and_json_has_no_nan(folder):
    result = a_result(seeds=(0,))
    assert np.isnan(result.summary["uar"].sd)
    text = results.save(result).read_text()
    assert "NaN" not in text
    assert json.loads(text)["summary"]["uar"]["sd"] is None
    assert np.isnan(results.load("ding", "audio-actor").summary["uar"].sd)


def test_overlapping_folds_and_unequal_seeds_are_refused():
    with pytest.raises(results.ResultError, match="folds overlap"):
        results.summarise([a_run(0, 0), a_run(0, 0)], SAMPLES, CLASSES, "clip", 1)
    with pytest.raises(results.ResultError, match="different samples"):
        results.summarise([a_run(0, 0), a_run(1, 1)], SAMPLES, CLASSES, "clip", 1)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"corpus": "synthetic"}, "synthetic"),
        ({"corpus": "paired"}, "paired"),
        ({"mode": "quick"}, "quick"),
        (
            {"split": {"name": "ravdess-segment", "kind": "segment", "sha256": "0", "n_folds": 2,
                       "folds": [0, 1], "allow_leak": "segment"}},
            "leak",
        ),
    ],
)  # fmt: skip
def test_a_title_cannot_hide_what_the_data_are(changes, word):
    with pytest.raises(ValidationError, match=f"must name: {word}"):
        a_result(**changes)
    honest = results.compose_title(
        "ding",
        changes.get("corpus", "ravdess"),
        "audio",
        "segment" if word == "leak" else "actor",
        allow_leak="segment" if word == "leak" else None,
        mode=changes.get("mode", "full"),
    )
    assert word in honest
    assert a_result(**changes, title=honest).title == honest


def test_pictures_of_nameless_people_leak_pictures_not_actors():
    voices, faces = (
        results.compose_title("mostafa", corpus, "", "clip", allow_leak="clip")
        for corpus in ("ravdess", "fer2013")
    )
    assert "actor" in voices
    assert "actor" not in faces
    assert "near-duplicate pictures" in faces


def test_a_missing_result_says_which_there_are(folder):
    results.save(a_result())
    with pytest.raises(results.ResultError, match=r"no such result; there are ding/audio-actor"):
        results.load("ding", "audio-clip")


def test_a_damaged_result_names_the_file(folder):
    path = results.save(a_result())
    path.write_text(path.read_text()[:200])
    with pytest.raises(results.ResultError, match=r"audio-actor\.json: not a result file"):
        results.load("ding", "audio-actor")


@pytest.mark.parametrize("name", ["accuracy", "uar"])
def test_a_forged_mean_is_refused(folder, name):
    path = results.save(a_result())
    stored = json.loads(path.read_text())
    stored["summary"][name]["mean"] += 0.01
    path.write_text(json.dumps(stored))
    with pytest.raises(results.ResultError, match=rf"audio-actor\.json: its {name} is .* own runs"):
        results.load("ding", "audio-actor")


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden"])
def test_a_result_cannot_be_written_outside_its_folder(folder, name):
    with pytest.raises(results.ResultError, match="cannot name a result file"):
        results.save(a_result(experiment=name))


def test_the_provenance_line_has_data_split_seeds_commit_machine_and_time():
    result = a_result()
    line = result.provenance_line()
    for part in ("RAVDESS speech", "ravdess-actor (2 folds)", "seeds 0, 1", "aaaaaaa", "1 thread"):
        assert part in line
    # An earlier run is used again where the text it was made with is the same: not a local change.
    for dirty in (False, True):
        earlier = a_run(0, 0).model_copy(update={"commit": "b" * 40, "dirty": dirty})
        said = results.provenance([earlier, a_run(0, 1)], manifest_sha256="", threads=1)
        assert (said.commit, said.dirty) == ("a" * 40, dirty)


def test_dirty_means_changed_tracked_files_outside_the_results(tmp_path, monkeypatch):
    import subprocess

    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
            cwd=tmp_path, check=True, capture_output=True,
        )  # fmt: skip

    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    assert results.commit() == (None, False)
    (tmp_path / "data" / "results").mkdir(parents=True)
    (tmp_path / "code.py").write_text("1")
    (tmp_path / "data" / "results" / "a.json").write_text("1")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    head, dirty = results.commit()
    assert len(head) == 40 and not dirty
    (tmp_path / "data" / "results" / "a.json").write_text("2")
    (tmp_path / "untracked").write_text("1")
    assert not results.commit()[1]
    (tmp_path / "code.py").write_text("2")
    assert results.commit()[1]


COMMITTED = [
    (key, file.stem)
    for key in (*registry.PAPERS, *registry.LABS)
    for file in sorted((paths.RESULTS / key).glob("*.json"))
]


@pytest.mark.parametrize(("key", "name"), COMMITTED)
def test_a_committed_result_was_made_as_the_code_says(key, name):
    module = engine.paper(key)
    experiment = module.FULL[name]
    result = results.load(key, name)
    if result.recipe.get("digest"):  # of a network; a plain learner has none
        recipe = experiment.recipe or module.RECIPE
        assert result.recipe["digest"] == recipe.digest(), "train it again, or take it out"
    learner = engine.learner(key, experiment, "full", "cpu")
    options = {option: result.model.options.get(option) for option in learner.options}
    assert options == json.loads(json.dumps(dict(learner.options)))
    assert result.model.options.keys() <= {*options, "inputs"}
    assert (result.corpus, result.modality) == (experiment.corpus, experiment.modality)
    assert (result.split.kind, result.split.allow_leak) == (experiment.kind, experiment.allow_leak)
    assert result.title.startswith(f"{learner.name}, ")
    assert experiment.note in result.title


@pytest.mark.realdata
def test_a_committed_result_is_made_again_to_the_last_figure(recordings, monkeypatch, tmp_path):
    """The cheapest one, by the command that stands beside it: words alone need no features."""
    from emolib.papers import engine

    committed = results.load("ishtiaq", "text-actor")
    assert committed.command == "emolib train ishtiaq --experiment text-actor --seeds 0 --folds 0,1"
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    again = engine.run("ishtiaq", "text-actor", mode="full", progress=False)
    for made, stored in zip(again.runs, committed.runs, strict=True):
        assert (made.seed, made.fold) == (stored.seed, stored.fold)
        assert made.metrics == stored.metrics
        assert made.predictions == stored.predictions
        assert made.counts == stored.counts
    assert repr(again.summary) == repr(committed.summary)
