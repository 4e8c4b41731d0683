"""Every printed number is in the ledger, and every verdict is computed."""

import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from emolib import paths, registry
from emolib.claims import ledger
from emolib.claims.ledger import Claim, ClaimError

LEAST = {"ding": 60, "lu": 110, "yang": 30, "mostafa": 45, "ishtiaq": 10}
CHEAP = ("arithmetic", "audit", "unstated", "quoted", "corpus", "device")


@pytest.fixture
def papers():
    """The folder of the papers' texts beside the recordings, or skip."""
    folder = os.environ.get("EMOLIB_DATA")
    texts = Path(folder).resolve().parent / "papers" if folder else None
    if texts is None or not texts.is_dir():
        pytest.skip("needs the papers' texts: a folder 'papers' beside EMOLIB_DATA")
    return texts


@pytest.fixture
def no_results(monkeypatch, tmp_path):
    """No result is there, and no recording."""
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    monkeypatch.setenv("EMOLIB_DATA", str(tmp_path / "nothing"))


def claim(check, published="97.57", **changes):
    """A claim of Ding's with the given check."""
    fields = {
        "id": "ding-test-claim",
        "source": "Table II",
        "quantity": "accuracy",
        "unit": "%",
        "published": published,
        "protocol": "80/20",
        "needs": {"corpus": "ravdess", "modality": "audio"},
        "tolerance": 0.005,
        "why": "half a unit of the last printed digit",
        "check": check,
    }
    return Claim.model_validate(fields | changes)


def result(mean, interval, corpus="ravdess", mode="full", options=None, experiment="audio-actor"):
    """As much of a result as a verdict looks at."""
    summary = SimpleNamespace(mean=mean, interval=interval)
    return SimpleNamespace(
        key="ding",
        experiment=experiment,
        title=f"Ding, audio, {corpus}",
        mode=mode,
        corpus=corpus,
        modality="audio",
        split=SimpleNamespace(kind="actor"),
        model=SimpleNamespace(options=options or {}),
        summary={"accuracy": summary},
        runs=[None],
        features={"audio": "mfcc"},
        provenance=SimpleNamespace(date="2025-01-01"),
    )


def verdict(of, results):
    bench = ledger._Bench("ding")
    bench.results = results
    return ledger.judge(of, bench)


# --- the files -------------------------------------------------------------------------------


@pytest.mark.parametrize("key", registry.PAPERS)
def test_a_paper_has_all_its_claims_with_ids_of_its_own(key):
    claims = ledger.load(key)
    assert len([c for c in claims if c.own]) >= LEAST[key]
    assert len({c.id for c in claims}) == len(claims)
    assert {c.key for c in claims} == {key}
    for each in claims:
        assert each.source
        assert each.quantity
        assert each.protocol
        assert each.why


def plain(text):
    """A text without markup, spaces and typographic variants."""
    text = re.sub(r"[*_$\\]|</?\w+>", " ", text)
    variants = {"“": '"', "”": '"', "’": "'", "–": "-", "−": "-", "×": "x"}
    return re.sub(r"\s+", "", text.translate(str.maketrans(variants))).lower()


@pytest.mark.parametrize("key", registry.PAPERS)
def test_every_published_value_stands_in_the_paper(key, papers):
    raw = (papers / f"{key}.txt").read_text(encoding="utf-8")
    text = plain(raw)
    absent = []
    for each in ledger.load(key):
        if each.quote:
            if plain(each.quote) not in text:
                absent.append((each.id, each.quote))
        elif each.printed is None:
            if plain(each.published) not in text:
                absent.append((each.id, each.published))
        elif not re.search(rf"(?<![\d.]){re.escape(each.published)}(?!\d|\.\d)", raw):
            absent.append((each.id, each.published))
    assert not absent


