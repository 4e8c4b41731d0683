"""What the loaders of all papers share."""

import numpy as np
import pandas as pd
import pytest
import torch

from emolib.papers import engine, streams
from emolib.papers.engine import ExperimentError

MANIFEST = pd.DataFrame(
    {
        "clip_id": ["c", "a", "b"],
        "statement": ["01", "01", "02"],
        "repetition": ["01", "02", "01"],
        "emotion": ["sad", "happy", "sad"],
    }
)


def test_an_unknown_choice_is_refused_with_what_is_known():
    streams.choose("fruit", "fig", ("fig", "plum"))
    with pytest.raises(ExperimentError, match="unknown fruit 'nut': known are fig, plum"):
        streams.choose("fruit", "nut", ("fig", "plum"))


def test_a_quick_run_takes_one_statement_and_repetition():
    assert streams.quarter(MANIFEST)["clip_id"].tolist() == ["c"]


def test_a_clip_counts_only_with_every_modality_and_keeps_its_place():
    manifest, left_out = streams.complete(MANIFEST, [["a", "b", "c"], ["c", "b"]])
    assert manifest["clip_id"].tolist() == ["c", "b"]
    assert left_out == 1
    values = streams.aligned(["a", "b", "c"], np.array([1, 2, 3]), manifest)
    assert values.tolist() == [3, 2]


def test_a_clip_without_values_is_named_and_gets_none_of_another_clip():
    with pytest.raises(ValueError, match="no values for clip b"):
        streams.aligned(["a", "c"], np.array([1, 3]), MANIFEST)


def test_training_draws_among_versions_and_tests_see_the_original():
    values = torch.arange(5).repeat(2000, 1)[..., None]  # (B, versions, 1)
    assert streams.one_version(values, None).unique().tolist() == [0]
    drawn = streams.one_version(values, torch.Generator().manual_seed(0))
    assert drawn.shape == (2000, 1)
    shares = torch.bincount(drawn.flatten(), minlength=5) / 2000
    assert (shares - 0.2).abs().max() < 0.05


def test_changes_are_made_in_order_and_only_to_inputs_that_are_there():
    changes = [
        ("audio", lambda x, _: x + 1),
        ("video", lambda x, _: x * 0),
        ("audio", lambda x, _: x * 2),
    ]
    given = {"audio": torch.ones(3)}
    changed = streams.augmenter(changes)(given, torch.Generator())
    assert set(changed) == {"audio"}
    assert changed["audio"].tolist() == [4.0] * 3
    assert given["audio"].tolist() == [1.0] * 3
    assert streams.augmenter([]) is None


def test_classes_are_in_the_corpus_order_and_only_those_that_occur():
    names, labels = streams.classes("ravdess", MANIFEST)
    assert names == ("happy", "sad")
    assert labels.tolist() == [1, 0, 1]


def test_comments_and_docstrings_do_not_make_a_run_another_one(tmp_path):
    texts = (
        '"""One."""\ndef double(x):\n    """Twice."""\n    return 2 * x  # two\n',
        '"""Two."""\n\n\ndef double(x):\n    return 2 * x\n',
        'def double(x):\n    """Twice."""\n    return 3 * x\n',
    )
    one, same, other = (tmp_path / f"{i}.py" for i in range(3))
    for file, text in zip((one, same, other), texts, strict=True):
        file.write_text(text)
    code = engine._code
    assert code(one) == code(same) != code(other)
