"""A verdict is computed from what was measured, counted or printed, and from nothing else."""

import inspect
from types import SimpleNamespace

import pandas as pd
import pytest

from emolib import claims, paths, registry
from emolib.claims import Bench, ClaimError, ledger, scores
from emolib.claims.bench import settings_of
from emolib.claims.verdicts import ENOUGH_SEEDS

CHEAP = ("arithmetic", "audit", "unstated", "quoted", "corpus", "device")


def result(
    mean, interval, corpus="ravdess", mode="full", options=None, experiment="audio-actor",
    split="actor", leak=None, folds=6, seeds=(0,),
):  # fmt: skip
    """As much of a result as a verdict looks at."""
    summary = SimpleNamespace(mean=mean, interval=interval)
    return SimpleNamespace(
        key="ding",
        name=f"ding/{experiment}",
        experiment=experiment,
        title=f"Ding, audio, {corpus}",
        mode=mode,
        corpus=corpus,
        modality="audio",
        split=SimpleNamespace(kind=split, allow_leak=leak, folds=[*range(folds)], n_folds=6),
        model=SimpleNamespace(options=options or {}),
        summary={"accuracy": summary},
        runs=[None] * folds * len(seeds),
        seeds=[*seeds],
        samples=SimpleNamespace(actors=["01", "02"]),
        pooled=lambda *_: ([*range(100)],),
        recipe={},
        features={"audio": "mfcc"},
        provenance=SimpleNamespace(date="2025-01-01"),
    )


def verdict(of, results):
    bench = Bench("ding")
    bench.results = results
    return claims.judge(of, bench)


# --- accuracies ------------------------------------------------------------------------------

MEASURED = {"kind": "result", "split": "actor", "experiment": "audio-actor"}


@pytest.mark.parametrize(
    ("mean", "interval", "expected"),
    [
        (0.481, (0.42, 0.54), "not reproduced"),
        (0.960, (0.94, 0.98), "reproduced"),  # the published value lies inside the interval
        (0.990, (0.985, 0.995), "exceeded"),
        (0.97566, (0.9755, 0.97569), "reproduced"),  # within the tolerance, from below
        (0.97574, (0.97571, 0.9758), "reproduced"),  # and from above
    ],
)
def test_an_accuracy_is_judged_by_the_interval_of_the_mean(claim, mean, interval, expected):
    found = verdict(claim(MEASURED), [result(mean, interval)])
    assert found.verdict == expected
    assert found.measured == pytest.approx(100 * mean)
    assert found.as_printed.result == "ding/audio-actor"
    assert found.new_people == found.as_printed  # the split keeps people apart


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ({"folds": 6, "seeds": (0,)}, "reproduced"),
        ({"folds": 2, "seeds": (0, 1, 2)}, "reproduced"),
        ({"folds": 5, "seeds": (0, 1)}, "awaits data"),
        ({"folds": 1, "seeds": (0,)}, "awaits data"),
    ],
)
def test_too_few_runs_settle_nothing_and_are_shown(claim, runs, expected):
    found = verdict(claim(MEASURED), [result(0.97, (0.95, 0.99), **runs)])
    assert found.verdict == expected
    assert found.measured == pytest.approx(97)
    assert ("too few runs" in found.why) == (expected == "awaits data")


def test_a_score_under_a_leak_stands_beside_that_for_new_people(claim):
    leaking = result(0.99, (0.98, 1), experiment="audio-clip", split="clip", leak="clip")
    apart = result(0.48, (0.42, 0.54))
    check = MEASURED | {"split": "clip", "experiment": "audio-clip"}
    found = verdict(claim(check), [leaking, apart])
    assert found.verdict == "exceeded"
    assert "leaks: clips of one actor on both sides" in found.why
    assert (found.as_printed.split, found.new_people.split) == ("clip", "actor")
    assert found.new_people.value == pytest.approx(48)
    row = found.to_dict()
    assert (row["leak"], row["new_people_result"]) == ("clip", "ding/audio-actor")


