"""When verdicts changed: each change is on record."""

import pandas as pd
import pytest

from emolib import claims
from emolib.claims import history


@pytest.fixture
def file(monkeypatch, tmp_path):
    monkeypatch.setattr(history, "FILE", tmp_path / "history.csv")
    history.FILE.write_text("date,commit,id,verdict,was\n2026-01-01,abc,ding-a,awaits data,\n")


def test_every_verdict_is_on_record(no_results_of_mine):
    missing = history.unrecorded(claims.table())
    assert missing.empty, f"run `emolib claims --record` and commit history.csv\n{missing}"


@pytest.fixture
def no_results_of_mine(monkeypatch, tmp_path):
    """Recordings that happen to be here decide nothing."""
    monkeypatch.setenv("EMOLIB_DATA", str(tmp_path))


def test_a_change_is_added_and_what_was_stays(file):
    now = pd.DataFrame({"id": ["ding-a", "ding-b"], "verdict": ["reproduced", "quoted"]})
    assert history.record(now) == 2
    assert history.record(now) == 0
    assert history.changes()[["id", "verdict", "was"]].to_numpy().tolist() == [
        ["ding-a", "awaits data", ""],
        ["ding-a", "reproduced", "awaits data"],
        ["ding-b", "quoted", ""],
    ]
    assert history.latest().loc["ding-a", "verdict"] == "reproduced"


def test_a_claim_that_is_gone_is_on_record(file):
    history.record(pd.DataFrame({"id": ["ding-b"], "verdict": ["quoted"]}))
    assert history.latest().loc["ding-a", ["verdict", "was"]].tolist() == ["", "awaits data"]
