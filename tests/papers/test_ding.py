"""Ding's data: segments, altered twins, and what is refused."""

import pytest
import torch

from emolib import models
from emolib.errors import EmolibError
from emolib.papers import ding


def test_ding_trains_as_the_paper_says():
    recipe = ding.RECIPE
    assert (recipe.optimizer, recipe.lr, recipe.eps, recipe.batch_size) == ("adam", 1e-3, 1e-7, 128)
    assert (recipe.patience, recipe.min_delta, recipe.monitor) == (30, 0.001, "loss")
    assert models.build("ding").spatial[-2].p == 0.4, "RAVDESS dropout is the model's default"


def test_prepare_shows_originals_outside_training_and_half_altered_ones_in_it():
    audio, video = torch.zeros(400, 40), torch.full((400, 1, 64, 64), 255, dtype=torch.uint8)
    stored = {
        "audio": audio, "audio_altered": audio + 1, "video": video, "video_altered": video * 0,
    }  # fmt: skip
    given = ding.prepare(stored, None)
    assert set(given) == {"audio", "video"}
    assert given["audio"].sum() == 0 and given["video"].min() == 1.0
    drawn = ding.prepare(stored, torch.Generator().manual_seed(0))
    altered = drawn["audio"][:, 0] == 1
    assert 150 < altered.sum() < 250
    assert torch.equal(drawn["video"][:, 0, 0, 0] == 0, altered), "sound and face change together"


def test_image_noise_has_the_variance_of_the_paper():
    grey = torch.full((20, 1, 64, 64), 128, dtype=torch.uint8)
    noisy = ding._noisy(grey, 0).float() / 255
    assert noisy.var() == pytest.approx(0.01, rel=0.02)
    assert torch.equal(ding._noisy(grey, 0), ding._noisy(grey, 0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fer2013", "both"), "FER2013 has no voices: it has faces"),
        (("meat", "audio"), "unknown corpus 'meat': known are ravdess"),
        (("ravdess", "text"), "unknown modality 'text': known are audio, video, both"),
    ],
)
def test_data_that_are_not_there_are_refused(arguments, message):
    with pytest.raises(EmolibError, match=message):
        ding.load(*arguments)


@pytest.mark.realdata
def test_real_voices_are_six_segments_of_forty_coefficients(recordings, monkeypatch):
    from emolib.features import store

    extract = store.extract
    few = lambda manifest, recipe, **k: extract(manifest.iloc[:4], recipe, **k)  # noqa: E731
    monkeypatch.setattr(store, "extract", few)
    data = ding.load("ravdess", "audio", "quick", n_jobs=1, progress=False)
    assert data.samples.inputs["audio"].shape == (24, 40)
    assert data.copies[0].inputs["audio"].shape == (24, 40)
    assert not torch.allclose(data.samples.inputs["audio"], data.copies[0].inputs["audio"])
    assert data.features["clips_left_out"] == 360 - 4, "what could not be extracted is counted"
    emotions = [data.classes[label] for label in data.samples.labels]
    assert emotions[::6] == data.manifest["emotion"].tolist()
    # The first coefficient follows the level, in decibels: far below the others.
    assert data.samples.inputs["audio"][:, 0].mean() < -100