def test_another_reading_may_bear_a_claim_out(claim, monkeypatch):
    other = result(0.97, (0.95, 0.99), experiment="audio-gelu")
    monkeypatch.setattr(Bench, "result", lambda *_: other)
    own = result(0.48, (0.42, 0.54))
    reading = {"readings": [{"key": "ishtiaq", "experiment": "audio-gelu"}]}
    assert verdict(claim(MEASURED), [own]).verdict == "not reproduced"
    found = verdict(claim(MEASURED | reading), [own])
    assert (found.verdict, found.as_printed.result) == ("reproduced", "ding/audio-gelu")
    assert any("48" in note for note in found.notes)


def test_the_cells_of_a_table_stand_or_fall_together():
    printed = {("happy", "recall"): 0.8, ("sad", "recall"): 0.7}
    measured = pd.DataFrame({"low": [0.75, 0.6], "high": [0.85, 0.65]}, index=[*printed])
    assert scores.outside(printed, measured) == [("sad", "recall")]
    measured["high"] = 0.8
    assert scores.outside(printed, measured) == []


@pytest.mark.parametrize(
    "other",
    [
        result(0.99, (0.98, 1), corpus="paired"),
        result(0.99, (0.98, 1), corpus="synthetic"),
        result(0.99, (0.98, 1), corpus="savee"),
        result(0.99, (0.98, 1), mode="quick"),
        result(0.99, (0.98, 1), options={"audio_kernel": 9}),
    ],
)
def test_a_result_on_other_data_never_settles_a_claim(claim, other):
    found = verdict(claim(MEASURED), [other])
    assert found.verdict == "awaits data"
    assert found.measured is None
    assert found.settle_with == "emolib settle ding-test-claim"


def test_a_related_result_is_mentioned_but_not_used(claim):
    found = verdict(claim(MEASURED), [result(0.43, (0.4, 0.46), corpus="paired")])
    assert found.verdict == "awaits data"
    assert "Related: 43.0 %" in found.to_dict()["why"]


def test_only_the_nearest_related_results_are_mentioned(claim):
    check = {"kind": "result", "split": "clip", "experiment": "a", "options": {"audio_kernel": 3}}
    runs = [
        result(0.41, (0, 1), corpus="paired"),
        result(0.42, (0, 1), corpus="paired", options={"audio_kernel": 3}),
        result(0.43, (0, 1), corpus="paired", options={"audio_kernel": 3}, mode="quick"),
    ]
    runs[0].features["without_twins"] = 3  # a number is no name of a part
    why = verdict(claim(check), runs).to_dict()["why"]
    assert "Related: 42.0 %" in why
    assert "41.0" not in why
    assert "43.0" not in why


def test_a_claim_on_synthetic_data_cannot_be_settled_at_all(claim):
    needs = {"corpus": "synthetic", "modality": "audio"}
    found = verdict(claim(MEASURED, needs=needs), [result(1.0, (1, 1), corpus="synthetic")])
    assert found.verdict == "awaits data"


def test_the_best_of_an_option_takes_three_runs(claim):
    names = [f"dropout-{rate}" for rate in (0.2, 0.4, 0.6)]
    check = {"kind": "result", "split": "actor", "best": "dropout", "experiment": names[0]}
    check["among"] = names[1:]
    runs = [
        result(accuracy, (0, 1), options={"dropout": rate}, experiment=f"dropout-{rate}")
        for rate, accuracy in ((0.2, 0.5), (0.4, 0.6), (0.6, 0.55))
    ]
    assert verdict(claim(check, published="0.4"), runs[:2]).verdict == "awaits data"
    assert verdict(claim(check, published="0.4"), runs).verdict == "reproduced"
    assert verdict(claim(check, published="0.5"), runs).verdict == "not reproduced"


