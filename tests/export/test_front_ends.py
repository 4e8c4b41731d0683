"""Layers give what librosa, OpenCV and NumPy give, on sounds and pictures of any size."""

import numpy as np
import pytest
import torch

from emolib.export import front_ends
from emolib.features import audio
from emolib.features.frft import FrftMfcc
from emolib.papers import ishtiaq, lu
from emolib.papers.mostafa import LogMel

RATE = 48_000
RECIPES = {
    "ding": audio.Mfcc(n_mfcc=40, segments=6),
    "lu": lu.mfcc_recipe(),
    "lu, a sequence": lu.mfcc_recipe(steps=100),
    "mostafa": LogMel(),
    "mel below its loudest": audio.MelSpectrogram(),
    "yang, one order": FrftMfcc(order=0.9, deltas=2),
    "yang, plain": FrftMfcc(order=1.0, folded=False),
    "yang, adaptive": FrftMfcc(orders=(1.0, 0.99, 0.93)),
}


def sound(seconds=1.7, rate=RATE, seed=0):
    """Glides with harmonics, pauses and hiss."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    pitch = 2 * np.pi * (120 * t + 40 * t**2)
    waves = sum(np.sin(k * pitch) / k for k in range(1, 15))
    pauses = np.clip(2 * np.sin(2 * np.pi * 1.3 * t), 0, 1)
    return (0.05 * waves * pauses + 1e-3 * rng.standard_normal(len(t))).astype(np.float32)


@pytest.mark.parametrize("after", [16_000, 22_050, 48_000])
@pytest.mark.parametrize("n", [15_999, 16_001])
def test_one_convolution_resamples_as_librosa_does(after, n):
    import librosa

    before = 48_000 if after < 48_000 else 16_000
    samples = sound(n / before, before)
    made = front_ends.Resample(before, after)(torch.from_numpy(samples)[None])[0].numpy()
    expected = librosa.resample(samples, orig_sr=before, target_sr=after)
    assert made.shape == expected.shape
    assert np.abs(made - expected).max() < 3e-6


@pytest.mark.parametrize("name", RECIPES)
def test_a_front_end_computes_what_the_recipe_does(name, tmp_path):
    import soundfile

    recipe = RECIPES[name]
    file = tmp_path / "one.wav"
    soundfile.write(file, sound(), RATE, subtype="FLOAT")
    expected = recipe.compute({"path": str(file)})
    made = front_ends.Sound(recipe, RATE, RATE)(torch.from_numpy(np.stack([sound()] * 2)))
    assert made.shape == (2, *expected.shape)
    np.testing.assert_allclose(made[1], expected, rtol=1e-5, atol=5e-3)  # some 100 decibels


def test_a_batch_holds_clips_of_any_loudness_and_silence():
    layer = front_ends.Sound(RECIPES["mostafa"], RATE, RATE)
    samples = torch.from_numpy(np.stack([sound(), 0.01 * sound(), 0 * sound()]))
    together, alone = layer(samples), [layer(samples[i : i + 1])[0] for i in range(3)]
    torch.testing.assert_close(together, torch.stack(alone))
    assert together.isfinite().all()


@pytest.mark.parametrize("frames", [40, 94])
def test_the_spoken_part_is_found_without_a_loop(frames):
    rng = np.random.default_rng(frames)
    decibels = rng.uniform(-90, -70, (2, 64, frames)).astype(np.float32)
    decibels[0, :, 9:31] += 60
    decibels[1, :, 2:] += 55
    made = front_ends.Spoken(ishtiaq.STEPS, ishtiaq.TRIM_DB, ishtiaq.FLOOR_DB)(
        torch.from_numpy(decibels)
    )
    np.testing.assert_allclose(made.numpy(), [ishtiaq.spoken(one) for one in decibels])


@pytest.mark.parametrize("shape", [(48, 48), (30, 41), (131, 131), (200, 120)])
@pytest.mark.parametrize("size", [48, 64])
def test_pictures_become_grey_squares_as_opencv_makes_them(shape, size):
    import cv2

    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (*shape, 3), dtype=np.uint8), (5, 5), 1)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    side = min(shape)
    top, left = ((length - side) // 2 for length in shape)
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    expected = cv2.resize(
        grey[top : top + side, left : left + side], (size, size), interpolation=method
    )
    layers = torch.nn.Sequential(front_ends.Grey(), front_ends.Square(size))
    made = layers(torch.from_numpy(picture)[None])[0].numpy().astype(int)
    assert np.abs(made - expected).max() <= 1  # where a half is rounded to the other side
    assert np.mean(made != expected) < 0.15
    np.testing.assert_array_equal(layers(torch.from_numpy(grey)[None, ..., None])[0], made)
