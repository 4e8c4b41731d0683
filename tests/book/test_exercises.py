"""Exercises compute their truth, accept it, and reject what is wrong."""

import numpy as np
import pytest

from emolib.book import exercises


@pytest.mark.parametrize("name", exercises.names())
def test_the_truth_is_accepted_and_no_answer_is_not(name):
    truth = exercises._EXERCISES[name].truth()
    assert exercises.check(name, truth)
    assert not exercises.check(name, ...)
    assert not exercises.check(name, None)


@pytest.mark.parametrize("name", exercises.names())
def test_a_wrong_answer_is_rejected_with_a_hint(name):
    truth = exercises._EXERCISES[name].truth()
    wrong = (lambda *arguments: truth(*arguments) + 1) if callable(truth) else np.add(truth, 1)
    outcome = exercises.check(name, wrong)
    assert not outcome
    assert exercises._EXERCISES[name].hint in outcome.message


def test_an_answer_that_raises_is_told_and_does_not_stop_the_page():
    outcome = exercises.check("ding-clip-level", lambda segments: segments.no_such_method())
    assert not outcome
    assert "AttributeError" in outcome.message


def test_words_are_not_numbers():
    assert not exercises.check("ding-same-padding", "a lot")


def test_two_exercises_cannot_share_a_name():
    with pytest.raises(ValueError, match="'ding-siblings' already"):
        exercises.exercise("ding-siblings")(lambda: 1)


def test_an_unknown_exercise_names_the_known_ones():
    with pytest.raises(KeyError, match="ding-same-padding"):
        exercises.check("nobody", 1)


def test_the_same_padding_truth_is_the_published_arithmetic():
    assert exercises._EXERCISES["ding-same-padding"].truth() == 96_792


def test_nearly_every_test_segment_has_a_sibling_in_training():
    assert exercises._EXERCISES["ding-siblings"].truth() == pytest.approx(0.9997, abs=1e-4)