def test_a_result_without_the_metric_is_an_error_and_no_verdict(claim):
    with pytest.raises(ClaimError, match="has no 'coolness'"):
        check = MEASURED | {"metric": "coolness"}
        broken = result(0.5, (0.4, 0.6))
        broken.per_class = lambda *_: pd.DataFrame()
        broken.seeds = [0]
        verdict(claim(check), [broken])


# --- exact checks ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "published", "expected"),
    [
        ({"kind": "arithmetic", "expression": "{97.57} - {97.50}"}, "0.07", "reproduced"),
        ({"kind": "arithmetic", "expression": "{99.75} - {95.48}"}, "3.52", "contradicted"),
        ({"kind": "arithmetic", "expression": "{2} > {1}"}, "more", "not stated"),
        ({"kind": "arithmetic", "expression": "{2.0} > {1.0}"}, "more", "reproduced"),
        ({"kind": "formula", "says": "(2 + 29 - 2) / 2", "truth": "14"}, "14.5", "contradicted"),
        ({"kind": "unstated", "missing": ["the split"]}, "97.57", "not stated"),
        ({"kind": "corpus", "fact": "savee-clips"}, "480", "reproduced"),
        ({"kind": "corpus", "fact": "savee-clips"}, "490", "contradicted"),
        ({"kind": "audit", "finding": "table2/proposed/clips"}, "96", "cannot be"),
        ({"kind": "audit", "finding": "table2/proposed/segments"}, "576", "reproduced"),
    ],
)
def test_an_exact_check_gives_its_verdict(claim, check, published, expected, no_results):
    found = claims.judge(claim(check, published=published, tolerance=None))
    assert found.verdict == expected
    assert found.why


def test_a_number_of_another_paper_is_quoted(claim):
    check = {"kind": "quoted", "reference": "[1]"}
    assert claims.judge(claim(check, own=False)).verdict == "quoted"
    same = claim(check | {"printed_there": "97.57"}, own=False)
    assert claims.judge(same).verdict == "quoted"
    other = claim(check | {"printed_there": "95.57"}, own=False)
    assert (claims.judge(other).verdict, claims.judge(other).measured) == ("contradicted", 95.57)
    with pytest.raises(ClaimError, match="own: false"):
        claims.judge(claim(check))


def test_costs_are_counted_on_the_rebuilt_model(claim):
    cost = {"kind": "cost", "quantity": "parameters", "scale": 1e-6}
    found = claims.judge(claim(cost, published="0.06"))
    assert found.verdict == "reproduced"
    assert found.measured == pytest.approx(0.066584)
    assert "cut off" in found.why  # it would round to 0.07
    assert claims.judge(claim(cost, published="0.08")).verdict == "not reproduced"
    layers = {"kind": "layers", "type": "Conv1d", "quantity": "shape", "index": 1}
    assert claims.judge(claim(layers, published="14×32")).verdict == "reproduced"
    assert claims.judge(claim(layers, published="14×64")).verdict == "not reproduced"


def test_a_setting_holds_if_the_rebuild_follows_it(claim):
    def judged(published, setting, **check):
        return claims.judge(claim({"kind": "recipe", "setting": setting, **check}, published))

    assert judged("128", "RECIPE.batch_size").measured == 128
    assert judged("Adam", "RECIPE.optimizer").verdict == "reproduced"
    assert judged("0.999", "RECIPE.betas", index=1).verdict == "reproduced"
    assert judged("10^{-7}", "RECIPE.eps").verdict == "reproduced"
    assert judged("0.01", "NOISE_SD", squared=True).verdict == "reproduced"
    assert judged("0.4", "Model.dropout").verdict == "reproduced"
    assert judged("0.5", "custom_cnn.dropout", module="models.mostafa").verdict == "reproduced"
    with pytest.raises(ClaimError, match=r"ding-test-claim.*128.*but 64 is stated: mend"):
        judged("64", "RECIPE.batch_size")
    with pytest.raises(ClaimError, match=r"papers\.ding sets no MOOD"):
        judged("64", "MOOD")


