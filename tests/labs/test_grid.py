"""Grids hold every combination once; a cell is called better only when it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emolib import evaluation, results
from emolib.labs import grid
from emolib.papers import ding, engine
from emolib.papers.experiment import Experiment

CLASSES = ["neutral", "happy", "sad", "angry"]
N, ACTORS, FOLDS = 480, 24, 6
SAMPLES = results.TestClips(
    clip_ids=[f"clip-{i:03d}" for i in range(N)],
    labels=[i % 4 for i in range(N)],
    actors=[f"{i * ACTORS // N:02d}" for i in range(N)],
)
LABELS = np.array(SAMPLES.labels)


def fake_run(key, experiment):
    """Stand in for `engine.run`: predictions as good as the option `quality`, no training."""
    runs = []
    quality, folds = experiment.options["quality"], experiment.folds or range(FOLDS)
    for seed in experiment.seeds:
        for fold in folds:
            rows = np.arange(N)[fold * N // FOLDS : (fold + 1) * N // FOLDS]
            rng = np.random.default_rng([seed, fold, int(1000 * quality)])
            weights = rng.random((len(rows), 4))
            weights[np.arange(len(rows)), LABELS[rows]] += quality
            probabilities = weights / weights.sum(1, keepdims=True)
            judged = evaluation.evaluate(LABELS[rows], probabilities, CLASSES, draws=1)
            runs.append(
                results.Run(
                    seed=seed,
                    fold=fold,
                    metrics={name: getattr(judged, name) for name in results.METRICS},
                    history_summary={"seconds": 1.0},
                    counts={"train": {"n": 320}, "valid": {"n": 80}, "test": {"n": len(rows)}},
                    predictions={"clip": results.Packed.pack(rows, probabilities, 16)},
                )
            )
    return results.Result(
        key=key, experiment="cell", title="cell", mode="full", corpus="ravdess",
        modality="audio", level="clip", classes=CLASSES, n_segments=1,
        split={"name": "", "kind": "actor", "sha256": "", "n_folds": FOLDS, "folds": list(folds)},
        model={"options": {}, "parameters": int(1000 * quality)}, recipe={}, features={},
        provenance=results.provenance(runs, manifest_sha256="", threads=1),
        summary=results.summarise(runs, SAMPLES, CLASSES, "clip", 1),
        samples=SAMPLES, runs=runs,
    )  # fmt: skip


def of(quality, **fields):
    return Experiment("ravdess", "audio", options={"quality": quality}, **fields)


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    monkeypatch.setattr(engine, "run", fake_run)


AXES = st.dictionaries(
    st.sampled_from(["options.kernel", "options.dropout", "data.level", "recipe.lr"]),
    st.lists(st.integers(min_value=1), min_size=1, max_size=3, unique=True),
    max_size=4,
)


@given(AXES)
@settings(max_examples=60, deadline=None)
def test_a_grid_holds_every_combination_once_and_leaves_the_base_alone(axes):
    base = Experiment(
        "ravdess", "audio", options={"hidden": 16, "dropout": 0.4}, recipe=ding.RECIPE
    )
    cells = grid.grid(base, axes)
    assert len(cells) == np.prod([len(values) for values in axes.values()], dtype=int)
    chosen = [tuple(grid._value(cell, name) for name in axes) for cell in cells]
    assert len(set(chosen)) == len(cells)
    assert base.options == {"hidden": 16, "dropout": 0.4}
    for cell in cells:
        assert cell.corpus == "ravdess" and cell.options["hidden"] == 16


def test_a_real_difference_is_found_and_chance_is_not():
    table = grid.run("ding", of(0.30), {"options.quality": [0.301, 0.6, 0.31]})
    assert table["is_base"].tolist() == [True, False, False, False]
    base, same, better, close = table.to_dict("records")
    assert better["difference"] > 0.15 and better["p_holm"] < 0.01
    assert same["p_holm"] > 0.05 and close["p_holm"] > 0.05
    assert np.isnan(base["p"]) and np.isnan(base["p_holm"])
    tested = table["p"].notna()
    np.testing.assert_allclose(
        table.loc[tested, "p_holm"].astype(float), evaluation.holm(table.loc[tested, "p"])
    )
    for row in (base, same, better, close):
        assert row["low"] < row["uar"] < row["high"]
        assert row["parameters"] == int(1000 * row["options.quality"])
    assert [len(r.runs) for r in table.attrs["results"]] == [18] * 4
    assert set(table.loc[tested, "test"]) == {"corrected resampled t"}


def test_a_single_run_is_compared_clip_by_clip():
    table = grid.run("ding", of(0.2, seeds=(0,), folds=(0,)), {"options.quality": [0.9]})
    row = table.iloc[1]
    assert row["test"] == "McNemar, exact"
    first, second = table.attrs["results"]
    _, labels, before, _ = first.pooled()
    expected = evaluation.paired_comparison(labels, before, second.pooled()[2])
    assert row["p"] == expected.mcnemar_p == row["p_holm"]


def test_cells_tested_on_other_clips_are_not_compared():
    table = grid.run("ding", of(0.3, folds=(0, 1)), {"folds": [(2, 3)]})
    assert table["test"].iloc[1] == "none: other test samples"
    assert table["p"].isna().all()


def test_changes_of_the_recipe_start_from_the_papers_own(monkeypatch):
    asked = []
    monkeypatch.setattr(
        engine, "run", lambda key, cell: (asked.append(cell.recipe), fake_run(key, cell))[1]
    )
    table = grid.run("ding", of(0.3), {"recipe.lr": [0.01, 0.1]})
    assert [recipe.lr for recipe in asked] == [ding.RECIPE.lr, 0.01, 0.1]
    assert asked[1].eps == ding.RECIPE.eps
    assert table["recipe.lr"].tolist() == [ding.RECIPE.lr, 0.01, 0.1]