@pytest.mark.parametrize("key", ["ding", "lu", "yang", "mostafa"])
def test_every_typed_in_number_stands_in_the_paper(key, papers):
    from emolib.audit import Table

    raw = (papers / f"{key}.txt").read_text(encoding="utf-8")
    for file in sorted((paths.CLAIMS / "tables").glob(f"{key}-*.csv")):
        table = Table.read(file)
        if table.kind in ("layers", "statements"):
            continue
        for (row, column), printed in table.cells.items():
            if not column.startswith("n "):
                number = re.escape(printed.rstrip("% "))
                assert re.search(rf"(?<![\d.]){number}(?!\d|\.\d)", raw), (file.name, row, column)


def test_a_published_value_must_be_quoted_so_that_its_digits_are_kept(tmp_path):
    file = tmp_path / "ding.yml"
    file.write_text(
        "paper: {key: ding}\nclaims:\n- {id: ding-a, source: s, quantity: q, published: 97.50,"
        " protocol: p, why: w, check: {kind: quoted, reference: r}}\n"
    )
    with pytest.raises(ClaimError, match=r"ding-a.*quote the published value"):
        ledger.read(file)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"verdict": "holds"}, "verdict"),
        ({"check": {"kind": "opinion"}}, "opinion"),
        ({"id": "lu-a"}, "another paper"),
        ({"tolerance": -1}, "greater than or equal"),
    ],
)
def test_a_ledger_that_does_not_follow_the_model_is_refused_by_name(tmp_path, change, words):
    import yaml

    entry = json.loads(claim({"kind": "quoted", "reference": "r"}).model_dump_json(by_alias=True))
    file = tmp_path / "ding.yml"
    file.write_text(yaml.safe_dump({"paper": {"key": "ding"}, "claims": [entry | change]}))
    with pytest.raises(ClaimError, match=words) as error:
        ledger.read(file)
    assert "ding.yml" in str(error.value)


def test_an_unknown_paper_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(registry.UnknownPaperError, match="unknown paper 'darwin'"):
        ledger.load("darwin")
    with pytest.raises(ClaimError, match="no such ledger"):
        ledger.read(tmp_path / "ding.yml")


# --- accuracies ------------------------------------------------------------------------------

MEASURED = {"kind": "result", "split": "actor"}


@pytest.mark.parametrize(
    ("mean", "interval", "expected"),
    [
        (0.481, (0.42, 0.54), "fails"),
        (0.960, (0.94, 0.98), "holds"),  # the published value lies inside the interval
        (0.990, (0.985, 0.995), "holds"),  # better than published is no contradiction
        (0.97566, (0.9755, 0.97569), "holds"),  # within the tolerance
    ],
)
def test_an_accuracy_is_judged_by_the_interval_of_the_measured_mean(mean, interval, expected):
    found = verdict(claim(MEASURED), [result(mean, interval)])
    assert found.verdict == expected
    assert found.measured == pytest.approx(100 * mean)
    assert found.result == "ding/audio-actor"


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
def test_a_result_on_other_data_never_settles_a_claim(other):
    found = verdict(claim(MEASURED), [other])
    assert found.verdict == "awaits data"
    assert found.measured is None
    assert "emolib train ding --corpus ravdess --modality audio --split actor" in found.settle_with


def test_a_related_result_is_mentioned_but_not_used():
    found = verdict(claim(MEASURED), [result(0.43, (0.4, 0.46), corpus="paired")])
    assert found.verdict == "awaits data"
    assert "Related: 43.0 %" in found.to_dict()["why"]


def test_only_the_nearest_related_results_are_mentioned():
    check = {"kind": "result", "split": "clip", "options": {"audio_kernel": 3}}
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


def test_a_claim_on_synthetic_data_cannot_be_settled_at_all():
    needs = {"corpus": "synthetic", "modality": "audio"}
    found = verdict(claim(MEASURED, needs=needs), [result(1.0, (1, 1), corpus="synthetic")])
    assert found.verdict == "awaits data"


