"""A network is compared with chance before anybody looks at what it looks at."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from emolib import explain, models, paths, results

CARDS = sorted(paths.WEIGHTS.glob("*/*.json"))


class Copies(nn.Module):
    """A network that answers with its input."""

    def forward(self, audio=None, video=None, text=None):
        return audio


def test_a_constant_answer_has_learned_nothing():
    labels = [0] * 60 + [1] * 40
    told = explain.learned(np.zeros(100, int), labels=labels)
    assert told.accuracy == told.chance == 0.6
    assert not told
    with pytest.raises(explain.UnlearnedError, match="train it longer"):
        told.require()


def test_two_of_sixteen_are_no_proof_and_fourteen_are():
    labels = [*range(8)] * 2
    few = explain.learned(np.array([0] * 16), labels=labels)
    assert (few.right, few.n) == (2, 16) and not few
    assert "no proof" in str(few)
    most = explain.learned(np.array([*range(8), *range(6), 0, 0]), labels=labels)
    assert most and most.require() is most
    assert "has learned" in str(most)


def test_speakers_who_differ_widen_the_interval():
    # One speaker is understood and three are not: twelve of 48 by the samples, luck by speakers.
    labels = np.tile(np.arange(8), 6)
    answers = np.where(np.arange(48) < 12, labels, (labels + 1) % 8)
    actors = np.repeat(["01", "02", "03", "04"], 12)
    alone, by_people = (explain.learned(answers, labels=labels, actors=a) for a in (None, actors))
    assert by_people.low < alone.low
    assert by_people.actors == 4 and alone.actors == 0
    assert alone and not by_people


def test_a_network_is_asked_in_evaluation_mode_and_left_as_it_was():
    torch.manual_seed(0)
    model = models.build("ding").train()
    inputs = models.example_inputs("ding", batch=16)
    told = explain.learned(model, inputs, [*range(8)] * 2)
    assert model.training and told.n == 16
    voice = {"audio": torch.eye(8).repeat(4, 1)}
    assert explain.learned(Copies(), voice, torch.arange(8).repeat(4)).accuracy == 1


def test_a_stored_result_is_judged_by_its_own_answers():
    result = results.load("lu", "audio-actor")
    told = explain.learned(result)
    assert told.n == 1440 and told.actors == 24
    assert told.accuracy == pytest.approx(result.evaluation().accuracy)
    assert told.chance == pytest.approx(192 / 1440)
    assert told
    assert not explain.learned(results.load("ishtiaq", "text-actor"))  # words say nothing


@pytest.mark.parametrize("file", CARDS, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_all_published_weights_have_learned(file):
    card = json.loads(file.read_text())
    told = explain.learned(card)
    assert told.accuracy == pytest.approx(card["test_metrics"]["accuracy"], abs=0.003)
    assert told, str(told)


def test_what_cannot_be_compared_is_named():
    with pytest.raises(ValueError, match="give inputs and labels"):
        explain.learned(Copies())
    with pytest.raises(ValueError, match="answers are right or wrong by labels"):
        explain.learned(np.zeros(3, int))
    with pytest.raises(ValueError, match="3 answers to 2 labels"):
        explain.learned(np.zeros(3, int), labels=[0, 1])
    with pytest.raises(ValueError, match="does not name chance: publish the weights again"):
        explain.learned({"clips": {"test": 3}, "test_metrics": {"accuracy": 1}})
