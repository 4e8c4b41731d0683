"""What an exercise is, and how an answer is judged."""

import copy
import dis
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from emolib.book.exercises import diagnoses

Inputs = Callable[[np.random.Generator], Any]
Wrong = Sequence[tuple[Any, str]]
Judge = Callable[..., str]
State = Literal["right", "wrong", "turn"]

_MARKS: dict[str, str] = {"right": "✓", "wrong": "✗", "turn": "…"}
_TRIALS = 5


@dataclass(frozen=True)
class Outcome:
    """Whether an answer is right, and what to say about it; ``turn`` is a cell left untouched."""

    state: State
    message: str
    hint: str = ""

    def __bool__(self) -> bool:
        """Return whether the answer is right."""
        return self.state == "right"

    def __repr__(self) -> str:
        """Return the line that a terminal shows below the cell."""
        return f"{_MARKS[self.state]} {self.message}"

    def _repr_html_(self) -> str:
        said = f'<p role="status">{html.escape(repr(self))}</p>'
        more = f"<details><summary>Hint</summary>{html.escape(self.hint)}</details>"
        inside = said + (more if self.hint and not self else "")
        return f'<div class="emolib-outcome emolib-{self.state}">{inside}</div>'


@dataclass(frozen=True)
class Exercise:
    """One question whose answer is a number, an array, a word, or a set.

    Attributes
    ----------
    name, chapter
        ``"ding-siblings"`` and ``"ding"``, the module it stands in.
    solution
        Computes the right answer; for functions and networks, it is the right answer itself.
    hint
        What to look at again; shown when a reader asks for it.
    tolerance
        Largest relative difference that still counts as right.
    wrong
        Plausible wrong answers, each with words of the diagnosis that it gets.
    """

    name: str
    chapter: str
    solution: Callable[..., Any]
    hint: str
    tolerance: float = 1e-6
    wrong: Wrong = ()

    def truth(self) -> Any:
        """Return the right answer, computed now."""
        return self.solution()

    def diagnose(self, answer: Any) -> str:
        """Return what is wrong with an answer, as the general rules see it: "" if nothing is."""
        return diagnoses.compare(answer, self.truth(), self.tolerance)

    def alike(self, answer: Any, other: Any) -> bool:
        """Return whether two answers are the same one."""
        other = other() if callable(other) else other
        return not diagnoses.compare(answer, other, max(self.tolerance, 1e-9))


@dataclass(frozen=True)
class Function(Exercise):
    """One question whose answer is a function, tried on copies of random arguments."""

    inputs: Inputs = field(kw_only=True)

    def truth(self) -> Any:
        """Return the right function."""
        return self.solution

    def diagnose(self, answer: Any) -> str:
        """Return what is wrong with a function: "" if nothing is."""
        if not callable(answer):
            return "this exercise wants a function, not its result: leave the brackets away"
        rng = np.random.default_rng(0)
        for trial in range(_TRIALS):
            arguments = self.inputs(rng)
            given_to = copy.deepcopy(arguments)
            given = answer(*given_to)
            truth = self.solution(*copy.deepcopy(arguments))
            if given is None:
                return "your function returns nothing: is there a `return`?"
            if fault := diagnoses.compare(given, truth, self.tolerance):
                after = f"right on {trial} inputs, then: " if trial else ""
                return after + (_axis(arguments, given, truth) or fault)
            if _fingerprint(given_to) != _fingerprint(arguments):
                return "the result is right, but your function changes its argument: copy it first"
        return ""

    def alike(self, answer: Any, other: Any) -> bool:
        """Return whether two functions give the same on the same arguments."""
        rng = np.random.default_rng(0)
        drawn = [self.inputs(rng) for _ in range(_TRIALS)]
        return all(
            not diagnoses.compare(
                answer(*copy.deepcopy(one)), other(*copy.deepcopy(one)), self.tolerance
            )
            for one in drawn
        )


