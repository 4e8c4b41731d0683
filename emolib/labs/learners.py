"""Learners that are trained in seconds, on a few numbers per clip: none is a paper's method.

`Plain` trains them the way `emolib.papers.engine` trains a paper's network, so that their results
are results like any other. Settings were fixed beforehand: no split was looked at to choose them.
"""

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from emolib import evaluation, results
from emolib.papers import engine
from emolib.papers.engine import Answers, Dataset
from emolib.papers.experiment import choose

FUSIONS = ("early", "arithmetic", "geometric")


def loader(known: Mapping[str, Callable[..., Dataset]]) -> Callable[..., Dataset]:
    """Return a lab's ``load``, which makes the samples of one of the `known` inputs.

    Its option ``inputs`` names them, "numbers" by default; all others are those of their function.
    It raises `ExperimentError` if there are no such inputs, or they have no such option or corpus.
    """

    def load(corpus: str, modality: str, mode: str = "full", *, inputs: str = "numbers", **options):
        choose("inputs", inputs, known)
        engine.refuse_unknown("data option", options, known[inputs])
        return known[inputs](corpus, modality, mode, **options)

    return load


@dataclass(frozen=True)
class Classifier:
    """A classifier that is trained in seconds.

    Attributes
    ----------
    name
        As it is called in a title.
    make
        Seed → an unfitted scikit-learn classifier.
    size
        Fitted → how many numbers it stores.
    recipe
        What it is, for the result.
    """

    name: str
    make: Callable[[int], ClassifierMixin]
    size: Callable[[Any], int]
    recipe: Mapping[str, Any]


LEARNERS: Mapping[str, Classifier] = {
    "neighbour": Classifier(
        "Nearest neighbour",
        lambda seed: KNeighborsClassifier(1),
        lambda model: model.n_samples_fit_ * model.n_features_in_,
        {"classifier": "nearest neighbour, Euclidean"},
    ),
    "svm": Classifier(
        "SVM",
        lambda seed: SVC(C=10, gamma="scale"),
        lambda model: model.support_vectors_.size + model.dual_coef_.size,
        {"classifier": "SVM, RBF kernel", "C": 10, "gamma": "scale"},
    ),
    "mlp": Classifier(
        "MLP",
        lambda seed: MLPClassifier((64,), alpha=0.01, max_iter=200, random_state=seed),
        lambda model: sum(weights.size for weights in (*model.coefs_, *model.intercepts_)),
        {"classifier": "MLP, 64 hidden units", "alpha": 0.01, "epochs": 200},
    ),
}


@dataclass(frozen=True)
class Fitted:
    """A fitted learner and the temperature that makes its scores probabilities."""

    model: Pipeline
    temperature: float
    n_classes: int

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """Return probabilities (N, n_classes) for numbers (N, k)."""
        return softmax(_scores(self.model, x, self.n_classes) / self.temperature, axis=1)


def fit(learner: str, x: np.ndarray, labels: np.ndarray, rows: Mapping, n_classes: int, seed=0):
    """Fit on train, choose the temperature on valid, then fit again on both.

    The temperature turns scores into probabilities that can be averaged over modalities; it
    never changes an answer.

    Parameters
    ----------
    learner
        One of `LEARNERS`.
    x, labels
        Numbers (N, k) and class numbers (N,) of all samples.
    rows
        Sample numbers of "train" and "valid".

    Returns
    -------
    Fitted
    """
    train, valid = rows["train"], rows["valid"]
    scores = _scores(_pipeline(learner, seed, x[train], labels[train]), x[valid], n_classes)
    both = np.concatenate([train, valid])
    model = _pipeline(learner, seed, x[both], labels[both])
    return Fitted(model, _temperature(scores, labels[valid]), n_classes)


def _pipeline(learner: str, seed: int, x: np.ndarray, labels: np.ndarray) -> Pipeline:
    model = make_pipeline(StandardScaler(), LEARNERS[learner].make(seed))
    with warnings.catch_warnings():
        # To stop after so many passes is the recipe, not an accident.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x, labels)


