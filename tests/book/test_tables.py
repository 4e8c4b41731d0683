"""What every chapter shows: tables that say what is missing and escape what is printed."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from emolib import claims, paths
from emolib.book import tables
from emolib.corpora import splits


def test_verdicts_of_the_ledger_are_the_verdicts_that_have_a_colour():
    style = (paths.PROJECT / "book" / "_static" / "emolib.css").read_text()
    for verdict in claims.VERDICTS:
        name = f".emolib-{tables.style(verdict)} "
        assert style.count(name) == 2, "one colour on light ground, one on dark"


def test_a_badge_says_its_verdict_in_words():
    assert ">not stated<" in tables.badge("not stated")
    assert "&lt;b&gt;" in tables.badge("<b>")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (66584.0, "66,584"), (14_423_416, "14,423,416"), (0.9337, "0.9337"), (48.123456, "48.123"),
        (0.0, "0"), (3.2e-9, "3.2e-09"), (math.nan, ""), (None, ""), ("a < b", "a &lt; b"),
    ],
)  # fmt: skip
def test_a_measured_value_is_printed_without_losing_digits_that_count(value, shown):
    assert tables.number(value) == shown


def test_the_claims_of_a_chapter_are_the_papers_own_in_its_own_order():
    table = tables.claims("ishtiaq")
    own = [claim for claim in claims.load("ishtiaq") if claim.own]
    assert table.frame["what"].tolist() == [tables.cell(claim.quantity) for claim in own]
    assert str(len(own)) in table.caption


def test_every_claim_has_a_verdict_and_the_caption_counts_them():
    table = tables.verdicts("ishtiaq")
    assert len(table.frame) == len(tables.claims("ishtiaq").frame)
    counts = [int(part.split()[0]) for part in table.caption.partition(": ")[2].split(", ")]
    facts, rows = (int(number) for number in re.findall(r"(\d+) (?:facts|rows)", table.caption))
    assert (sum(counts), rows) == (facts, len(table.frame))


def test_a_missing_result_keeps_its_row_with_the_command_that_makes_it():
    table = tables.results("ding", ["no-such-experiment"])
    assert "emolib train ding --experiment no-such-experiment" in table.frame["experiment"].iloc[0]
    frame = tables.results_frame("ding", ["no-such-experiment"])
    assert frame.empty
    assert {"label", "value", "low", "high", "modality"} <= set(frame.columns)


def test_clips_that_are_one_sample_each_get_one_column():
    whole = tables.results("lu", ["audio-actor"]).frame
    assert list(whole.columns) == ["experiment", "runs", "accuracy", "UAR", "parameters"]
    cut = tables.results("ding", ["audio-clip", "no-such-experiment"]).frame
    assert {"accuracy, samples", "accuracy, clips", "UAR, clips"} <= set(cut.columns)
    assert cut.iloc[1, 1:].eq("").all()


def test_a_table_shows_its_caption_as_text_and_its_cells_as_given():
    table = tables.Table(pd.DataFrame({"a": ["<b>1</b>"]}), "5 < 6", "noted")
    page = table._repr_html_()
    assert "5 &lt; 6" in page
    assert "<b>1</b>" in page
    assert "noted" in page
    assert "5 < 6" in repr(table)


def test_synthetic_and_paired_data_are_named_as_such():
    assert "synthetic" in tables.corpus_name("synthetic")
    assert "paired" in tables.corpus_name("paired")
    assert tables.corpus_name("something else") == "something else"


@pytest.fixture
def dataset():
    """Two sentences of two emotions by four actors, three segments each."""
    rows = [
        {
            "clip_id": f"{actor:02d}-{emotion}-{take}", "corpus": "synthetic",
            "actor": f"{actor:02d}", "emotion": emotion, "intensity": "", "statement": str(take),
            "repetition": "1", "modality": "audio", "channel": "speech", "text": "", "usage": "",
        }
        for actor in range(1, 5) for emotion in ("calm", "sad") for take in (1, 2)
    ]  # fmt: skip
    return SimpleNamespace(
        manifest=pd.DataFrame(rows), classes=("calm", "sad"), n_segments=3, images=None,
        samples=np.zeros(3 * len(rows)), features={"clips_left_out": 2},
    )  # fmt: skip


def test_clips_are_counted_by_emotion_with_what_was_left_out(dataset):
    table = tables.clips(dataset)
    assert table.frame.to_dict("list") == {
        "emotion": ["calm", "sad"], "clips": [8, 8], "actors": [4, 4],
    }  # fmt: skip
    assert "16 clips of 4 actors" in table.caption
    assert "2 clips left out" in table.caption


def test_leaks_are_counted_for_splits_that_leak_and_for_those_that_do_not(dataset):
    made = [splits.make(kind, dataset.manifest, n_segments=3) for kind in ("segment", "actor")]
    table = tables.leaks(dataset, made).frame.set_index("split")
    assert table.loc["segment"].sum() > 0
    assert table.loc["actor"].sum() == 0


def test_one_seed_has_no_spread_and_counts_of_runs_are_whole():
    table = tables.results("mostafa", ["fer-custom-official", "no-such-experiment"]).frame
    assert table["runs"].tolist() == ["1", ""]
    assert not table.astype(str).apply(lambda column: column.str.contains("nan")).any(axis=None)


def test_a_grid_is_shown_in_percent_and_leaves_empty_what_is_not_there():
    grid = pd.DataFrame({"kernel": [3, 5], "accuracy": [0.34567, 0.3], "p": [0.5, np.nan]})
    shown = tables.grid(grid)
    assert list(shown["accuracy"]) == [34.567, 30.0]
    assert list(shown["kernel"]) == [3, 5]
    assert shown["p"].iloc[1] == ""
