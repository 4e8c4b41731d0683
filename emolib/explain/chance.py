"""Whether a network has learned anything, asked before it is explained.

A map of a network that guesses is a map of its random weights. What counts as guessing is what
the most frequent class alone would score; what counts as better, an interval that lies above it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emolib import devices, evaluation
from emolib.errors import EmolibError
from emolib.results import Result


class UnlearnedError(EmolibError, ValueError):
    """A network that does no better than chance is about to be explained."""


@dataclass(frozen=True)
class Learned:
    """How many samples a network got right, beside what guessing would.

    It is true where `low` lies above `chance`: ``if explain.learned(…): …``. Printed, it is one
    sentence for a page.

    Attributes
    ----------
    right, n
        Right answers, and samples asked about.
    chance
        Share of the most frequent class: what a constant answer scores.
    low, high
        95 % interval of the accuracy: Wilson's of so many samples, or where they come from several
        speakers also that of drawing speakers, whichever reaches further.
    actors
        How many speakers the samples come from, 0 if that is not known.
    """

    right: int
    n: int
    chance: float
    low: float
    high: float
    actors: int = 0

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.right / self.n

    def __bool__(self) -> bool:
        """Return whether the network is better than chance beyond doubt."""
        return self.low > self.chance

    def __str__(self) -> str:
        """Return what a page says."""
        people = f" of {self.actors} speakers" if self.actors > 1 else ""
        return (
            f"{self.right} of {self.n} samples{people} are right: {self.accuracy:.1%} "
            f"(95 % interval {self.low:.1%} to {self.high:.1%}), chance is {self.chance:.1%}. "
            + ("The network has learned." if self else "That is no proof of having learned.")
        )

    def require(self) -> "Learned":
        """Return this, or refuse to go on.

        Raises
        ------
        UnlearnedError
            If the network is not better than chance.
        """
        if not self:
            raise UnlearnedError(
                f"{self} A map of it would show its random weights: train it longer, or explain "
                "weights of a full run"
            )
        return self


def learned(
    asked: nn.Module | Tensor | np.ndarray | Result | Mapping[str, Any],
    inputs: Mapping[str, Tensor] | None = None,
    labels: Sequence[int] | Tensor | np.ndarray | None = None,
    *,
    actors: Iterable[str] | None = None,
) -> Learned:
    """Compare a network with chance, on samples given or by its stored result.

    Parameters
    ----------
    asked
        A network, which is asked about `inputs`; its answers as probabilities (N, C) or class
        numbers (N,); a stored `Result`; or the card of published weights.
    inputs
        Named tensors, batch first; for a network only.
    labels
        True classes (N,); a result and a card bring their own.
    actors
        Speaker of each sample, if known.

    Examples
    --------
    >>> print(learned(np.array([0, 0, 1, 1, 2, 2] * 6), labels=[0, 0, 1, 1, 2, 2] * 6))
    36 of 36 samples are right: 100.0% (95 % interval 90.4% to 100.0%), chance is 33.3%. \
The network has learned.
    >>> bool(learned(np.zeros(16, int), labels=[*range(8)] * 2))
    False
    """
    if isinstance(asked, Mapping):
        return _by_card(asked)
    if isinstance(asked, Result):
        _, labels, answers, actors = asked.pooled()
    elif isinstance(asked, nn.Module):
        if inputs is None:
            raise ValueError("a network is asked about samples: give inputs and labels")
        with devices.evaluating(asked), torch.no_grad():
            answers = asked(**inputs).cpu().numpy()
    else:
        answers = np.asarray(asked)
    if labels is None:
        raise ValueError("answers are right or wrong by labels: give them")
    truth = np.asarray(labels)
    given = answers.argmax(1) if answers.ndim == 2 else answers
    if given.shape != truth.shape or not len(truth):
        raise ValueError(f"{given.shape[0]} answers to {len(truth)} labels: give one of each")
    right, n = int((given == truth).sum()), len(truth)
    low, high = evaluation.wilson(right, n)
    people = np.asarray(list(actors)) if actors is not None else np.array([])
    if len({*people}) > 1:
        classes = int(max(truth.max(), given.max())) + 1
        drawn = evaluation.bootstrap_by_actor(truth, given, classes, people)["accuracy"][1]
        low, high = min(low, drawn[0]), max(high, drawn[1])
    return Learned(right, n, float(np.bincount(truth).max() / n), low, high, len({*people} - {""}))


def _by_card(card: Mapping[str, Any]) -> Learned:
    """Judge published weights by what their card says of the test."""
    if missing := [name for name in ("clips", "test_metrics", "chance") if name not in card]:
        raise ValueError(
            f"the card of {card.get('name', 'these weights')} does not name {missing[0]}: publish "
            "the weights again"
        )
    n = int(card["clips"]["test"])
    right = round(card["test_metrics"]["accuracy"] * n)
    people = len(card.get("tested_on_actors", ()))
    return Learned(right, n, card["chance"], *evaluation.wilson(right, n), actors=people)
