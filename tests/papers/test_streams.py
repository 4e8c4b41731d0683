"""What the loaders of all papers share."""

import inspect
from itertools import product

import numpy as np
import pandas as pd
import pytest

from emolib.corpora import manifest as manifests
from emolib.papers import engine, ishtiaq, streams
from emolib.papers.experiment import ExperimentError
from emolib.papers.streams import Request

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


def recordings(**columns) -> pd.DataFrame:
    """Every combination of the columns' values as a clip."""
    rows = [dict(zip(columns, values, strict=True)) for values in product(*columns.values())]
    common = {"path": "", "corpus": "ravdess", "modality": "audio"}
    return manifests.build(common | row | {"clip_id": str(i)} for i, row in enumerate(rows))


RAVDESS = recordings(
    actor=("01", "02"), emotion=("happy", "sad"), intensity=("normal", "strong"),
    statement=("01", "02"), repetition=("01", "02"),
)  # fmt: skip


def test_a_quick_run_takes_one_statement_and_repetition_of_ravdess():
    few = streams.fewer(RAVDESS, 4)
    assert len(few) == len(RAVDESS) / 4
    assert set(few["statement"]) == set(few["repetition"]) == {"01"}
    assert set(few["intensity"]) == {"normal", "strong"}


def test_words_are_learnt_from_more_than_one_sentence_in_a_quick_run_too():
    few = ishtiaq.declare(Request("ravdess", "text", "quick")).quick(RAVDESS, 4)
    assert len(few) == len(RAVDESS) / 4
    assert set(few["statement"]) == {"01", "02"}
    assert set(few["intensity"]) == {"normal"}


@pytest.mark.parametrize("one_in", [1, 3, 12])
@pytest.mark.parametrize(
    "clips",
    [
        recordings(
            actor=("1001", "1002"), emotion=("happy", "sad"), statement=tuple("ABCDEFGHIJKL")
        ),
        recordings(actor=("a", "b"), emotion=("happy", "sad"), session=tuple("123456789abc")),
        recordings(
            emotion=("happy", "sad"), usage=("Training", "PublicTest"), row=tuple(range(24))
        ),
    ],
    ids=["other statements", "free speech", "pictures"],
)
def test_a_quick_run_of_any_corpus_keeps_every_actor_emotion_and_part(clips, one_in):
    few = streams.fewer(clips, one_in)
    assert len(few) == len(clips) / one_in
    kinds = ["actor", "emotion", "usage"]
    assert set(map(tuple, few[kinds].to_numpy())) == set(map(tuple, clips[kinds].to_numpy()))


def test_the_signature_of_a_loader_has_the_options_of_its_paper():
    parameters = inspect.signature(ishtiaq.load).parameters
    assert list(parameters)[:3] == ["corpus", "modality", "mode"]
    assert {"root", "level", "statements"} <= set(parameters)
    assert not {"declare", "request", "options"} & set(parameters)


def test_an_unknown_mode_is_refused_before_any_clip_is_read():
    with pytest.raises(ExperimentError, match="unknown mode 'Full': known are quick, full"):
        ishtiaq.load("synthetic", "audio", "Full")


def test_a_clip_counts_only_with_every_modality_and_keeps_its_place():
    manifest, left_out = streams.complete(MANIFEST, [["a", "b", "c"], ["c", "b"]])
    assert manifest["clip_id"].tolist() == ["c", "b"]
    assert left_out == 1
    values = streams.aligned(["a", "b", "c"], np.array([1, 2, 3]), manifest)
    assert values.tolist() == [3, 2]


def test_a_clip_without_values_is_named_and_gets_none_of_another_clip():
    with pytest.raises(ValueError, match="no values for clip b"):
        streams.aligned(["a", "c"], np.array([1, 3]), MANIFEST)


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
