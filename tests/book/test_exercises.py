"""Exercises compute their truth, accept it, and say what is wrong with everything else."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from emolib import paths
from emolib.book import exercises
from emolib.book.execution import read_notebook, source
from emolib.book.exercises import diagnoses, engine

NOTEBOOKS = sorted((paths.PROJECT / "notebooks").glob("*.ipynb"))
FORESEEN = [
    pytest.param(name, wrong, words, id=f"{name}-{i}")
    for name in exercises.names()
    for i, (wrong, words) in enumerate(exercises.find(name).wrong)
]


@pytest.mark.parametrize("name", exercises.names())
def test_the_truth_is_accepted(name):
    outcome = exercises.check(name, exercises.find(name).truth())
    assert outcome, outcome.message


@pytest.mark.parametrize(("name", "wrong", "words"), FORESEEN)
def test_a_plausible_wrong_answer_is_told_what_is_wrong_with_it(name, wrong, words):
    asked = exercises.find(name)
    plain = type(asked) is engine.Exercise
    outcome = exercises.check(name, wrong() if plain and callable(wrong) else wrong)
    assert outcome.state == "wrong"
    assert words in outcome.message
    # What is not a whole sentence is a word of a general rule, so a rule has to have said it.
    assert len(words.split()) >= 5 or outcome.message != words


@pytest.mark.parametrize("name", exercises.names())
def test_each_has_a_hint_and_two_wrong_answers(name):
    asked = exercises.find(name)
    assert len(asked.hint) > 15
    assert len(asked.wrong) >= 2
    assert len({words for _, words in asked.wrong}) == len(asked.wrong)


@pytest.mark.parametrize("name", exercises.names())
def test_an_untouched_cell_says_nothing_but_your_turn(name):
    for untouched in (..., None, _empty, _documented, _Empty):
        outcome = exercises.check(name, untouched)
        assert not outcome
        assert repr(outcome) == "… your turn"
        shown = outcome._repr_html_()
        assert re.search(r"<p [^>]*>… your turn</p><details><summary>Hint</summary>", shown)


def _empty(first, second): ...


def _documented(first):
    """Return something."""


class _Empty(nn.Module):
    def __init__(self): ...

    def forward(self, x): ...


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_chapter_asks_all_of_its_exercises_and_no_others(path):
    text = "\n".join(source(cell) for cell in read_notebook(path)["cells"])
    asked = re.findall(r'exercises\.check\(\s*"([^"]+)"', text)
    assert sorted(asked) == sorted(exercises.names(path.stem))


# --- the general rules -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "truth", "words"),
    [
        (93.75, 0.9375, "percent"),
        (0.9375, 93.75, "a share"),
        ([0.9, 0.8], [0.8, 0.9], "the lower one comes first"),
        ([3, 1, 2], [1, 2, 3], "another order"),
        (1.0, 0.99968, "certain"),
        (0.94, 0.9375, "rounded"),
        (0.93, 0.9375, "cut off"),
        (7, 8, "too small by exactly 1"),
        ([1, 2, 3], [0, 1, 2], "off by one"),
        (7.6, 8, "a whole number"),
        (0.25, 0.75, "the share of the others"),
        (-0.4, 0.4, "sign"),
        (4 / 3, 0.75, "upside down"),
        (np.log(2) * 0.31, 0.31, "nats"),
        (6200.0, 6.2, "power of ten"),
        (5.0, 2.5, "twice"),
        (np.nan, 2.5, "not a number"),
        ([[1, 2], [3, 4]], [[1, 3], [2, 4]], "transposed"),
        (np.zeros((2, 3)), np.zeros((3, 2)), "it looks transposed"),
        (np.zeros(3), 1.0, "one number is wanted"),
        (1.0, np.zeros(3), "keep the other axes"),
        ([[0.5, 0.5], [0.5, 0.5]], [[0.6, 0.4], [0.3, 0.7]], "0 of 4"),
        ([[0.6, 0.9], [0.4, 0.1]], [[0.6, 0.4], [0.9, 0.1]], "transposed"),
        ([[0.1, 0.2], [0.9, 0.8]], [[0.6, 0.4], [0.9, 0.1]], "the columns sum to one"),
        ("a lot", 3.0, "a number or an array"),
        (len, 3.0, "not a function"),
        ("voice", "face", "'voice' is not"),
        ([1, 2, 9], {1, 2, 3, 4}, "2 missing and 1 too many"),
        (4.0, 3.0, "too large"),
    ],
)
def test_a_rule_sees_how_an_answer_is_wrong(answer, truth, words):
    assert words in diagnoses.compare(answer, truth, 1e-6)


@pytest.mark.parametrize(
    ("answer", "truth"), [(torch.tensor(0.5), 0.5), (" Face", "face"), ([2, 1], {1, 2})]
)
def test_what_says_the_same_is_right(answer, truth):
    assert diagnoses.compare(answer, truth, 1e-6) == ""


def test_code_that_raises_is_told_and_does_not_stop_the_page():
    outcome = exercises.check("ding-clip-level", lambda segments: segments.no_such_method())
    assert outcome.state == "wrong"
    assert "your code raised AttributeError" in outcome.message


def test_a_function_without_return_and_a_result_in_its_place_are_told():
    assert "return" in exercises.check("ding-clip-level", lambda s: s.sort(2)).message
    assert "wants a function" in exercises.check("ding-clip-level", np.zeros((12, 8))).message


def test_two_exercises_cannot_share_a_name():
    with pytest.raises(ValueError, match="'ding-siblings' already"):
        exercises.exercise("ding-siblings")(lambda: 1)


def test_an_unknown_exercise_names_the_known_ones():
    with pytest.raises(KeyError, match="ding-same-padding"):
        exercises.check("nobody", 1)


# --- networks and trainings ------------------------------------------------------------------


class _Net(nn.Module):
    def __init__(self, inner: int, bias=False, use=True, last=None, stride=1, sizes=(3, 5)):
        super().__init__()
        self.second = nn.Conv1d(inner, sizes[0], 3, stride)
        self.first = nn.Conv1d(2, inner, 1, bias=bias)
        self.spare = nn.Linear(sizes[1], 1, bias=False)
        self.use, self.last = use, last or nn.Identity()

    def forward(self, x):
        out = self.second(self.first(x).relu()).mean(2)
        return self.last(out + self.spare.weight.mean() if self.use else out)


@pytest.fixture
def network(monkeypatch):
    """An exercise that asks for a network, known only to one test."""
    monkeypatch.setattr(engine, "_EXERCISES", {})
    engine.network(
        "net", arguments=(4,), inputs=lambda rng: (engine.noise(rng, 2, 2, 9),),
        wrong=[(lambda inner: _Net(inner, sizes=(3, 8)), "the spare layer has five inputs, not 8")],
    )(lambda inner: _Net(inner))  # fmt: skip
    return "net"


def test_a_network_is_right_whatever_its_layers_are_called_and_keeps_its_weights(network):
    class Renamed(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.a = nn.Conv1d(2, inner, 1, bias=False)
            self.b = nn.Linear(5, 1, bias=False)
            self.c = nn.Conv1d(inner, 3, 3)

        def forward(self, x):
            return self.c(self.a(x).relu()).mean(2) + self.b.weight.mean()

    assert exercises.check(network, Renamed)
    built = Renamed(4)
    before = built.a.weight.clone()
    assert exercises.check(network, built)
    assert torch.equal(built.a.weight, before)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bias": True}, "bias=False"),
        ({"sizes": (4, 5)}, "parameters"),
        ({"sizes": (3, 8)}, "five inputs, not 8"),
        ({"use": False}, "no gradient reaches spare.weight"),
        ({"last": nn.Softmax(1)}, "softmax"),
        ({"last": nn.Unflatten(1, (3, 1))}, "the output's shape is (2, 3, 1)"),
        ({"last": nn.Hardtanh(-1e-3, 1e-3)}, "look at what forward does"),
    ],
)
def test_a_network_that_is_wrong_is_told_where(network, options, words):
    assert words in exercises.check(network, lambda inner: _Net(inner, **options)).message


def test_what_builds_no_network_is_told(network):
    assert (
        "an nn.Module is wanted, not int" in exercises.check(network, lambda inner: inner).message
    )


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ([2.0, 1.5, 1.0, 0.7, 0.5, 0.4], ""),
        ([2.0, 0.1], "too few"),
        ([2.0] * 9, "does not move"),
        ([2.0, 2.1, 2.3, 2.6, 2.9, 3.0], "does not fall"),
        ([2.0, 1.9, 1.8, 1.7, 1.6, 1.5], "is wanted"),
        ([2.0, 1.0, np.nan, 1, 1, 1], "not finite"),
        (3, "a list of losses"),
    ],
)
def test_a_loss_curve_is_judged(losses, words):
    said = diagnoses.falls(to=0.5)(losses)
    assert (words in said) if words else not said


@pytest.mark.parametrize(
    ("reached", "words"),
    [(0.8, ""), (80, "percent"), (0.4, "40.0% is reached"), (-1, "no accuracy"), ("high", "not")],
)
def test_an_accuracy_is_judged(reached, words):
    said = diagnoses.reaches(0.7)(reached)
    assert (words in said) if words else not said


def test_code_that_trains_is_judged_by_what_it_does(monkeypatch):
    monkeypatch.setattr(engine, "_EXERCISES", {})

    def task(rng):
        return nn.Linear(3, 1), engine.noise(rng, 64, 3)

    def loop(model, x, steps=20, rate=0.1):
        optimizer = torch.optim.SGD(model.parameters(), rate)
        losses = []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = (model(x) - 1).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    engine.trains("loop", judge=diagnoses.falls(to=0.5), inputs=task)(loop)
    assert exercises.check("loop", loop)
    assert "does not move" in exercises.check("loop", lambda m, x: loop(m, x, rate=0)).message
    assert "too few" in exercises.check("loop", lambda m, x: loop(m, x, steps=2)).message


def test_points_are_those_of_the_answers_given(monkeypatch):
    monkeypatch.setattr(engine, "_GIVEN", {})
    exercises.check("tensors-mfcc-frames", 282)
    exercises.check("tensors-last-frame", 3.6)
    graded = exercises.grades("tensors")
    assert graded["points"] == 1
    assert graded["of"] == len(exercises.names("tensors"))
    assert graded["exercises"]["tensors-mfcc-frames"]["points"] == 1
    assert "half a segment" in graded["exercises"]["tensors-last-frame"]["said"]