@dataclass(frozen=True)
class Network(Exercise):
    """One question whose answer builds an ``nn.Module``: parameters, shapes and outputs count."""

    arguments: tuple = field(kw_only=True)
    inputs: Inputs = field(kw_only=True)

    def truth(self) -> Any:
        """Return what builds the right network."""
        return self.solution

    def diagnose(self, answer: Any) -> str:
        """Return what is wrong with a network: "" if nothing is."""
        return self._beside(answer, self.solution)

    def alike(self, answer: Any, other: Any) -> bool:
        """Return whether two networks have the same parameters and give the same outputs."""
        return not self._beside(answer, other)

    def _beside(self, answer: Any, other: Any) -> str:
        from torch import nn

        built = answer if isinstance(answer, nn.Module) else answer(*self.arguments)
        if not isinstance(built, nn.Module):
            return f"an nn.Module is wanted, not {type(built).__name__}"
        inputs = self.inputs(np.random.default_rng(0))
        # The answer's own weights stay as they are: they may be trained.
        return diagnoses.compare_networks(
            copy.deepcopy(built), other(*self.arguments), inputs, self.tolerance
        )


@dataclass(frozen=True)
class Training(Exercise):
    """One question whose answer trains: a function for `inputs`, or the losses it gave."""

    judge: Judge = field(kw_only=True)
    inputs: Inputs | None = field(kw_only=True, default=None)

    def truth(self) -> Any:
        """Return code that trains well enough, or what it gave."""
        return self.solution if self.inputs else self.solution()

    def diagnose(self, answer: Any) -> str:
        """Return what is wrong with a training: "" if nothing is."""
        if self.inputs is None:
            return self.judge(answer)
        if not callable(answer):
            return "this exercise wants a function, not its result: leave the brackets away"
        arguments = self.inputs(np.random.default_rng(0))
        return self.judge(answer(*arguments), *arguments)

    def alike(self, answer: Any, other: Any) -> bool:
        """Return whether both are the same object: no two trainings are alike."""
        return answer is other


def _axis(arguments: tuple, given: Any, truth: Any) -> str:
    shapes = [tuple(argument.shape) for argument in arguments if hasattr(argument, "shape")]
    found = (diagnoses.wrong_axis(shape, np.shape(given), np.shape(truth)) for shape in shapes)
    return next(filter(None, found), "")


def _fingerprint(arguments: tuple) -> list[str]:
    import joblib

    plain = (one.detach().numpy() if hasattr(one, "detach") else one for one in arguments)
    return [joblib.hash(one) for one in plain]


# --- writing them ----------------------------------------------------------------------------

_EXERCISES: dict[str, Exercise] = {}


def _register(kind: type[Exercise], name: str, tolerance: float, wrong: Wrong, **more: Any):
    def register(solution: Callable) -> Callable:
        if name in _EXERCISES:
            raise ValueError(f"there is an exercise {name!r} already: choose another name")
        said = " ".join((solution.__doc__ or "").split())
        chapter = solution.__module__.rpartition(".")[2]
        _EXERCISES[name] = kind(name, chapter, solution, said, tolerance, tuple(wrong), **more)
        return solution

    return register


def exercise(
    name: str, tolerance: float = 1e-6, inputs: Inputs | None = None, wrong: Wrong = ()
) -> Callable:
    """Make the decorated function the solution of an exercise, and its docstring the hint.

    Parameters
    ----------
    name
        As the notebook prints it, such as ``"ding-siblings"``.
    tolerance
        Largest relative difference that still counts as right.
    inputs
        For an answer that is a function: draws the arguments it is tried on, from a generator.
    wrong
        Plausible wrong answers, each with words of its diagnosis. A wrong answer that takes long
        to compute may be a function without arguments.

    Raises
    ------
    ValueError
        If there is an exercise of that name already.
    """
    if inputs is None:
        return _register(Exercise, name, tolerance, wrong)
    return _register(Function, name, tolerance, wrong, inputs=inputs)


def network(name: str, *, arguments: tuple = (), inputs: Inputs, wrong: Wrong = ()) -> Callable:
    """Make the decorated function, which builds an ``nn.Module``, the solution of an exercise.

    Parameters
    ----------
    arguments
        What the reader's class or function is built with.
    inputs
        Draws what ``forward`` is called with: a tuple of tensors, or a dictionary of named ones.
    """
    return _register(Network, name, 1e-4, wrong, arguments=arguments, inputs=inputs)