def test_the_best_of_an_option_takes_three_runs():
    check = {"kind": "result", "split": "actor", "best": "dropout"}
    runs = [
        result(accuracy, (0, 1), options={"dropout": rate}, experiment=f"dropout-{rate}")
        for rate, accuracy in ((0.2, 0.5), (0.4, 0.6), (0.6, 0.55))
    ]
    assert verdict(claim(check, published="0.4"), runs[:2]).verdict == "awaits data"
    assert verdict(claim(check, published="0.4"), runs).verdict == "holds"
    assert verdict(claim(check, published="0.5"), runs).verdict == "fails"


def test_a_result_without_the_metric_is_an_error_and_no_verdict():
    with pytest.raises(ClaimError, match="has no 'coolness'"):
        check = {"kind": "result", "split": "actor", "metric": "coolness"}
        broken = result(0.5, (0.4, 0.6))
        broken.evaluation = lambda *_: SimpleNamespace(per_class=SimpleNamespace(columns=[]))
        broken.seeds = [0]
        verdict(claim(check), [broken])


# --- exact checks ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "published", "expected"),
    [
        ({"kind": "arithmetic", "expression": "{97.57} - {97.50}"}, "0.07", "holds"),
        ({"kind": "arithmetic", "expression": "{99.75} - {95.48}"}, "3.52", "impossible"),
        ({"kind": "arithmetic", "expression": "{2} > {1}"}, "more", "not stated well enough"),
        ({"kind": "arithmetic", "expression": "{2.0} > {1.0}"}, "more", "holds"),
        ({"kind": "formula", "says": "(2 + 29 - 2) / 2", "truth": "14"}, "14.5", "fails"),
        ({"kind": "unstated", "missing": ["the split"]}, "97.57", "not stated well enough"),
        ({"kind": "quoted", "reference": "[1]"}, "97.57", "awaits data"),
        ({"kind": "corpus", "fact": "savee-clips"}, "480", "holds"),
        ({"kind": "corpus", "fact": "savee-clips"}, "490", "fails"),
        ({"kind": "audit", "finding": "table2/proposed/clips"}, "96", "impossible"),
        ({"kind": "audit", "finding": "table2/proposed/segments"}, "576", "holds"),
    ],
)
def test_an_exact_check_gives_its_verdict(check, published, expected, no_results):
    found = ledger.judge(claim(check, published=published, tolerance=None))
    assert found.verdict == expected
    assert found.why


def test_costs_are_counted_on_the_rebuilt_model():
    cost = {"kind": "cost", "quantity": "parameters", "scale": 1e-6}
    found = ledger.judge(claim(cost, published="0.06"))
    assert found.verdict == "holds"
    assert found.measured == pytest.approx(0.066584)
    assert "cut off" in found.why  # it would round to 0.07
    assert ledger.judge(claim(cost, published="0.08")).verdict == "fails"
    layers = {"kind": "layers", "type": "Conv1d", "quantity": "shape", "index": 1}
    assert ledger.judge(claim(layers, published="14×32")).verdict == "holds"
    assert ledger.judge(claim(layers, published="14×64")).verdict == "fails"


def test_a_build_is_counted_once_until_its_code_changes(tmp_path, monkeypatch):
    from emolib import models, paths

    monkeypatch.setattr(paths, "FEATURES", tmp_path)
    first = ledger._counts("ding", {}, {})
    assert first.numbers["macs"] == first.layers["macs"].sum() == 7_162_368
    built = []
    build = models.build
    monkeypatch.setattr(models, "build", lambda *a, **k: built.append(a) or build(*a, **k))
    again = ledger._counts("ding", {}, {})
    assert again.numbers == first.numbers
    assert not built
    ledger._counts("ding", {"modality": "audio"}, {})
    assert len(built) == 1
    monkeypatch.setattr(ledger.metadata, "version", lambda library: "another")
    ledger._counts("ding", {}, {})
    assert len(built) == 2


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
def test_a_check_that_cannot_run_is_an_error_that_names_the_claim(check):
    with pytest.raises(ClaimError, match="ding-test-claim"):
        ledger.judge(claim(check, published="1"))