def test_what_a_module_sets_is_what_python_sees():
    from emolib.papers import ding, lu

    assert settings_of("papers.ding")["RECIPE.lr"] == ding.RECIPE.lr
    assert settings_of("papers.ding")["SEGMENTS"] == ding.SEGMENTS
    assert settings_of("papers.lu")["DEGREES"] == lu.DEGREES


def test_a_formula_measures_nothing_but_the_number_that_it_prints(claim):
    formula = {"kind": "formula", "says": "16 * 9 + 16", "truth": "160"}
    assert claims.judge(claim(formula, published="3 × 3")).measured is None
    assert claims.judge(claim(formula, published="160")).measured == 160


def test_one_side_of_a_shape_can_be_counted(claim):
    maps = {"kind": "layers", "type": "Conv2d", "quantity": "shape", "index": 1}
    found = claims.judge(claim(maps | {"axis": 0}, published="32"))
    assert (found.verdict, found.measured) == ("reproduced", 32)
    assert claims.judge(claim(maps | {"axis": -1}, published="32")).verdict == "not reproduced"


def test_a_word_is_taken_for_a_number_that_is_said(claim):
    cost = {"kind": "cost", "quantity": "parameters", "scale": 1e-6, "bound": "0.06"}
    made = claim(cost, published="subtle")
    assert claims.judge(made).verdict == "reproduced"
    assert claims.judge(made).claim is made
    assert (
        claims.judge(claim(cost | {"bound": "0.08"}, published="subtle")).verdict
        == "not reproduced"
    )


@pytest.mark.parametrize(
    ("most", "expected"), [(None, "not reproduced"), (0.5, "reproduced"), (0.9, "not reproduced")]
)
def test_a_sentence_without_always_is_judged_by_most_rows(
    claim, monkeypatch, tmp_path, most, expected
):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    (tmp_path / "ding").mkdir()
    (tmp_path / "ding" / "means.csv").write_text("a,b\n1,1\n2,1\n3,2\n")
    check = {"kind": "study", "table": "means", "says": "a > b", "data": "d"}
    assert verdict(claim(check | {"most": most}, published="better"), []).verdict == expected


def test_a_mean_of_recordings_is_rounded_and_never_cut_off(claim, no_results):
    seconds = {"kind": "corpus", "fact": "ravdess-seconds"}
    assert claims.judge(claim(seconds, published="3", tolerance=0.5)).verdict == "contradicted"
    assert claims.judge(claim(seconds, published="4", tolerance=0.5)).verdict == "reproduced"


@pytest.mark.realdata
def test_what_is_computed_of_the_recordings_is_what_is_written_down(recordings):
    bench = Bench("yang")
    for name, fact in bench.facts[bench.facts["measure"] != ""].iterrows():
        assert bench.counted(fact) == float(fact["value"]), name


def test_the_defaults_of_librosa_are_what_the_ledger_says():
    librosa = pytest.importorskip("librosa")

    def default(function, name):
        return inspect.signature(function).parameters[name].default

    hop = default(librosa.feature.melspectrogram, "hop_length")
    assert hop == float(Bench("ding").facts.loc["librosa-hop", "value"])
    dct = next(each for each in claims.load("ding") if each.id == "ding-eq7-dct")
    assert default(librosa.filters.mel, "n_mels") == int(dct.check.truth)


@pytest.mark.parametrize(
    "check",
    [
        {"kind": "audit", "finding": "table99/nothing"},
        {"kind": "corpus", "fact": "darwin-clips"},
        {"kind": "cost", "quantity": "happiness"},
        {"kind": "layers", "type": "Conv9d", "quantity": "parameters"},
        {"kind": "cost", "quantity": "macs", "options": {"wheels": 4}},
        {"kind": "arithmetic", "expression": "{ding-no-such-claim} + 1"},
    ],
)
def test_a_check_that_cannot_run_is_an_error_that_names_the_claim(claim, check):
    with pytest.raises(ClaimError, match="ding-test-claim"):
        claims.judge(claim(check, published="1"))


