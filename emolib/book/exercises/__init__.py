"""Exercises that say what went wrong: the truth is computed when you ask, never stored.

A chapter's exercises are one module of this package, named like its notebook: ``ding.py`` holds
those of ``notebooks/ding.ipynb``. A notebook asks ``exercises.check("ding-siblings", answer)``.

For authors
-----------
An exercise is its solution, decorated. Its docstring is the hint, which a reader opens; its
module is its chapter. There are four kinds::

    @exercise("ding-siblings", tolerance=1e-5, wrong=[
        (99.968, "percent"),  # a general rule has to see this: the word its sentence contains
        (0.2**5, "that is the chance that none of the five trains; at least one is asked for"),
    ])
    def _siblings() -> float:  # a number, an array, a word, a set: compared with what is returned
        \"""the hint: one sentence without a full stop\"""
        return ...

    @exercise("ding-clip-level", inputs=lambda rng: (rng.dirichlet(np.ones(8), (12, 6)),), wrong=[
        (lambda segments: segments.mean(axis=0), "axis 1"),
    ])
    def _clip_level(segments): ...  # a function: tried on copies of random arguments

    @network("ding-block", arguments=(1, 16), inputs=lambda rng: (noise(rng, 2, 1, 64, 64),))
    def _block(c_in, c_out): ...  # a class or function that builds an nn.Module

    @trains("tensors-loop", inputs=task, judge=falls(to=0.5))
    def _loop(model, x, y): ...  # code that trains, or the losses or the accuracy that it gave

``wrong`` lists plausible wrong answers with words that the reader then gets: at least two each.
Words that a general rule says are matched in its sentence; words that none says are the sentence,
so write them whole. The tests give every solution and every wrong answer to `check`.

What the rules see by themselves: percent for share and the other way round, reversed ends, an
answer that is rounded, cut off, off by one, upside down, of the wrong sign, transposed, in another
order, summed over the wrong axis, not normalised, of the wrong shape, in nats; a function that
raises, returns nothing or changes its arguments; a network with too many or too few parameters,
with biases that nobody asked for, with layers that no gradient reaches, with an activation where
logits are wanted; a loss that is not finite, does not fall, or comes from too few steps.
"""

import importlib
import pkgutil

from emolib.book.exercises.engine import (
    Exercise,
    Outcome,
    check,
    exercise,
    find,
    grades,
    hint,
    names,
    network,
    trains,
)

__all__ = [
    "Exercise", "Outcome", "check", "exercise", "find", "grades", "hint", "names", "network",
    "trains",
]  # fmt: skip

for _module in pkgutil.iter_modules(__path__):  # every chapter adds its own
    importlib.import_module(f"{__name__}.{_module.name}")
