"""Mostafa's samples, augmentations and full runs."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from emolib import corpora, models
from emolib.corpora import CorpusError, splits
from emolib.papers import augment, mostafa
from emolib.papers.engine import ExperimentError
from emolib.papers.mostafa import AUGMENTATIONS, FULL


def batch(name, n=6):
    generator = torch.Generator().manual_seed(3)
    shape = (n, 1, 48, 48) if name == "video" else (n, 1, 64, 94)
    return torch.rand(shape, generator=generator) * 2 - 1


@pytest.mark.parametrize("change", AUGMENTATIONS)
def test_an_augmentation_keeps_shape_and_range_and_follows_its_seed(change):
    name, function = AUGMENTATIONS[change]
    values = batch(name)
    first, again, other = (
        function(values.clone(), torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert first.shape == values.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.abs().max() <= 1 + 1e-5


def test_flipping_mirrors_whole_faces_or_leaves_them():
    faces = batch("video", 40)
    flipped = augment.mirror(faces, torch.Generator().manual_seed(0))
    kinds = [
        "same" if torch.equal(after, before) else "mirror"
        for before, after in zip(faces, flipped, strict=True)
        if torch.equal(after, before) or torch.equal(after, before.flip(-1))
    ]
    assert len(kinds) == 40
    assert set(kinds) == {"same", "mirror"}


def test_faces_lie_in_minus_one_to_one_as_in_the_paper():
    ends = augment.faces_to_input(torch.tensor([0, 255], dtype=torch.uint8))
    assert ends.tolist() == [-1.0, 1.0]


def test_the_gain_of_a_microphone_does_not_count_unless_asked_for():
    decibels = batch("audio") * 30
    assert torch.allclose(
        mostafa.decibels_to_input(decibels), mostafa.decibels_to_input(decibels + 12), atol=1e-5
    )
    absolute = mostafa.decibels_to_input(decibels, "absolute")
    assert not torch.allclose(absolute, mostafa.decibels_to_input(decibels + 12, "absolute"))


@pytest.mark.realdata
def test_films_that_are_not_in_the_folder_are_missed_with_what_is(recordings):
    with pytest.raises(CorpusError, match="no audiovisual speech clip, only audio speech"):
        mostafa.load("ravdess", "video", root=recordings / "ravdess")


@pytest.mark.realdata
@pytest.mark.parametrize("options", [{"share": 0.5}, {"without_twins": True}])
def test_options_of_official_parts_need_a_corpus_that_has_them(options, recordings):
    with pytest.raises(ExperimentError, match="ravdess has no official training part"):
        mostafa.load("ravdess", "audio", "quick", **options)


def test_an_unknown_augmentation_or_share_is_refused():
    with pytest.raises(ExperimentError, match="unknown augmentation"):
        mostafa.load("fer2013", "video", augmentation=("blur",))
    with pytest.raises(ExperimentError, match="share=2"):
        mostafa.load("fer2013", "video", share=2)


def test_a_voice_is_drawn_among_its_versions_in_training_and_is_itself_in_the_test():
    ready = mostafa.prepare
    sounds = {"audio": torch.randn(64, 5, 64, 94)}
    tested = ready(sounds, None)["audio"]
    assert tested.shape == (64, 1, 64, 94)
    assert torch.equal(tested, mostafa.decibels_to_input(sounds["audio"][:, :1]))
    trained = ready(sounds, torch.Generator().manual_seed(0))["audio"]
    same = [torch.equal(one, other) for one, other in zip(trained, tested, strict=True)]
    assert 0 < sum(same) < 32  # about one in five


def test_every_full_run_but_those_of_table_3_is_within_the_papers_budget():
    for name, run in FULL.items():
        if run.options.get("design") in ("vgg13", "resnet50"):
            continue
        classes = 7 if run.corpus == "fer2013" else 8
        model = models.build("mostafa", classes, modality=run.modality, **run.options)
        assert sum(p.numel() for p in model.parameters()) <= 1.2e6, name


def test_the_steps_differ_in_one_thing_at_a_time():
    steps = [FULL[f"fer-step-{number}"] for number in range(6)]
    assert len({step.recipe.max_epochs for step in steps}) == 1
    assert len({step.data["share"] for step in steps}) == 1
    for before, after in itertools.pairwise(steps):
        changed = [
            before.options != after.options,
            before.data["augmentation"] != after.data["augmentation"],
            before.recipe != after.recipe,
        ]
        assert sum(changed) == 1


@pytest.mark.realdata
def test_training_pictures_that_look_like_test_pictures_are_left_out(recordings):
    data = mostafa.load("fer2013", "video", "full", without_twins=True, share=0.05)
    assert data.features["clips_left_out"] > 0
    split = splits.make("official", data.manifest, n_segments=1)
    assert split.check(data.manifest, images=data.images).counts["image"] == 0
    emotions = data.manifest[data.manifest["usage"] == "Training"]["emotion"]
    assert set(emotions) == set(corpora.classes("fer2013"))
    assert data.samples.inputs["video"].shape[1:] == (1, 48, 48)
    row = int(data.manifest["row"].iloc[5])
    from emolib.corpora import fer2013

    assert np.array_equal(data.samples.inputs["video"][5, 0], fer2013.images()[row])


@pytest.mark.realdata
def test_ten_raters_often_disagree_with_the_label(recordings):
    from emolib.labs import label_noise

    table = label_noise.table()
    assert table["pictures"].iloc[0] == table["pictures"].iloc[1:].sum()
    shares = table[["label is majority", "votes for the label", "without majority"]]
    assert shares.apply(pd.to_numeric).to_numpy().min() >= 0
    assert 0.5 < table["label is majority"].iloc[0] < 0.95