@pytest.mark.parametrize("key", registry.PAPERS)
def test_every_cheap_check_of_a_ledger_runs(key, no_results):
    bench = Bench(key)
    for each in claims.load(key):
        if each.check.kind in (*CHEAP, "result"):
            found = claims.judge(each, bench)
            assert found.verdict in claims.VERDICTS
            assert found.why
            assert bool(found.settle_with) == (found.verdict == "awaits data"), each.id


def test_what_the_tables_rule_out_is_said_so(no_results):
    def verdicts(key):
        bench = Bench(key)
        rows = [*claims.load(key), *claims.ledger_of(key).findings]
        cheap = (row for row in rows if row.check.kind in ("audit", "arithmetic"))
        return {row.id: claims.judge(row, bench).verdict for row in cheap}

    ding, lu, yang, mostafa = (verdicts(key) for key in ("ding", "lu", "yang", "mostafa"))
    expected = {
        "contradicted": [ding["ding-82-below-81"], yang["yang-table6-ours"]],
        "cannot be": [lu["lu-folds-ravdess"], lu["lu-stratified-ravdess"]],
        "not stated": [lu["lu-significance-ravdess"]],
        "reproduced": [ding["ding-split-ravdess-segments"], lu["lu-gm-over-am-ravdess"]],
    }
    for word, found in expected.items():
        assert {*found} == {word}
    assert mostafa["mostafa-audio-validation-speech"] == "cannot be"


# --- the whole ledger ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def every():
    return claims.table()


def test_no_score_is_called_reproduced_under_a_leak_without_what_new_people_give(every):
    known = every[every["verdict"].isin(["reproduced", "exceeded"]) & (every["leak"] != "")]
    assert not known.empty
    assert (known["new_people_result"] != "").all()


@pytest.mark.parametrize("key", registry.PAPERS)
def test_each_experiment_that_a_claim_reads_is_declared_with_enough_runs(key):
    bench = Bench(key)
    checks = (each.check for each in claims.load(key) if each.check.kind == "result")
    for name in sorted({name for check in checks for name in check.experiments}):
        declared = bench.experiment(name)
        every_fold = declared.folds is None and declared.kind != "official"
        assert every_fold or len(declared.seeds) >= ENOUGH_SEEDS, name


def test_each_verdict_says_what_it_rests_on_and_what_would_overturn_it(every):
    for column in ("strength", "overturned_by", "tier", "since"):
        assert (every[column] != "").all(), column


def test_what_is_printed_several_times_is_counted_once(every):
    facts = ledger.once(every)
    assert len(facts) == every["fact"].nunique() < len(every)
    assert claims.summary().loc["all", "all"] == len(facts)


@pytest.mark.parametrize(
    ("rows", "says", "expected"),
    [
        ("level > 0", "a > b", "not reproduced"),
        ("level > 1", "a > b", "reproduced"),
        (None, "a >= b", "reproduced"),
    ],
)
def test_a_statement_must_be_true_in_every_row_of_its_study(
    claim, monkeypatch, tmp_path, rows, says, expected
):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    check = {"kind": "study", "table": "means", "rows": rows, "says": says, "data": "real voices"}
    missing = verdict(claim(check, published="better"), [])
    assert missing.verdict == "awaits data"
    (tmp_path / "ding").mkdir()
    (tmp_path / "ding" / "means.csv").write_text("level,a,b\n0,1,1\n1,2,2\n2,4,3\n")
    made = verdict(claim(check, published="better"), [])
    assert made.verdict == expected
    assert "real voices" in made.why
    with pytest.raises(ClaimError, match=r"means\.csv"):
        verdict(claim(check | {"says": "c > 0"}, published="better"), [])


@pytest.mark.realdata
def test_counts_are_checked_in_the_recordings(claim, recordings):
    found = claims.judge(claim({"kind": "corpus", "fact": "ravdess-speech"}, published="1440"))
    assert found.verdict == "reproduced"
    assert "Counted in the recordings here: 1,440" in found.to_dict()["why"]
