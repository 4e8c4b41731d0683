"""Lu's data: what is drawn anew in training, what stays as it is, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emolib import models, training
from emolib.papers import lu
from emolib.papers.engine import ExperimentError
from emolib.training import Samples


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def clips(n=3, frames=15, channels=1, side=16, draws=1):
    size = (n, draws, frames, channels, side, side)
    faces = torch.randint(0, 256, size, generator=generator())
    return {"video": faces.to(torch.uint8), "audio": torch.arange(n * 4 * 40.0).view(n, 4, 40, 1)}


def test_outside_training_a_clip_is_its_original_sound_and_all_frames():
    inputs = clips()
    given = lu.prepare(inputs, None, shown=5)
    assert given["video"].shape == (3, 15, 3, 16, 16)
    assert -1 <= given["video"].min() < given["video"].max() <= 1
    np.testing.assert_array_equal(given["audio"], inputs["audio"][:, 0])


def test_training_draws_among_a_clip_s_pictures_and_tests_show_the_first():
    inputs = clips(n=200, frames=2, side=4, draws=3)
    pictures = inputs["video"].float() / 127.5 - 1
    tested = lu.prepare({"video": inputs["video"]}, None)["video"][:, :, 0]
    assert torch.equal(tested, pictures[:, 0, :, 0])
    drawn = lu.prepare({"video": inputs["video"]}, generator(1))["video"][:, :, 0]
    same = (drawn[:, None] == pictures[:, :, :, 0]).flatten(2).all(2)  # (clips, draws)
    assert (same.sum(1) == 1).all(), "all frames of a step are of one picture"
    assert (same.sum(0) > 40).all()


def test_three_equal_channels_of_a_grey_face_take_no_memory():
    assert lu.prepare(clips(), None)["video"].stride(2) == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 15), st.integers(0, 1000))
def test_a_training_step_sees_frames_from_all_of_a_clip_in_order(shown, seed):
    chosen = lu._some(15, shown, generator(seed)).tolist()
    assert len(chosen) == shown
    for position, frame in enumerate(chosen):  # one from each of `shown` equal stretches
        assert position * 15 / shown - 1 < frame < (position + 1) * 15 / shown


def test_in_training_every_kind_of_sound_is_heard_and_only_whole_ones():
    inputs = {"audio": torch.arange(4.0).view(1, 4, 1, 1).expand(400, 4, 40, 1)}
    heard = lu.prepare(inputs, generator())["audio"]
    assert heard.shape == (400, 40, 1)
    assert (heard == heard[:, :1]).all()
    counts = torch.bincount(heard[:, 0, 0].long(), minlength=4)
    assert (counts > 60).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_all_frames_of_a_clip_are_altered_alike(channels):
    """A clip whose frames are equal stays one whose frames are equal."""
    still = torch.rand(4, 1, channels, 16, 16, generator=generator()) * 2 - 1
    altered = lu.alter_faces(
        {"video": still.expand(-1, 6, -1, -1, -1).expand(-1, -1, 3, -1, -1)}, generator(1)
    )["video"]
    assert torch.equal(altered, altered[:, :1].expand_as(altered))
    assert not torch.allclose(altered[:, 0], still.expand(-1, -1, 3, -1, -1)[:, 0], atol=0.05)
    if channels == 1:
        assert torch.equal(altered[:, :, 0], altered[:, :, 2])


def test_clips_are_altered_differently_and_stay_in_range():
    same = (torch.rand(1, 2, 3, 16, 16, generator=generator()) * 2 - 1).expand(5, -1, -1, -1, -1)
    altered = lu.alter_faces({"video": same}, generator())["video"]
    assert altered.min() >= -1
    assert altered.max() <= 1
    for other in altered[1:]:
        assert not torch.allclose(altered[0], other, atol=1e-3)


def test_a_face_is_turned_by_five_degrees_at_most(monkeypatch):
    monkeypatch.setattr(lu, "LIGHT", 0.0)
    bar = -torch.ones(64, 1, 1, 65, 65)
    bar[..., 30:35, :] = 1  # a level bar: its height at the edge tells the angle
    turned = lu.alter_faces({"video": bar}, generator())["video"][:, 0, 0]
    rows = torch.arange(65.0) - 32
    for face in turned:
        weight = (face[:, 60] + 1).clamp(min=0)
        height = float((weight * rows).sum() / weight.sum())
        assert abs(np.degrees(np.arctan2(height, 28))) < 5.5


def test_sound_alone_is_not_touched_by_the_alteration_of_faces():
    inputs = {"audio": torch.zeros(2, 40, 1)}
    assert lu.alter_faces(inputs, generator()) is inputs


def test_a_mean_over_time_becomes_a_sequence_of_one_step():
    assert lu.as_sequence(np.zeros((7, 1, 40))).shape == (7, 40, 1)
    assert lu.as_sequence(np.zeros((7, 40, 90)), 90).shape == (7, 40, 90)
    assert lu.mfcc_recipe().segments == 1
    assert lu.mfcc_recipe(steps=90).frames == 90


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"detector": "viola"}, "unknown detector 'viola': known are haar, mtcnn"),
        ({"sizes": 32}, "unknown option of the data 'sizes': known are size, frames, draws"),
        ({"modality": "text"}, "unknown modality 'text'"),
    ],
)
def test_data_that_are_not_there_are_refused(arguments, message):
    with pytest.raises(ExperimentError, match=message):
        lu.load(**{"corpus": "synthetic", "modality": "both", **arguments})


@pytest.mark.realdata
def test_an_emotion_can_be_omitted_and_an_unknown_one_not(recordings):
    data = lu.load("ravdess", "audio", "quick", root=recordings / "ravdess", omit="happy",
                   progress=False)  # fmt: skip
    assert "happy" not in data.classes
    assert len(data.classes) == 7
    with pytest.raises(ExperimentError, match="unknown emotion to omit 'bored': known are angry"):
        lu.load("ravdess", "audio", "quick", root=recordings / "ravdess", omit="bored")


@pytest.mark.parametrize("name", ["audio", "video"])
def test_a_stream_learns_from_what_the_loader_stores(name):
    stored = clips(8, frames=4, side=32)[name]
    stored = stored / 200 if name == "audio" else stored
    samples = Samples({name: stored}, torch.arange(8) % 2)
    recipe = replace(lu.RECIPE.quick(2), batch_size=4)
    model = models.build("lu", 2, modality=name)
    fit = training.fit(
        model, samples, samples, recipe, prepare=lu.prepare, augment=lu.alter_faces, progress=False
    )
    assert np.isfinite(fit.history["train_loss"]).all()
    assert training.predict(fit.model, samples, prepare=lu.prepare).shape == (8, 2)