def trains(name: str, *, judge: Judge, inputs: Inputs | None = None, wrong: Wrong = ()) -> Callable:
    """Make the decorated function, which trains, the solution of an exercise.

    Parameters
    ----------
    judge
        Says what is wrong with what the answer gave, followed by its arguments: see
        `diagnoses.falls` and `diagnoses.reaches`.
    inputs
        Draws the arguments of an answer that is a function: a fresh network and its data. Without
        it the answer is the losses or the accuracy itself.
    """
    return _register(Training, name, 0.0, wrong, judge=judge, inputs=inputs)


def noise(rng: np.random.Generator, *shape: int) -> Any:
    """Return a tensor of normal numbers, as `network` wants its inputs."""
    import torch

    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


def size(model: Any) -> int:
    """Return the number of parameters of a network."""
    return sum(p.numel() for p in model.parameters())


# --- asking them -----------------------------------------------------------------------------

_GIVEN: dict[str, Outcome] = {}


def names(chapter: str | None = None) -> list[str]:
    """Return the names of all exercises, or of one chapter's."""
    return [name for name, one in _EXERCISES.items() if chapter in (None, one.chapter)]


def find(name: str) -> Exercise:
    """Return an exercise by its name.

    Raises
    ------
    KeyError
        If there is none; the message names those there are.
    """
    if name not in _EXERCISES:
        raise KeyError(f"no exercise {name!r}: there are {', '.join(names())}")
    return _EXERCISES[name]


def hint(name: str) -> str:
    """Return the hint of an exercise."""
    return find(name).hint


def check(name: str, answer: Any) -> Outcome:
    """Compare an answer with the truth, computed now, and say what went wrong.

    Parameters
    ----------
    name
        The exercise's name, as the page prints it.
    answer
        A number, an array, a function, a network, or what a training gave.

    Raises
    ------
    KeyError
        If there is no exercise of that name.
    """
    asked = find(name)
    _GIVEN[name] = outcome = _judge(asked, answer)
    return outcome


def _judge(asked: Exercise, answer: Any) -> Outcome:
    if _untouched(answer):
        return Outcome("turn", "your turn", asked.hint)
    try:
        fault = asked.diagnose(answer)
    except Exception as error:
        # The student's own code may raise anything; the page must go on and say what.
        raised = f"your code raised {type(error).__name__}: {error}"
        return Outcome("wrong", raised, asked.hint)
    if not fault:
        return Outcome("right", "right")
    return Outcome("wrong", _known(asked, answer, fault), asked.hint)


def _known(asked: Exercise, answer: Any, fault: str) -> str:
    """Return the words for a wrong answer that was foreseen, else the general diagnosis."""
    for wrong, words in asked.wrong:
        try:
            if words not in fault and asked.alike(answer, wrong):
                return words
        except Exception:  # the wrong answer raises where this one does not, or the other way
            continue
    return fault


def _untouched(answer: Any) -> bool:
    """Return whether an answer is still the ``...`` of the page, or a body of nothing else."""
    if answer is None or answer is Ellipsis:
        return True
    if isinstance(answer, type):
        written = [value for value in vars(answer).values() if hasattr(value, "__code__")]
        return all(map(_untouched, written))
    if not hasattr(answer, "__code__"):
        return False
    *_, last = instructions = list(dis.get_instructions(answer))
    does = {one.opname for one in instructions}
    if not does <= {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}:
        return False
    constant = last if last.opname == "RETURN_CONST" else instructions[-2]
    return constant.argval is None


def grades(chapter: str) -> dict[str, Any]:
    """Return what the answers given so far are worth: one point for each that is right."""
    rows: dict[str, dict[str, Any]] = {}
    for name in names(chapter):
        given = _GIVEN.get(name)
        said = "… not asked" if given is None else repr(given)
        rows[name] = {"points": int(bool(given)), "said": said}
    points = sum(row["points"] for row in rows.values())
    return {"chapter": chapter, "points": points, "of": len(rows), "exercises": rows}
