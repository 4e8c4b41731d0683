"""What `emolib settle` lists, in which order, and what a run leaves behind."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from emolib import claims, cli, paths, registry, results
from emolib.claims import ClaimError
from emolib.corpora import SOURCES
from emolib.labs import settle
from emolib.papers import engine

RAVDESS = "lu-abstract-accuracy-ravdess"


@pytest.fixture
def nothing(monkeypatch, tmp_path):
    """No recordings are here, and nothing was measured."""
    monkeypatch.setenv("EMOLIB_DATA", str(tmp_path / "nothing"))
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")


def job(name, share=1.0, hours=1.0, missing=(), ids=("ding-sadness",)):
    return settle.Job("ding", name, "training", ids, share, hours, missing=missing)


# --- the list --------------------------------------------------------------------------------


def test_the_ledger_is_listed_in_three_seconds_of_a_processor_and_without_pytorch():
    code = (
        "import sys, time; from emolib import cli; "
        "cli.app(['settle', '--dry-run'], standalone_mode=False); "
        "assert 'torch' not in sys.modules; assert time.process_time() < 3, time.process_time()"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_claims_that_share_an_experiment_share_one_job(nothing):
    jobs = settle.plan()
    assert len({(one.key, one.name) for one in jobs}) == len(jobs)
    shared = next(one for one in jobs if RAVDESS in one.claims)
    assert shared.name == "ravdess-f4-s2-gm"
    assert len(shared.claims) >= 27
    assert {claim.id for claim in settle.awaiting()} == {
        name for one in jobs for name in one.claims
    }


def test_a_claim_about_the_best_of_several_needs_them_all(nothing):
    jobs = settle.plan(["ding-dropout-savee"])
    assert [one.share for one in jobs] == [0.25] * 4
    assert {"savee-segment", "savee-dropout-0.3"} <= {one.name for one in jobs}


def test_what_is_missing_is_named_with_the_command_that_gets_it(nothing):
    lines = "\n".join(line for one in settle.plan() for line in one.missing)
    assert "emolib data get ravdess --part speech-video" in lines
    assert "emolib data get cremad --part video" in lines
    assert "register at the University of Surrey" in lines
    assert all(one.missing for one in settle.plan())


def test_a_few_clips_of_a_corpus_are_not_the_corpus(monkeypatch):
    monkeypatch.setattr(settle.corpora, "carrying", lambda *_: range(1000))
    assert "1,000 of 1,440" in settle.Library().lacking("ravdess", ("audio",))[0]
    monkeypatch.setattr(settle.corpora, "carrying", lambda *_: range(1300))
    assert not settle.Library().lacking("ravdess", ("audio",))


def test_the_first_is_what_settles_most_claims_an_hour(nothing, monkeypatch):
    monkeypatch.setattr(settle.Library, "lacking", lambda *_: ())
    jobs = [one for one in settle.plan() if not one.missing]
    assert len(jobs) > 70
    rates = [one.per_hour for one in jobs]
    assert rates == sorted(rates, reverse=True)
    night = settle.within(jobs, 8)
    assert night
    assert sum(one.hours for one in night) <= 8


def test_a_budget_takes_what_fits_in_order():
    jobs = [job("a", hours=3), job("b", hours=9), job("c", hours=4), job("d", missing=("x",))]
    assert [one.name for one in settle.within(jobs, 8)] == ["a", "c"]
    assert [one.name for one in settle.within(jobs, None)] == ["a", "b", "c"]


@pytest.mark.parametrize(("text", "number"), [("8h", 8), ("90m", 1.5), ("0.5h", 0.5)])
def test_a_budget_is_hours_or_minutes(text, number):
    assert settle.hours(text) == number


@pytest.mark.parametrize("text", ["8", "h", "-1h", "nanh", "8 days", ""])
def test_anything_else_is_no_budget(text):
    with pytest.raises(ClaimError, match="give hours or minutes"):
        settle.hours(text)


@pytest.mark.parametrize("kind", ["quoted", "unstated"])
def test_what_cannot_be_settled_is_refused_by_name(kind):
    name = next(one.id for one in claims.load("ding") if one.check.kind == kind)
    with pytest.raises(ClaimError, match=f"{name} cannot be settled here"):
        settle.plan([name])
    with pytest.raises(ClaimError, match="there is no claim 'ding-nothing'"):
        settle.plan(["ding-nothing"])


def test_every_command_of_the_ledger_starts(nothing):
    for claim in settle.awaiting():
        for name in getattr(claim.check, "experiments", ()):
            assert name in engine.paper(claim.key).FULL
    table = [claim.id for claim in settle.awaiting()]
    done = CliRunner().invoke(cli.app, ["settle", *table, "--dry-run", "--json"])
    assert done.exit_code == 0, done.output
    assert {name for one in json.loads(done.output) for name in one["claims"]} == {*table}
    for key in registry.PAPERS:
        for name in [one for one in table if one.startswith(f"{key}-")][:2]:
            done = CliRunner().invoke(cli.app, ["settle", name, "--dry-run"])
            assert done.exit_code == 0, done.output
            assert "1 claims await data" in done.output


# --- a run -----------------------------------------------------------------------------------


@pytest.fixture
def ledger(monkeypatch, tmp_path):
    """A folder for results, and trainings that are written down instead of done."""
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    calls = []

    def run(key, name, **how):
        calls.append((key, name, how["mode"]))
        if name == "broken":
            raise ValueError("no")
        return SimpleNamespace(key=key, experiment=name)

    monkeypatch.setattr(engine, "run", run)
    monkeypatch.setattr(settle, "extraction_timed", lambda key, name: 0.0)
    monkeypatch.setattr(settle, "epoch_timed", lambda key, name, n_jobs: 1800.0)
    monkeypatch.setattr(results, "save", lambda result: calls.append(result.experiment))
    return calls


def test_a_night_does_one_after_the_other_and_goes_on_after_an_error(ledger):
    said = []
    settle.run([job("a"), job("broken"), job("b")], progress=False, tell=said.append)
    assert [call for call in ledger if isinstance(call, str)] == ["a", "b"]
    assert any("left out: ValueError: no" in line for line in said)
    assert settle._measured() == {"ding/a": 1800.0, "ding/broken": 1800.0, "ding/b": 1800.0}


def test_what_does_not_fit_any_more_when_it_was_timed_is_left_out(ledger):
    said = []
    settle.run([job("a", hours=0.1)], budget=0.25, progress=False, tell=said.append)
    assert not ledger
    assert any("does not fit into the budget" in line for line in said)


def test_features_that_take_too_long_are_not_begun(ledger, monkeypatch):
    monkeypatch.setattr(settle, "extraction_timed", lambda key, name: 7200.0)
    said = []
    settle.run([job("a", hours=0.1)], budget=1, progress=False, tell=said.append)
    assert not ledger
    assert any("features do not fit into the budget" in line for line in said)
    assert not settle._measured()


def test_a_rehearsal_writes_nothing(ledger):
    settle.run([job("a")], mode="quick", progress=False, tell=lambda _: None)
    assert ledger == [("ding", "a", "quick")]


def test_the_verdicts_that_changed_are_told(ledger, monkeypatch):
    seen = iter(["awaits data", "not reproduced"])
    monkeypatch.setattr(settle, "_verdicts", lambda names: {name: next(seen) for name in names})
    changed = settle.run([job("a")], progress=False, tell=lambda _: None)
    assert changed.to_dict("records") == [
        {"claim": "ding-sadness", "before": "awaits data", "after": "not reproduced"}
    ]


def test_what_was_timed_here_replaces_the_estimate(nothing):
    assert not settle.plan(["ding-sadness"])[0].measured
    settle._note(job("ravdess-segment"), 7200.0)
    (one,) = settle.plan(["ding-sadness"])
    assert (one.measured, one.hours) == (True, 2.0)


def test_the_remedy_of_each_corpus_is_known():
    for corpus in settle.CLIPS:
        assert settle.Library().clips(corpus) > 0
        assert corpus in SOURCES
