"""Fusion, temperature, abstention and the neutral baseline, on answers whose truth is known."""

import numpy as np
import pytest
from scipy.special import softmax

from emolib import results
from emolib.labs import frontier, peers


@pytest.fixture(scope="module")
def scores():
    return peers.stand_in(0)


def test_the_means_of_the_published_kind_are_those_of_the_lab_of_peers(scores):
    table = frontier.together(scores.probabilities["audio"], scores)
    plain = table[~table["calibrated"]].set_index("fusion")["right"]
    theirs = peers.fusions(scores).set_index(["mean", "of"])["right"]
    both = "voice alone + action units alone"
    for how in frontier.MEANS:
        assert plain[how] == theirs[how, both]
    assert (table.loc[table["fusion"] == "geometric", "difference"] == 0).all()


def test_a_trained_fusion_never_sees_the_fold_it_judges(scores):
    from dataclasses import replace

    pair = [scores.probabilities[one] for one in ("audio", "video")]
    usual = frontier.nested(pair, scores)
    here = scores.folds == 0
    shuffled = scores.labels.copy()
    shuffled[here] = (shuffled[here] + 3) % 8
    again = frontier.nested(pair, replace(scores, labels=shuffled))
    np.testing.assert_allclose(usual[here], again[here])
    assert not np.allclose(usual[~here], again[~here])


def test_a_temperature_undoes_what_was_too_sure():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 5))
    labels = np.array([rng.choice(5, p=p) for p in softmax(logits, axis=1)])
    found = frontier.temperature(labels, softmax(3 * logits, axis=1))
    assert found == pytest.approx(3, rel=0.1)
    calm = frontier.sharpened(softmax(3 * logits, axis=1), found)
    assert (calm.argmax(1) == logits.argmax(1)).all()


def test_risk_counts_wrong_answers_among_those_given():
    labels = np.array([0, 1, 1, 0])
    sure = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]])
    curve = frontier.risk_coverage(labels, sure)
    assert curve["coverage"].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve["risk"].tolist() == pytest.approx([0, 0, 1 / 3, 1 / 4])
    assert frontier.threshold(labels, sure, 0.0) == 0.8
    assert frontier.threshold(1 - labels, sure, 0.0) == 1.0


def test_clips_that_a_result_has_not_judged_are_named():
    result = results.load("lab_peers", "mostafa-luna")
    ids = result.samples.clip_ids
    assert frontier.answers(result, ["01" + ids[0][2:]]).shape == (1, 8)
    with pytest.raises(frontier.FrontierError, match="has not judged 1 clips"):
        frontier.answers(result, ["01-01-09-01-01-01-99"])


def test_the_neutral_baseline_leaves_out_the_clips_it_was_taken_from():
    result = results.load("lab_peers", "mostafa-luna")
    labels, actors, plain, corrected = frontier.with_neutral(result, kept=2)
    assert len(labels) == len(result.pooled()[1]) - 2 * len(set(actors))
    np.testing.assert_allclose(corrected.sum(1), 1)
    _, _, _, same = frontier.with_neutral(result, strength=0.0)
    np.testing.assert_allclose(same, plain, atol=1e-4)


def test_every_voice_of_known_size_stands_in_the_figure_or_says_how_it_is_made():
    table = frontier.points()
    assert {"printed", "ours", "own", "rerun"} <= {*table["whose"]}
    assert (table["value"].notna() | (table["command"] != "")).all()
    small = table[(table["whose"] == "own") & table["value"].notna()]
    assert (small["parameters"] <= 50_000).all()
