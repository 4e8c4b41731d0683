"""Grids of runs: change one thing, keep the rest, and ask whether the change is real.

A cell is a set of arguments of `emolib.papers.run`. Axes name what varies, with a dot for
what lies inside ``options``, ``recipe`` or ``data``::

    base = {"corpus": "ravdess", "split": "actor", "modality": "audio", "seeds": (0, 1)}
    ablation.run("ding", base, {"options.audio_kernel": [3, 5, 7], "options.dropout": [0, 0.4]})

Every cell is compared with the base on the same test clips. Looking at many cells finds a
"significant" one by chance, so the p-values are corrected for their number (Holm).
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from emolib import evaluation, results
from emolib.papers import engine


def grid(base: Mapping[str, Any], axes: Mapping[str, Sequence]) -> list[dict[str, Any]]:
    """Return one cell for every combination of the axes' values, laid over `base`.

    Parameters
    ----------
    base
        What all cells share.
    axes
        Name → values; "options.dropout" sets ``cell["options"]["dropout"]``. The last axis
        varies fastest.

    Examples
    --------
    >>> grid({"options": {"dropout": 0.4}}, {"options.kernel": [3, 5]})
    [{'options': {'dropout': 0.4, 'kernel': 3}}, {'options': {'dropout': 0.4, 'kernel': 5}}]
    """
    return [
        _laid_over(base, dict(zip(axes, values, strict=True)))
        for values in itertools.product(*axes.values())
    ]


def _laid_over(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of `base` with dotted changes."""
    cell = dict(base)
    for name, value in changes.items():
        outer, dot, inner = name.partition(".")
        cell[outer] = {**(cell.get(outer) or {}), inner: value} if dot else value
    return cell


def run(
    key: str,
    base: Mapping[str, Any],
    axes: Mapping[str, Sequence],
    *,
    metric: str = "uar",
    **options: Any,
) -> pd.DataFrame:
    """Run the base and every cell of the grid, and compare each cell with the base.

    Finished runs are kept by `engine.run`, so a grid that was interrupted, or that
    overlaps with an earlier one, computes only what is missing.

    Parameters
    ----------
    key
        The paper.
    base
        Arguments of `engine.run`: the cell that the others are compared with. ``recipe``
        may be a mapping of changes to the paper's recipe.
    axes
        As for `grid`.
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
    cells = grid(base, axes)
    reference = _run_cell(key, base, options)
    made = [_run_cell(key, cell, options) for cell in cells]
    rows = [_row({name: _value(base, name) for name in axes}, reference, metric)]
    for values, result in zip(itertools.product(*axes.values()), made, strict=True):
        row = _row(dict(zip(axes, values, strict=True)), result, metric)
        rows.append(row | _compared(reference, result, metric))
    table = pd.DataFrame(rows)
    table.insert(0, "is_base", [True] + [False] * len(made))
    tested = table["p"].notna() if "p" in table else pd.Series(False, index=table.index)
    if tested.any():
        table.loc[tested, "p_holm"] = evaluation.holm(table.loc[tested, "p"])
    table.attrs["results"] = [reference, *made]
    return table


def _run_cell(key: str, cell: Mapping[str, Any], options: Mapping[str, Any]) -> results.Result:
    arguments = {**cell, **options}
    if isinstance(arguments.get("recipe"), Mapping):
        arguments["recipe"] = replace(engine.paper(key).RECIPE, **arguments["recipe"])
    return engine.run(key, **arguments)


def _value(cell: Mapping[str, Any], name: str) -> Any:
    """Return what a cell says of an axis; None means the paper's own value."""
    outer, dot, inner = name.partition(".")
    value = cell.get(outer)
    return (value or {}).get(inner) if dot else value


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
        return {"difference": difference, "test": "none: other test samples"}
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


def _tested_on(result: results.Result) -> tuple:
    """Return what two results must share to be compared sample by sample."""
    where = [(run.seed, run.fold, tuple(np.asarray(run.rows(result.level)))) for run in result.runs]
    return result.level, tuple(result.samples.clip_ids), tuple(sorted(where))


def compare(
    reference: results.Result, others: Mapping[str, results.Result], *, metric: str = "uar"
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
    rows = [
        _row({"name": name}, result, metric) | _compared(reference, result, metric)
        for name, result in others.items()
    ]
    table = pd.DataFrame(rows)
    tested = table["p"].notna() if "p" in table else pd.Series(False, index=table.index)
    if tested.any():
        table.loc[tested, "p_holm"] = evaluation.holm(table.loc[tested, "p"])
    return table
