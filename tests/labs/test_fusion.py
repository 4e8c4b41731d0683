"""Fusing stored answers: nothing is trained twice, and the two means differ where they should."""

import time

import numpy as np
import pytest

from emolib import evaluation, paths, results
from emolib.labs import fusion, studies
from emolib.models.lu import FACE, SPEECH
from emolib.papers import engine
from emolib.papers.experiment import ExperimentError

CLASSES = ["neutral", "happy", "sad", "angry"]


def branch(name, modality, skill, *, seed=0, classes=CLASSES, clips=96, options=None):
    """A stored result of two folds whose answers are right by `skill`."""
    rng = np.random.default_rng(seed)
    labels = np.arange(clips) % len(classes)
    runs = []
    for fold in range(2):
        rows = np.flatnonzero(np.arange(clips) // len(classes) % 2 == fold)
        logits = rng.normal(size=(len(rows), len(classes)))
        logits[np.arange(len(rows)), labels[rows]] += skill
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        judged = evaluation.evaluate(labels[rows], probabilities, classes, draws=1)
        runs.append(
            results.Run(
                seed=0, fold=fold, metrics={m: getattr(judged, m) for m in results.METRICS},
                history_summary={"seconds": 1.0},
                counts={part: {"n": n} for part, n in (("train", 40), ("valid", 8), ("test", 48))},
                predictions={"clip": results.Packed.pack(rows, probabilities, bits=16)},
            )
        )  # fmt: skip
    samples = results.TestClips(
        clip_ids=[f"c{i}" for i in range(clips)],
        labels=labels.tolist(),
        actors=[f"{i // 8:02d}" for i in range(clips)],
    )
    return results.Result(
        key="lu", experiment=name, title="paired data", mode="full", corpus="paired",
        modality=modality, level="clip", classes=classes, n_segments=1,
        split=results.SplitUsed(name="paired-actor", kind="actor", sha256="x", n_folds=2,
                                folds=[0, 1]),
        model=results.ModelUsed(options=options or {}, parameters=10), recipe={}, features={},
        provenance=results.provenance(runs, manifest_sha256="x", threads=1),
        summary=results.summarise(runs, samples, classes, "clip", 1), samples=samples, runs=runs,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained():
    faces = {f: branch(f, "video", 1 + 0.2 * i, seed=i) for i, f in enumerate(FACE)}
    voices = {s: branch(s, "audio", 1, seed=10 + i) for i, s in enumerate(SPEECH)}
    return faces | voices


def test_the_whole_table_comes_from_stored_answers_in_seconds(trained):
    started = time.process_time()
    table = fusion.cells(trained)
    assert time.process_time() - started < 5
    assert len(table) == 24
    assert ((table["low"] <= table["accuracy"]) & (table["accuracy"] <= table["high"])).all()
    own = table.query("face == 'F4' and speech == 'S2' and mean == 'GM'")
    assert own["difference"].item() == 0
    assert np.isnan(own["p"].item())
    others = table.drop(own.index)
    assert (others["p_holm"] >= others["p"]).all()
    assert np.isnan(own["mcnemar"].item())
    assert (others["mcnemar_holm"] >= others["mcnemar"]).all()
    gained = (others["only cell"] - others["only choice"]) / 96
    np.testing.assert_allclose(gained, others["difference"], atol=1e-9)  # folds of equal size


@pytest.mark.skipif(
    not {"F4", "S2"} <= set(fusion.branches()), reason="the branches of the cells were not trained"
)
def test_the_committed_cells_come_from_stored_answers_in_seconds():
    stored = fusion.branches()
    started = time.process_time()
    table = fusion.cells(stored)
    assert time.process_time() - started < 5
    faces, voices = set(FACE) & set(stored), set(SPEECH) & set(stored)
    assert len(table) == 2 * len(faces) * len(voices)
    one = table.query("face == 'F4' and speech == 'S2' and mean == 'GM'").iloc[0]
    by_hand = fusion.fused(stored["F4"], stored["S2"]).summary["accuracy"].mean
    assert one["accuracy"] == by_hand


@pytest.mark.parametrize("how", ["geometric", "arithmetic"])
def test_a_fused_result_is_what_both_networks_together_would_answer(trained, how):
    together = fusion.fused(trained["F4"], trained["S2"], how)
    rows, labels, fused, _ = together.pooled()
    parts = [trained[name].pooled()[2] for name in ("F4", "S2")]
    np.testing.assert_allclose(fused, evaluation.fuse(parts, how), atol=2e-5)
    assert together.summary["accuracy"].mean == pytest.approx((fused.argmax(1) == labels).mean())
    assert together.model.parameters == 20
    assert "paired" in together.title
    assert len(rows) == 96


def test_fusing_does_not_depend_on_the_order_of_the_folds(trained):
    turned = trained["S2"].model_copy(update={"runs": trained["S2"].runs[::-1]})
    first = fusion.fused(trained["F4"], trained["S2"]).pooled()[2]
    np.testing.assert_array_equal(first, fusion.fused(trained["F4"], turned).pooled()[2])


def test_a_fold_that_one_branch_lacks_is_left_out(trained):
    half = trained["F4"].model_copy(update={"runs": trained["F4"].runs[:1]})
    assert fusion.fused(half, trained["S2"]).split.folds == [0]


def test_six_classes_beside_a_head_of_eight_are_refused():
    six = ["neutral", "happy", "sad", "angry", "fearful", "disgust"]
    eight = ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
    with pytest.raises(ExperimentError, match=r"8 classes.*6.*calm, surprised.*n_classes=6"):
        fusion.same_classes(eight, six)
    with pytest.raises(ExperimentError, match="in another order"):
        fusion.same_classes(six, six[::-1])
    with pytest.raises(ExperimentError, match="the speech branch"):
        fusion.fused(branch("F4", "video", 1), branch("S2", "audio", 1, classes=CLASSES[:3]))


def test_branches_that_were_tested_on_other_clips_are_refused(trained):
    with pytest.raises(ExperimentError, match="not tested on the same clips"):
        fusion.fused(trained["F4"], branch("S2", "audio", 1, clips=48))


def test_the_order_of_the_geometric_mean_survives_sharpening_of_both(trained):
    table = fusion.sharpness(trained["F4"], trained["S2"], (0.01, 1, 4))
    assert table["GM"].nunique() == 1
    assert table["same answer"].iloc[0] > 0.97  # flat: the arithmetic mean ranks as it does
    assert table["same answer"].is_monotonic_decreasing


def test_sharpening_one_branch_ends_at_that_branch(trained):
    table = fusion.sharpness(trained["F4"], trained["S2"], (60,), only="audio")
    alone = trained["S2"].summary["accuracy"].mean
    assert table["AM"].item() == pytest.approx(alone, abs=0.02)


def test_groups_of_arousal_count_a_confusion_within_the_group_as_right():
    labels = np.array([0, 1, 2, 3])  # neutral happy sad angry
    answers = np.array([2, 3, 0, 1])  # always wrong, always in the group
    table = fusion.by_group(labels, answers, CLASSES).set_index(["axis", "group"])
    assert table.loc[("arousal", "high"), "mean F1"] == 0
    assert table.loc[("arousal", "high"), "group F1"] == 1
    assert table.loc[("valence", "pleasant"), "group F1"] == 0


def test_every_emotion_is_in_one_group_of_each_axis():
    from emolib.corpora import ravdess

    for groups in fusion.GROUPS.values():
        members = [emotion for names in groups.values() for emotion in names]
        assert sorted(members) == sorted(ravdess.CLASSES)


def test_the_printed_tables_have_24_cells_and_the_papers_choice():
    for number, best in ((7, 97.56), (8, 82.33)):
        printed = fusion.printed_cells(number)
        assert len(printed) == 24
        chosen = printed.query("face == 'F4' and speech == 'S2' and mean == 'GM'")
        assert chosen["printed"].item() == best


def test_a_report_stands_beside_the_printed_one_with_gaps_where_an_emotion_is_missing(trained):
    beside = fusion.beside_report(3, {"ours": trained["S2"]}).set_index("class")
    assert beside.loc["Neutral", "printed"] == 98.63
    assert np.isnan(beside.loc["Calm", "ours"])
    own = 100 * trained["S2"].evaluation().per_class["f1"]
    assert beside.loc["Happy", "ours"] == pytest.approx(own["happy"])
    assert beside.loc["mean", "ours"] == pytest.approx(own.mean())
    assert beside.loc["mean", "printed"] == pytest.approx(97.545, abs=0.01)  # printed as 97.56


def test_the_full_runs_cover_every_branch_of_the_ablation():
    full = engine.paper("lu").FULL
    names = {f"paired-video-{f}" for f in FACE} | {f"paired-audio-{s}" for s in SPEECH}
    assert names <= set(full)
    for name in names:
        assert full[name].split == "actor"


def without(result, emotion):
    """The same answers as if the network had never been shown `emotion`."""
    at = result.classes.index(emotion)
    labels = np.array(result.samples.labels)
    rest = np.flatnonzero(labels != at)
    position = {int(row): i for i, row in enumerate(rest)}
    runs = []
    for run in result.runs:
        rows = run.rows()
        kept = labels[rows] != at
        known = np.delete(run.probabilities()[kept], at, axis=1)
        packed = results.Packed.pack(
            np.array([position[int(row)] for row in rows[kept]]),
            known / known.sum(1, keepdims=True), bits=16,
        )  # fmt: skip
        runs.append(run.model_copy(update={"predictions": {"clip": packed}}))
    samples = results.TestClips(
        clip_ids=[result.samples.clip_ids[row] for row in rest],
        labels=[int(labels[row] - (labels[row] > at)) for row in rest],
        actors=[result.samples.actors[row] for row in rest],
    )
    classes = [name for name in result.classes if name != emotion]
    return result.model_copy(update={"classes": classes, "samples": samples, "runs": runs})


def test_leaving_an_emotion_out_of_a_network_that_ignores_it_changes_nothing_for_the_others():
    full = branch("S2", "audio", 1.5, seed=3)
    table = fusion.omitted_emotions(full, {name: without(full, name) for name in ("sad", "angry")})
    assert list(table["omitted"]) == ["sad", "angry"]
    assert (table["clips"] == 24).all()
    np.testing.assert_allclose(table["change"], 0)
    assert (table["p"] == 1).all()
    _, labels, probabilities, _ = full.pooled()
    right = probabilities.argmax(1) == labels
    for _, row in table.iterrows():
        of_emotion = labels == CLASSES.index(row["omitted"])
        # Clips of the emotion are lost; those of others that were taken for it can be won.
        won = row["others"] * (~of_emotion).sum() - right[~of_emotion].sum()
        assert row["as trained"] == pytest.approx((won - right[of_emotion].sum()) / len(labels))
        assert won >= 0


def test_voices_are_compared_with_one_change_at_a_time(monkeypatch):
    asked = []

    def run(key, experiment, **options):
        asked.append(experiment)
        skill = 1 + experiment.options.get("width", 1)
        return branch("x", "audio", skill, options=dict(experiment.options))

    monkeypatch.setattr(engine, "run", run)
    table = fusion.voice_variants({"options.width": (0.5,), "options.kernels": ((3, 3),)})
    assert list(table["changed"]) == ["nothing", "width", "kernels"]
    assert table["to"].tolist() == ["", 0.5, (3, 3)]
    for experiment in asked:
        assert experiment.options["speech"] == "S2"
        assert (experiment.split, experiment.folds) == ("actor", (0, 2, 4))
        assert len(experiment.options) <= 2
    assert (table["p_holm"].dropna() >= table["p"].dropna()).all()


NOISE = paths.RESULTS / "lu" / "branch-noise.csv"


@pytest.mark.skipif(not NOISE.exists(), reason="noise was not yet added to the branches")
def test_without_noise_the_networks_answer_as_in_their_committed_results():
    """The table was made from weights that are not committed, of the first folds or of all."""
    table = studies.table("lu/branch-noise").query("level == 0").set_index("noisy")
    stored = fusion.branches()
    found = []
    for last in range(1, len(stored["F4"].runs) + 1):
        face = stored["F4"].model_copy(update={"runs": stored["F4"].runs[:last]})
        means = {}
        for mean, how in fusion.MEANS.items():
            _, labels, fused, _ = fusion.fused(face, stored["S2"], how).pooled()
            means[mean] = (fused.argmax(1) == labels).mean()
        found.append(all(np.allclose(table[m], v, atol=2 / len(labels)) for m, v in means.items()))
    assert any(found)


@pytest.mark.realdata
def test_noise_in_one_modality_of_real_recordings_costs_accuracy(recordings):
    table = fusion.noise("svm", (0, 4), folds=(0,)).set_index(["noisy", "level"])
    for modality in ("audio", "video"):
        clean, noisy = table.loc[(modality, 0)], table.loc[(modality, 4)]
        assert noisy["noisy branch"] < clean["noisy branch"]
        assert noisy["clean branch"] == clean["clean branch"]
        assert noisy["GM"] < clean["GM"]
