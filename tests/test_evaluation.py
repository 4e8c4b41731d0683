"""Metrics agree with their definitions, intervals with what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn import metrics

from emolib import evaluation
from emolib.evaluation import EvaluationError

CLASSES = ("neutral", "happy", "sad", "angry")


def predictions(n=240, seed=0, quality=2.0, n_classes=4):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    logits = rng.normal(size=(n, n_classes))
    logits[np.arange(n), labels] += quality
    probabilities = np.exp(logits)
    return labels, probabilities / probabilities.sum(1, keepdims=True)


def test_scores_are_those_of_scikit_learn():
    labels, probabilities = predictions()
    predicted = probabilities.argmax(1)
    judged = evaluation.evaluate(labels, probabilities, CLASSES)
    assert judged.accuracy == metrics.accuracy_score(labels, predicted)
    assert judged.uar == pytest.approx(metrics.balanced_accuracy_score(labels, predicted))
    assert judged.macro_f1 == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    assert judged.log_loss == pytest.approx(metrics.log_loss(labels, probabilities))
    assert (judged.confusion == metrics.confusion_matrix(labels, predicted)).all()
    assert judged.per_class["support"].tolist() == np.bincount(labels).tolist()
    assert list(judged.per_class.index) == list(CLASSES)


@given(st.integers(0, 10_000), st.integers(5, 60), st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_vectorised_scores_agree_with_the_evaluation(seed, n, n_classes):
    labels, probabilities = predictions(n, seed, 0.5, n_classes)
    judged = evaluation.evaluate(labels, probabilities, list(range(n_classes)), draws=1)
    fast = evaluation.scores(judged.confusion)
    for name in ("accuracy", "uar", "macro_f1"):
        assert fast[name] == pytest.approx(getattr(judged, name))


def test_a_class_without_test_samples_counts_neither_for_nor_against():
    labels, probabilities = predictions(n_classes=3)
    wider = np.column_stack([probabilities, np.zeros(len(labels))])
    with_empty = evaluation.evaluate(labels, wider, CLASSES)
    without = evaluation.evaluate(labels, probabilities, CLASSES[:3])
    assert with_empty.uar == pytest.approx(without.uar)
    assert with_empty.macro_f1 == pytest.approx(without.macro_f1)
    assert with_empty.per_class.loc["angry", ["precision", "recall", "f1"]].isna().all()
    assert with_empty.to_dict()["per_class"]["angry"]["recall"] is None


def test_always_guessing_the_largest_class_has_the_recall_of_chance():
    labels = np.array([0] * 90 + [1] * 5 + [2] * 5)
    probabilities = np.tile([0.8, 0.1, 0.1], (100, 1))
    judged = evaluation.evaluate(labels, probabilities, CLASSES[:3])
    assert judged.accuracy == 0.9
    assert judged.uar == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], [[0.5, 0.5]], r"shape \(1, 2\), but there are 2 labels and 2 classes"),
        ([], np.empty((0, 2)), "nothing to evaluate"),
        ([0, 2], [[0.5, 0.5]] * 2, "labels run from 0 to 2"),
        ([0, 1], [[3.0, -1.0]] * 2, "apply softmax"),
        ([0, 1], [[np.nan, 1.0]] * 2, "must be finite"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(labels, probabilities, message):
    with pytest.raises(EvaluationError, match=message):
        evaluation.evaluate(labels, probabilities, CLASSES[:2])


def test_wilson_gives_the_interval_of_lu_and_colleagues():
    low, high = evaluation.wilson(479, 491)
    assert (round(100 * low, 1), round(100 * high, 1)) == (95.8, 98.6)
    assert evaluation.wilson(10, 10)[1] == pytest.approx(1)
    with pytest.raises(EvaluationError, match="5 hits among 4"):
        evaluation.wilson(5, 4)


def test_wilson_covers_the_true_share_as_often_as_it_says():
    hits = np.random.default_rng(0).binomial(60, 0.9, size=2000)
    low, high = np.array([evaluation.wilson(k, 60) for k in range(61)])[hits].T
    assert 0.93 < ((low <= 0.9) & (high >= 0.9)).mean() < 0.975


def test_the_bootstrap_by_actor_is_wider_when_actors_differ():
    rng = np.random.default_rng(0)
    actors = np.repeat(np.arange(12), 40)
    labels = np.tile(np.arange(4), 120)
    shares = np.repeat(rng.permutation(np.linspace(0.2, 1.0, 12)), 40)
    predicted = np.where(rng.random(480) < shares, labels, (labels + 1) % 4)
    by_actor = evaluation.bootstrap_by_actor(labels, predicted, 4, actors)["uar"]
    by_clip = evaluation.bootstrap_by_actor(labels, predicted, 4)["uar"]
    assert by_actor[0] == pytest.approx(by_clip[0])
    width = [high - low for _, (low, high) in (by_actor, by_clip)]
    assert width[0] > 2 * width[1]
    assert by_actor[1][0] < by_actor[0] < by_actor[1][1]


def test_the_vectorised_bootstrap_is_the_one_that_redraws_actors():
    labels, probabilities = predictions(120, quality=1.0)
    predicted, actors = probabilities.argmax(1), np.arange(120) % 8
    (_, (low, high)) = evaluation.bootstrap_by_actor(labels, predicted, 4, actors, draws=4000)[
        "uar"
    ]
    rng = np.random.default_rng(1)
    slow = []
    for _ in range(1500):
        rows = np.concatenate([np.flatnonzero(actors == a) for a in rng.integers(0, 8, 8)])
        slow.append(metrics.recall_score(labels[rows], predicted[rows], average="macro"))
    np.testing.assert_allclose([low, high], np.quantile(slow, [0.025, 0.975]), atol=0.015)


def test_the_bootstrap_of_samples_is_close_to_wilson():
    labels, probabilities = predictions(400)
    judged = evaluation.evaluate(labels, probabilities, CLASSES)
    np.testing.assert_allclose(judged.accuracy_actor_interval, judged.accuracy_interval, atol=0.012)


def test_the_interval_of_a_mean_over_seeds_takes_the_same_actors_for_all():
    labels, probabilities = predictions(200)
    predicted, actors = probabilities.argmax(1), np.arange(200) % 10
    once = evaluation.bootstrap_by_actor(labels, predicted, 4, actors)
    thrice = evaluation.bootstrap_by_actor(labels, np.stack([predicted] * 3), 4, actors)
    for name, (value, interval) in once.items():
        assert thrice[name][0] == pytest.approx(value)
        assert thrice[name][1] == pytest.approx(interval)


@given(st.integers(0, 40), st.integers(0, 40))
@settings(max_examples=50, deadline=None)
def test_exact_mcnemar_is_the_binomial_test_and_symmetric(b, c):
    p = evaluation.mcnemar(b, c)
    expected = min(1.0, 2 * stats.binom.cdf(min(b, c), b + c, 0.5)) if b + c else 1.0
    assert p == pytest.approx(expected)
    assert p == evaluation.mcnemar(c, b)


def test_paired_comparison_counts_what_only_one_model_gets_right():
    labels = np.zeros(10, dtype=int)
    first = np.array([0] * 6 + [1] * 4)
    second = np.array([1] + [0] * 9)
    compared = evaluation.paired_comparison(labels, first, second)
    assert (compared.only_first, compared.only_second) == (1, 4)
    assert compared.difference == pytest.approx(0.3)
    assert compared.mcnemar_p == pytest.approx(0.375)
    assert compared.t_p is None
    with pytest.raises(EvaluationError, match="same samples"):
        evaluation.paired_comparison(labels, first, second[:9])


def test_the_corrected_t_test_is_more_careful_than_the_plain_one():
    differences = np.array([0.02, 0.03, 0.01, 0.04, 0.02])
    t, p = evaluation.corrected_t_test(differences, n_train=960, n_test=240)
    plain = stats.ttest_1samp(differences, 0)
    assert 0 < t < plain.statistic and p > plain.pvalue
    # Without overlap (an endless training set) it is the plain test.
    same = evaluation.corrected_t_test(differences, n_train=1e15, n_test=240)
    np.testing.assert_allclose(same, [plain.statistic, plain.pvalue])
    assert evaluation.corrected_t_test([0.0, 0.0], 4, 1) == (0.0, 1.0)


def test_the_corrected_t_test_rejects_rarely_where_there_is_no_difference():
    """Folds that share training data: the plain test cries wolf, the corrected does not."""
    rng = np.random.default_rng(0)
    corrected, plain = [], []
    for _ in range(400):
        # Differences of overlapping folds are correlated by about n_test / n_all.
        common, own = rng.normal(size=1) * 0.2**0.5, rng.normal(size=5) * 0.8**0.5
        values = common + own
        corrected.append(evaluation.corrected_t_test(values, 4, 1)[1])
        plain.append(stats.ttest_1samp(values, 0).pvalue)
    assert np.mean(np.array(plain) < 0.05) > 0.09
    assert np.mean(np.array(corrected) < 0.05) < 0.07


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=50, deadline=None)
def test_holm_lies_between_the_raw_and_the_bonferroni_values(pvalues):
    adjusted = evaluation.holm(pvalues)
    raw = np.array(pvalues)
    assert (adjusted >= raw - 1e-12).all()
    assert (adjusted <= np.minimum(1, raw * len(raw)) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(raw, kind="stable")]) >= -1e-12).all()


def test_a_model_that_means_what_it_says_has_no_calibration_error():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 40_000)
    labels = (rng.random(40_000) > confidence).astype(int)
    error, table = evaluation.calibration(labels, np.column_stack([confidence, 1 - confidence]))
    assert error < 0.015
    assert table["n"].sum() == 40_000
    boasting = np.tile([1.0, 0.0], (40_000, 1))
    assert evaluation.calibration(labels, boasting)[0] == pytest.approx((labels == 1).mean())


def test_clip_level_averages_the_segments_of_each_clip():
    probabilities = np.arange(24, dtype=float).reshape(12, 2)
    clips = evaluation.clip_level(probabilities, 6)
    np.testing.assert_allclose(clips, [probabilities[:6].mean(0), probabilities[6:].mean(0)])
    with pytest.raises(EvaluationError, match="no clip level"):
        evaluation.clip_level(probabilities, 5)


SIMPLEX = arrays(np.float64, (2, 5, 3), elements=st.floats(1e-6, 1)).map(
    lambda a: a / a.sum(-1, keepdims=True)
)


@given(SIMPLEX, st.sampled_from(sorted(evaluation.FUSIONS)))
@settings(max_examples=60, deadline=None)
def test_fusions_are_symmetric_and_give_probabilities(pair, how):
    first, second = pair
    fused = evaluation.fuse([first, second], how)
    np.testing.assert_allclose(fused.sum(1), 1)
    np.testing.assert_allclose(fused, evaluation.fuse([second, first], how))
    same = evaluation.fuse([first, first], how)
    assert (same.argmax(1) == first.argmax(1)).all()
    if how != "product":
        np.testing.assert_allclose(same, first, atol=1e-9)


def test_geometric_fusion_keeps_a_veto_and_does_not_underflow():
    certain, unsure = np.array([[1.0, 0.0, 0.0]]), np.array([[0.2, 0.7, 0.1]])
    assert evaluation.fuse([certain, unsure], "geometric").argmax() == 0
    many = evaluation.fuse([np.array([[0.001, 0.002, 0.997]])] * 500, "product")
    np.testing.assert_allclose(many, [[0, 0, 1]], atol=1e-12)
    with pytest.raises(EvaluationError, match="unknown fusion 'vote': known are arithmetic"):
        evaluation.fuse([certain], "vote")


# --- two models on the same actors ------------------------------------------------------------


def test_a_difference_by_actor_is_that_of_the_scores_and_covers_zero_for_equals():
    rng = np.random.default_rng(0)
    labels, actors = rng.integers(4, size=480), np.repeat(np.arange(24), 20)
    first, second = (
        np.where(rng.random(480) < 0.6, labels, rng.integers(4, size=480)) for _ in "ab"
    )
    apart = evaluation.difference_by_actor(labels, first, second, 4, actors)
    for name, (difference, (low, high)) in apart.items():
        own = [
            evaluation.bootstrap_by_actor(labels, p, 4, actors)[name][0] for p in (first, second)
        ]
        assert difference == pytest.approx(own[1] - own[0])
        assert low < difference < high
        assert low < 0 < high
    better = np.where(rng.random(480) < 0.9, labels, first)
    assert evaluation.difference_by_actor(labels, first, better, 4, actors)["uar"][1][0] > 0
    turned = evaluation.difference_by_actor(labels, second, first, 4, actors)["uar"]
    assert turned[0] == pytest.approx(-apart["uar"][0])
