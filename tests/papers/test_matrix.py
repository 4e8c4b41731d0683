"""Every paper on every corpus: each modality trains, or the corpus has no such medium."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from emolib import corpora, paths
from emolib.corpora import CorpusError
from emolib.errors import EmolibError
from emolib.media import MEDIA, MODALITIES
from emolib.papers import engine, streams
from emolib.papers.experiment import Experiment
from emolib.registry import PAPERS

#: What a corpus has not got, for ever; everything else must train.
LACKS = {
    "savee": {"text"},
    "mead": {"text"},
    "fer2013": {"audio", "text"},
    "ckplus": {"audio", "text"},
    "table": {"text"},
}
#: Ordinary MFCC, for those of a fractional order take seconds a clip; few faces, for the same.
DATA = {"yang": {"order": 1.0, "frames": 2}, "lu": {"frames": 3, "shown": 2}}
SPLIT = {"fer2013": "official"}


def trained(key, corpus, modality, *, data=(), split=None):
    """Train for one epoch on one fold, and return the result."""
    options = {"n_jobs": 1, "progress": False, **DATA.get(key, {}), **dict(data)}
    if corpus == "table":  # a reader names the folder
        options["root"] = str(paths.recordings() / "table")
    experiment = Experiment(
        corpus, modality, split=split or SPLIT.get(corpus, "actor"), seeds=(0,), folds=(0,),
        data=options, allow_leak=split,
    )  # fmt: skip
    recipe = engine.learner(key, experiment, "quick").training
    short = experiment.changed(recipe=replace(recipe, max_epochs=1))
    return engine.run(key, short, progress=False)


def answers(result):
    return result.pooled()[2]


@pytest.mark.parametrize("corpus", corpora.CORPORA)
@pytest.mark.parametrize("key", PAPERS)
def test_a_paper_trains_on_a_corpus_or_names_the_medium_it_lacks(key, corpus, every_corpus):
    for modality in PAPERS[key].modalities:
        lacking = LACKS.get(corpus, set()) & set(MODALITIES[modality])
        if lacking:
            words = "|".join(MEDIA[medium] for medium in lacking)
            with pytest.raises(CorpusError, match=f"has no ({words}): it has "):
                trained(key, corpus, modality)
            continue
        result = trained(key, corpus, modality)
        assert result.classes == ["happy", "sad"], modality
        assert result.features.get("clips_left_out") == result.features["problems"] == 0, modality
        assert answers(result).shape[1] == 2, modality
        assert np.isfinite(answers(result)).all(), modality


@pytest.mark.parametrize("key", PAPERS)
def test_the_registry_names_the_media_that_a_paper_declares(key):
    declared = engine.paper(key).declare(streams.Request("ravdess", "audio"))
    assert set(PAPERS[key].media) == set(declared.streams)


#: Corpus, modality and what is asked of the corpus; then the title's words and the files' kind.
ASKED = [
    ("ravdess", "audio", {"files": "audio"}, "RAVDESS speech, files audio", "03-"),
    ("ravdess", "audio", {"files": "audiovisual"}, "files audiovisual", "01-"),
    ("ravdess", "both", {"files": "video"}, "files video", "02-"),
    ("ravdess", "both", {"channel": "song"}, "RAVDESS song", "01-02-"),
    ("ravdess", "audio", {"channel": None}, "RAVDESS speech and song", "03-"),
    ("cremad", "audio", {"labels": "crowd"}, "labels crowd", ""),
    ("cremad", "both", {"labels": "crowd"}, "labels crowd", ""),
    ("cremad", "video", {"labels": "crowd", "raters": "face"}, "raters face", ""),
    ("savee", "audio", {"files": "audiovisual"}, "files audiovisual", ""),
    ("mead", "video", {"view": "left_30"}, "view left_30", ""),
    ("mead", "both", {"intensity": "level_1"}, "intensity level_1", ""),
    ("fer2013", "video", {"labels": "ferplus"}, "labels ferplus", ""),
]


@pytest.mark.parametrize(("corpus", "modality", "asked", "title", "begins"), ASKED)
def test_what_is_asked_of_a_corpus_is_what_is_trained_on(
    corpus, modality, asked, title, begins, every_corpus
):
    result = trained("mostafa", corpus, modality, data=asked)
    assert title in result.title
    assert result.features["asked"] == asked
    assert all(clip.startswith(begins) for clip in result.samples.clip_ids)


def test_views_and_labels_change_what_is_loaded(every_corpus):
    load = partial(engine.paper("mostafa").load, n_jobs=1, progress=False)
    front, side = (load("mead", "video", view=view) for view in ("front", "left_30"))
    assert front.manifest["twin"].tolist() == side.manifest["twin"].tolist()
    assert not torch.equal(front.samples.inputs["video"], side.samples.inputs["video"])
    meant, voted = (load("cremad", "audio", labels=labels) for labels in ("intended", "crowd"))
    votes = voted.manifest.set_index("clip_id")["emotion"]
    assert (votes != meant.manifest.set_index("clip_id")["emotion"].loc[votes.index]).any()


@pytest.mark.parametrize(
    ("corpus", "asked", "known"),
    [
        ("cremad", {"view": "front"}, "known are .*files, labels, raters"),
        ("mead", {"view": "back"}, "unknown view 'back': known are front"),
        ("ravdess", {"channel": "hum"}, "unknown channel 'hum': known are speech, song"),
        ("cremad", {"labels": "mine"}, "unknown labels 'mine': known are intended, crowd"),
        ("cremad", {"raters": "face"}, "give labels='crowd' too"),
        ("savee", {"files": "video"}, None),
    ],
)
def test_what_a_corpus_cannot_be_asked_is_refused_with_what_it_can(
    corpus, asked, known, every_corpus
):
    with pytest.raises(EmolibError, match=known):
        trained("mostafa", corpus, "both", data=asked)


def test_a_picture_is_shown_as_often_as_the_network_wants_frames(every_corpus):
    load = partial(engine.paper("ishtiaq").load, progress=False)
    posed, found = load("ckplus", "video"), load("fer2013", "video")
    shown = posed.samples.inputs["video"]
    assert shown.shape == (18, 1, 3, 1, 48, 48)
    assert torch.equal(shown[:, 0, 0], shown[:, 0, 2])
    assert found.images.shape == (80, 1), "whose faces these are is not known: look-alikes count"
    assert posed.images is None, "whose faces these are is known"


def test_a_paired_clip_is_one_picture_that_moves_and_training_may_draw_another(every_corpus):
    data = engine.paper("lu").load("paired", "video", draws=2, progress=False)
    shown = data.samples.inputs["video"].float()
    assert shown.shape[1:] == (2, 15, 1, 48, 48)
    assert data.images.shape == shown.shape[:2], "what training may draw counts as shown"
    assert not torch.equal(shown[:, 0, 0], shown[:, 0, 1])