def _scores(model: Pipeline, x: np.ndarray, n_classes: int) -> np.ndarray:
    """Return scores (N, n_classes); a class that was never seen gets the lowest."""
    if hasattr(model, "decision_function"):
        known = model.decision_function(x)
    else:
        known = np.log(np.clip(model.predict_proba(x), 1e-6, 1))
    scores = np.full((len(x), n_classes), known.min() - 1.0)
    scores[:, model.classes_] = known
    return scores


def _temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the T for which softmax(scores / T) gives the labels the most probability."""

    def loss(log_t: float) -> float:
        logs = log_softmax(scores / np.exp(log_t), axis=1)
        return -logs[np.arange(len(labels)), labels].mean()

    return float(np.exp(minimize_scalar(loss, bounds=(-4, 4), method="bounded").x))


@dataclass(frozen=True)
class Plain:
    """A learner as `engine.run` trains it.

    Parameters
    ----------
    learner
        One of `LEARNERS`.
    modality
        Of the experiment.
    fusion
        Of several modalities: "early" joins their numbers, "arithmetic" and "geometric" are the
        means of the probabilities of one learner each (Lu's eq. 7 and 8).
    """

    learner: str
    modality: str
    fusion: str = "early"

    files = (Path(__file__),)

    @property
    def name(self) -> str:
        """The learner, as a title begins."""
        return LEARNERS[self.learner].name

    @property
    def note(self) -> str:
        """The fusion, where there is one."""
        return f"{self.fusion} fusion" if self.modality == "both" else ""

    @property
    def options(self) -> dict[str, str]:
        """Learner and fusion."""
        return {"learner": self.learner, "fusion": self.fusion}

    @property
    def recipe(self) -> dict[str, Any]:
        """What the learner is."""
        return {**LEARNERS[self.learner].recipe, "standardised": "with the training rows"}

    def check(self) -> None:
        """Refuse an unknown learner or fusion."""
        choose("learner", self.learner, LEARNERS)
        choose("fusion", self.fusion, FUSIONS)

    def inputs(self, dataset: Dataset) -> list[np.ndarray]:
        """Return the numbers of each learner: all in one, or those of each modality (N, k)."""
        values = [flat(one) for one in dataset.samples.inputs.values()]
        return [np.concatenate(values, axis=1)] if self.fusion == "early" else values

    def answer(self, dataset: Dataset, rows: Mapping, seed: int, file: Path, bar: bool) -> Answers:
        """Train one learner, or one for each modality, and fuse their probabilities."""
        started = time.perf_counter()
        labels, n_classes = dataset.samples.labels.numpy(), len(dataset.classes)
        inputs = self.inputs(dataset)
        fitted = [fit(self.learner, x, labels, rows, n_classes, seed) for x in inputs]
        each = [one.probabilities(x[rows["test"]]) for one, x in zip(fitted, inputs, strict=True)]
        probabilities = each[0] if len(each) == 1 else evaluation.fuse(each, self.fusion)
        summary = {
            "temperature": float(np.mean([one.temperature for one in fitted])),
            "numbers": sum(LEARNERS[self.learner].size(one.model[-1]) for one in fitted),
            "seconds": round(time.perf_counter() - started, 2),
        }
        return Answers(probabilities, summary)

    def describe(self, dataset: Dataset, runs: list[results.Run]) -> results.ModelUsed:
        """Return the options, the widths of the inputs, and how many numbers the first stores."""
        widths = [x.shape[1] for x in self.inputs(dataset)]
        return results.ModelUsed(
            options=self.options | {"inputs": widths},
            parameters=int(runs[0].history_summary["numbers"]),
        )


def flat(values: torch.Tensor) -> np.ndarray:
    """Return one row of numbers a sample, in double precision."""
    return values.flatten(1).double().numpy()
