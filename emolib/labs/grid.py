"""Grids of runs: change one thing, keep the rest, and ask whether the change is real.

A cell is an `Experiment`. Axes name the fields that vary, with a dot for what lies inside
``options``, ``data`` or ``recipe``::

    base = Experiment("ravdess", "audio", seeds=(0, 1))
    grid.run("ding", base, {"options.audio_kernel": [3, 5, 7], "options.dropout": [0, 0.4]})

Every cell is compared with the base on the same test clips. Looking at many cells finds a
"significant" one by chance, so the p-values are corrected for their number (Holm).
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from emolib import evaluation, results
from emolib.papers import engine
from emolib.papers.experiment import Experiment


def grid(base: Experiment, axes: Mapping[str, Sequence]) -> list[Experiment]:
    """Return one cell for every combination of the axes' values, laid over `base`.

    Parameters
    ----------
    base
        What all cells share.
    axes
        Name → values; "options.dropout" sets that option. The last axis varies fastest.

    Examples
    --------
    >>> base = Experiment("ravdess", "audio", options={"dropout": 0.4})
    >>> [dict(cell.options) for cell in grid(base, {"options.kernel": [3, 5]})]
    [{'dropout': 0.4, 'kernel': 3}, {'dropout': 0.4, 'kernel': 5}]
    """
    return [
        _laid_over(base, dict(zip(axes, values, strict=True)))
        for values in itertools.product(*axes.values())
    ]


def _laid_over(base: Experiment, changes: Mapping[str, Any]) -> Experiment:
    """Return `base` with dotted changes."""
    for name, value in changes.items():
        outer, dot, inner = name.partition(".")
        if outer == "recipe" and base.recipe:
            base = replace(base, recipe=replace(base.recipe, **{inner: value}))
        else:
            base = base.changed(**{outer: {inner: value} if dot else value})
    return base


def run(
    key: str, base: Experiment, axes: Mapping[str, Sequence], *, metric: str = "uar", **options: Any
) -> pd.DataFrame:
    """Run the base and every cell of the grid, and compare each cell with the base.

    Finished runs are kept by `engine.run`, so a grid that was interrupted, or that
    overlaps with an earlier one, computes only what is missing.

    Parameters
    ----------
    key
        The paper.
    base
        The cell that the others are compared with.
    axes
        As for `grid`; "recipe.lr" changes the paper's own recipe if the base has none.
    metric
        "accuracy", "uar" or "macro_f1".
    options
        Further arguments of `engine.run` for all cells (``n_jobs``, ``mode``, …).

    Returns
    -------
    DataFrame
        The base first (``is_base``), then one row a cell: the axes' values; `metric` with
        ``low``, ``high`` (95 %, by actor), ``sd`` over seeds and ``parameters``; ``difference``
        from the base, ``p`` of the corrected resampled t-test over folds and seeds (exact
        McNemar on the first seed if there is one run only), named by ``test``, and
        ``p_holm``. ``attrs["results"]`` holds the results in the same order.
    """
    base = replace(base, recipe=base.recipe or engine.paper(key).RECIPE)
    stored = [engine.run(key, cell, **options) for cell in (base, *grid(base, axes))]
    values = [[_value(base, name) for name in axes], *itertools.product(*axes.values())]
    named = [dict(zip(axes, row, strict=True)) for row in values]
    first = {"is_base": True} | _row(named[0], stored[0], metric)
    others = _beside(stored[0], zip(named[1:], stored[1:], strict=True), metric)
    table = pd.concat([pd.DataFrame([first]), others.assign(is_base=False)], ignore_index=True)
    table.attrs["results"] = stored
    return table


def _value(cell: Experiment, name: str) -> Any:
    """Return what a cell says of an axis; None is the network's own value."""
    outer, dot, inner = name.partition(".")
    value = getattr(cell, outer)
    if not dot:
        return value
    return value.get(inner) if isinstance(value, Mapping) else getattr(value, inner)


def _beside(
    reference: results.Result, rows: Iterable[tuple[Mapping, results.Result]], metric: str
) -> pd.DataFrame:
    """Return one row for each of named results, compared with the reference."""
    table = pd.DataFrame(
        [_row(values, one, metric) | _compared(reference, one, metric) for values, one in rows]
    )
    return table.assign(p_holm=evaluation.holm(table["p"]))


def _row(values: Mapping[str, Any], result: results.Result, metric: str) -> dict[str, Any]:
    summary = result.summary[metric]
    return {
        **values,
        metric: summary.mean,
        "low": summary.interval[0],
        "high": summary.interval[1],
        "sd": summary.sd,
        "parameters": result.model.parameters,
    }


def _compared(reference: results.Result, result: results.Result, metric: str) -> dict[str, Any]:
    """Compare a cell with the base where both were tested on the same samples."""
    difference = result.summary[metric].mean - reference.summary[metric].mean
    if _tested_on(reference) != _tested_on(result):
        return {"difference": difference, "p": np.nan, "test": "none: other test samples"}
    pairs = [
        (first, second)
        for first in reference.runs
        for second in result.runs
        if (first.seed, first.fold) == (second.seed, second.fold)
    ]
    if len(pairs) > 1:
        differences = [second.metrics[metric] - first.metrics[metric] for first, second in pairs]
        counts = pairs[0][0].counts
        _, p = evaluation.corrected_t_test(differences, counts["train"]["n"], counts["test"]["n"])
        return {"difference": difference, "p": p, "test": "corrected resampled t"}
    _, labels, first, _ = reference.pooled()
    _, _, second, _ = result.pooled()
    compared = evaluation.paired_comparison(labels, first, second)
    return {"difference": difference, "p": compared.mcnemar_p, "test": "McNemar, exact"}


def stored(key: str, experiments: Mapping[Any, str]) -> dict[Any, results.Result]:
    """Return those of some experiments of a paper (name → experiment) that have been made."""
    made = {name: one for name, one in experiments.items() if results.path(key, one).exists()}
    return {name: results.load(key, one) for name, one in made.items()}


def _tested_on(result: results.Result) -> tuple:
    """Return what two results must share to be compared sample by sample."""
    where = [(run.seed, run.fold, tuple(np.asarray(run.rows(result.level)))) for run in result.runs]
    return result.level, tuple(result.samples.clip_ids), tuple(sorted(where))


def compare(
    reference: results.Result, others: Mapping[Any, results.Result], *, metric: str = "uar"
) -> pd.DataFrame:
    """Compare stored results with a reference, as `run` compares the cells of a grid.

    Parameters
    ----------
    reference
        The result that the others are compared with.
    others
        Name → result.
    metric
        "accuracy", "uar" or "macro_f1".

    Returns
    -------
    DataFrame
        One row for each of `others`: ``name``, `metric` and its interval, ``difference`` from
        the reference, ``p`` and the ``test`` it comes from, and ``p_holm``.
    """
    return _beside(reference, (({"name": name}, one) for name, one in others.items()), metric)