@pytest.mark.parametrize("key", registry.PAPERS)
def test_every_cheap_check_of_a_ledger_runs(key, no_results):
    bench = ledger._Bench(key)
    for each in ledger.load(key):
        if each.check.kind in (*CHEAP, "result"):
            found = ledger.judge(each, bench)
            assert found.verdict in ledger.VERDICTS
            assert found.why
            assert bool(found.settle_with) == (found.verdict == "awaits data"), each.id


def test_what_the_tables_rule_out_is_impossible(no_results):
    def verdicts(key):
        bench = ledger._Bench(key)
        cheap = (c for c in ledger.load(key) if c.check.kind in ("audit", "arithmetic"))
        return {c.id: ledger.judge(c, bench).verdict for c in cheap}

    ding, lu, yang, mostafa = (verdicts(key) for key in ("ding", "lu", "yang", "mostafa"))
    for name in (
        ding["ding-split-ravdess-clips"],
        ding["ding-82-below-81"],
        lu["lu-folds-ravdess"],
        lu["lu-folds-cremad"],
        lu["lu-stratified-ravdess"],
        lu["lu-tam-alone-ravdess"],
        yang["yang-table6-ours"],
        yang["yang-cremad-beats"],
        yang["yang-cremad-fifth"],
        mostafa["mostafa-audio-validation-speech"],
    ):
        assert name == "impossible"
    assert lu["lu-gm-over-am-ravdess"] == "holds"
    assert lu["lu-significance-ravdess"] == "not stated well enough"
    assert ding["ding-split-ravdess-segments"] == "holds"


def test_the_table_has_one_row_a_claim_and_the_summary_adds_up(no_results, monkeypatch):
    monkeypatch.setattr(registry, "PAPERS", {"ding": registry.PAPERS["ding"]})
    table = ledger.table()
    assert list(table["id"]) == [c.id for c in ledger.load("ding")]
    assert {"id", "paper", "published", "measured", "verdict", "settle_with"} <= set(table.columns)
    assert not table[table["own"]]["verdict"].isna().any()
    counts = ledger.summary()
    assert counts.loc["all", "all"] == len(table)
    assert counts.loc["ding", list(ledger.VERDICTS)].sum() == counts.loc["ding", "all"]


@pytest.mark.parametrize(
    ("rows", "says", "expected"),
    [("level > 0", "a > b", "fails"), ("level > 1", "a > b", "holds"), (None, "a >= b", "holds")],
)
def test_a_statement_must_be_true_in_every_row_of_its_study(
    monkeypatch, tmp_path, rows, says, expected
):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    check = {"kind": "study", "table": "means", "rows": rows, "says": says, "data": "real voices",
             "command": "make means"}  # fmt: skip
    missing = verdict(claim(check, published="better"), [])
    assert (missing.verdict, missing.settle_with) == ("awaits data", "make means")
    (tmp_path / "ding").mkdir()
    (tmp_path / "ding" / "means.csv").write_text("level,a,b\n0,1,1\n1,2,2\n2,4,3\n")
    made = verdict(claim(check, published="better"), [])
    assert made.verdict == expected
    assert "real voices" in made.why
    with pytest.raises(ClaimError, match=r"means\.csv"):
        verdict(claim(check | {"says": "c > 0"}, published="better"), [])


@pytest.mark.realdata
def test_counts_are_checked_in_the_recordings(recordings):
    found = ledger.judge(claim({"kind": "corpus", "fact": "ravdess-speech"}, published="1440"))
    assert found.verdict == "holds"
    assert "Counted in the recordings here: 1,440" in found.to_dict()["why"]
