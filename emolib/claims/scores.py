"""What a full run measures of a printed score, and what the same network gives for new people."""

import json
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from emolib import evaluation
from emolib.claims.verdicts import (
    ENOUGH_RUNS,
    ENOUGH_SEEDS,
    ClaimError,
    Measurement,
    Outcome,
)
from emolib.results import Level, Result

#: Kinds of split whose test people (or pictures) are new to the network.
NEW_PEOPLE = ("actor", "speaker", "session", "corpus", "official")


def outcome(
    published: float, measured: float, interval: tuple[float, float] | None, tolerance: float
) -> Outcome:
    """Compare a measured score with the printed one, above as below.

    Examples
    --------
    >>> outcome(72.0, 71.4, (67.7, 75.0), 0.5)
    'reproduced'
    >>> outcome(62.5, 69.7, (66.0, 73.1), 0.05)
    'exceeded'
    >>> outcome(62.5, 52.0, (47.9, 56.2), 0.05)
    'not reproduced'
    """
    inside = interval is not None and interval[0] <= published <= interval[1]
    if inside or abs(measured - published) <= tolerance:
        return "reproduced"
    return "exceeded" if measured > published else "not reproduced"


def enough(result: Result) -> bool:
    """Whether a result has the runs to settle a claim: the rule is `verdicts.ENOUGH`."""
    every_fold = len(result.split.folds) == result.split.n_folds
    whole = every_fold and len(result.runs) >= ENOUGH_RUNS
    return whole or len(result.seeds) >= ENOUGH_SEEDS


def measurement(result: Result, metric: str, cls: str | None, scale: float = 1.0) -> Measurement:
    """Return a metric of a result, the mean over seeds, of one class if it is named.

    Parameters
    ----------
    metric
        "accuracy", "uar", "macro_f1", "precision", "recall" or "f1"; ``segment_`` in front asks
        for segments. A column of the classes without a class is its mean over them.
    scale
        Brings shares to the claim's unit.

    Raises
    ------
    ClaimError
        If the result has no such metric or class.
    """
    value, interval = _value(result, metric, cls)
    split = result.split
    return Measurement(
        enough=enough(result),
        value=scale * value,
        interval=interval and (scale * interval[0], scale * interval[1]),
        split=split.kind,
        leak=split.allow_leak or "",
        seeds=len(result.seeds),
        folds=len(split.folds),
        n_folds=split.n_folds,
        runs=len(result.runs),
        clips=len(result.pooled()[0]),
        people=len({*result.samples.actors} - {""}),
        result=result.name,
        title=result.title,
    )


def _value(
    result: Result, metric: str, cls: str | None
) -> tuple[float, tuple[float, float] | None]:
    if cls is None and metric in result.summary:
        return result.summary[metric].mean, result.summary[metric].interval
    column, level = metric.removeprefix("segment_"), level_of(metric)
    if cls is not None:
        table = cells(result, level)
        if (cls, column) not in table.index:
            known = ", ".join({f"{metric} of {name}": None for name, metric in table.index})
            raise ClaimError(f"{result.name} has no {column!r} of {cls!r}: {known}")
        row = table.loc[(cls, column)]
        return float(row["value"]), (float(row["low"]), float(row["high"]))
    frames = [result.per_class(seed, level) for seed in result.seeds]
    if column not in frames[0].columns:
        known = ", ".join([*result.summary, *frames[0].columns])
        raise ClaimError(f"{result.name} has no {metric!r}: {known}")
    return float((sum(frames) / len(frames))[column].mean()), None  # the mean over seeds


def level_of(metric: str) -> Level | None:
    """Return the level that a metric asks for; None is that of the result."""
    return "segment" if metric.startswith("segment_") else None


_CELLS: dict[tuple[str, str, Level | None], pd.DataFrame] = {}


def cells(result: Result, level: Level | None = None) -> pd.DataFrame:
    """Return precision, recall and F1 of each class, intervals for all of them together."""
    key = (result.name, result.provenance.date, level)
    if key not in _CELLS:
        pools = [result.pooled(seed, level) for seed in result.seeds]
        _, labels, _, actors = pools[0]
        predicted = np.stack([probabilities.argmax(1) for _, _, probabilities, _ in pools])
        _CELLS[key] = evaluation.per_class_intervals(labels, predicted, result.classes, actors)
    return _CELLS[key]


def for_new_people(result: Result, known: Iterable[Result]) -> Result | None:
    """Return the run of the same network on people whom it has not met, None if there is none.

    It is the result itself if its split keeps people apart; else, of those `known`, the plainest
    full run of the same options on the same corpus and inputs under a split that does.
    """
    if result.split.kind in NEW_PEOPLE and result.split.allow_leak is None:
        return result
    twins = [
        other
        for other in known
        if other.mode == "full"
        and other.split.kind in NEW_PEOPLE
        and other.split.allow_leak is None
        and _built(other) == _built(result)
    ]
    return max(
        twins, key=lambda twin: (twin.recipe == result.recipe, *plainest(twin)), default=None
    )


def _built(result: Result) -> tuple[str, str, str]:
    """Return what two runs of one network share: corpus, modality, options and inputs."""
    # Which pictures are kept apart belongs to the split, and is no other network.
    apart = ("clips_left_out", "without_twins")
    inputs = {name: made for name, made in result.features.items() if name not in apart}
    built = json.dumps([result.model.options, inputs], sort_keys=True)
    return result.corpus, result.modality, built


def plainest(result: Result) -> tuple[int, int, str]:
    """The plainest name ("audio-clip" before "audio-clip-standardised"), most runs, the latest."""
    return -result.experiment.count("-"), len(result.runs), result.provenance.date


def outside(
    printed: Mapping[tuple[str, str], float], measured: pd.DataFrame
) -> list[tuple[str, str]]:
    """Return the cells of a printed table (class, metric) that a run does not bear out.

    A cell is borne out if it lies inside its interval of `cells`, widened by half a unit of the
    second decimal, in which such tables are printed.
    """
    low, high = measured["low"] - 0.005, measured["high"] + 0.005
    return [cell for cell, value in printed.items() if not low[cell] <= value <= high[cell]]
