"""Sentences of a page are made of results and verdicts, and of nothing typed."""

import math

import pytest

from emolib import results
from emolib.book import prose
from emolib.claims import ledger


def test_sentences_become_one_paragraph():
    text = prose.say("One\n    line.", "", "Two.")
    assert text._repr_markdown_() == repr(text) == "One line. Two."


@pytest.mark.parametrize(
    ("words", "said"), [([], "nothing"), (["a"], "a"), (["a", "b", "c"], "a, b and c")]
)
def test_words_are_listed_as_a_sentence_lists_them(words, said):
    assert prose.listing(words) == said


def test_the_tally_counts_each_fact_once():
    facts = ledger.once(ledger.table("yang", own=True))
    counts = prose.verdicts("yang")
    assert sum(counts.values()) == len(facts)
    said = prose.tally("yang")
    assert f"has {len(facts)} facts" in said
    assert all(f"{n} {verdict}" in said for verdict, n in counts.items())


def test_a_score_is_that_of_the_stored_result():
    summary = results.load("yang", "audio-1.0").summary["accuracy"]
    assert prose.score("yang", "audio-1.0").startswith(f"{100 * summary.mean:.1f} % [")
    gained = prose.points("yang", "audio-adaptive-clip", "audio-1.0")
    clip = results.load("yang", "audio-adaptive-clip").summary["accuracy"]
    assert gained == pytest.approx(100 * (clip.mean - summary.mean))


def test_what_was_not_run_says_its_command():
    assert "emolib train yang --experiment never" in prose.score("yang", "never")
    assert math.isnan(prose.points("yang", "never", "audio-1.0"))
