"""The tables of numbers name only what exists: a misspelt word is found before it is drawn."""

import pytest

from emolib.emotions import EMOTIONS
from emolib.synthetic import geometry, hair, planted
from emolib.synthetic.tables import table
from emolib.synthetic.voice import PHONES, SENTENCES

UNITS = {*geometry.UNITS, *geometry.LIDS}


def test_folds_and_emotions_are_made_of_action_units():
    assert set(table("relief")["folds"]) <= UNITS
    for emotion in planted.PLANTED.values():
        assert {unit.rstrip("LR") for unit in emotion.action_units} <= UNITS
        assert set(emotion.regions) <= set(planted.REGIONS)


def test_every_cut_that_is_dealt_can_be_painted():
    dealt = {cut for cuts in table("person")["cuts"].values() for cut in cuts}
    assert dealt == set(hair.CUTS)


def test_sentences_are_made_of_sounds():
    assert {sound.rstrip("'") for words in SENTENCES.values() for sound in words.split()} <= set(
        PHONES
    )


@pytest.mark.parametrize("corpus", table("layouts"))
def test_a_layout_names_emotions_and_says_a_known_sentence(corpus):
    layout = table("layouts")[corpus]
    assert set(layout["codes"]) <= set(EMOTIONS)
    assert layout.get("sentence", "Don't forget a jacket") in SENTENCES


def test_tables_cannot_be_changed_by_their_readers():
    opening = table("hair")["cuts"]["bob"]["opening"]
    assert isinstance(opening, tuple)
    assert isinstance(opening[0], tuple)
