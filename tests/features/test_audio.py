"""Sound is read and checked, and its features are librosa's."""

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from emolib.features import audio
from emolib.features.audio import MelSpectrogram, Mfcc
from emolib.features.store import FeatureProblem


def row(path):
    return {"clip_id": path.stem, "path": str(path)}


def segments_by_librosa(samples, rate, count, n_mfcc=40):
    n = len(samples)
    pieces = [samples[i * n // count : (i + 1) * n // count] for i in range(count)]
    return np.stack(
        [librosa.feature.mfcc(y=piece, sr=rate, n_mfcc=n_mfcc).mean(axis=1) for piece in pieces]
    )


@pytest.mark.parametrize("name", ["voice.wav", "voice.flac"])
def test_the_source_keeps_its_rate_unless_another_is_asked_for(media, name):
    samples, rate = audio.load(media / name)
    assert (samples.shape, samples.dtype, rate) == ((72_000,), np.float32, 48_000)
    samples, rate = audio.load(media / name, sample_rate=16_000)
    assert (samples.shape, samples.dtype, rate) == ((24_000,), np.float32, 16_000)


def test_stereo_becomes_the_mean_of_its_channels_and_is_noted(media):
    left = audio.load(media / "voice.wav")[0]
    both = audio.load(media / "stereo.wav", mono=False)[0]
    assert both.shape == (2, 72_000)
    np.testing.assert_allclose(audio.load(media / "stereo.wav")[0], 0.75 * left, atol=1e-4)
    assert Mfcc().compute_noted(row(media / "stereo.wav"))[1] == {"channels": 2}
    assert Mfcc().compute_noted(row(media / "voice.wav"))[1] == {"channels": 1}


def test_the_sound_of_a_video_is_read(media):
    samples, rate = audio.load(media / "long_gop.mp4")
    assert rate == 16_000
    assert len(samples) / rate == pytest.approx(2.0, abs=0.15)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * rate / len(samples) == pytest.approx(220, abs=2)


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("zero_length.wav", "no samples"),
        ("silent.wav", "silent"),
        ("not_finite.wav", "not finite"),
        ("truncated_voice.wav", r"truncated: 0\.75 s of 1\.50 s"),
        ("truncated_voice.flac", "not readable as sound|truncated"),
        ("truncated.mp4", "not readable as sound"),
        ("truncated_streamable.mp4", "no sound stream"),
        ("empty.mp4", "empty"),
        ("short_gop.mp4", "no sound stream"),
        ("gone.wav", "does not exist"),
    ],
)
def test_a_bad_recording_is_named_with_cause_and_remedy(media, name, cause):
    with pytest.raises(FeatureProblem, match=cause) as problem:
        audio.load(media / name)
    assert name in str(problem.value)
    assert problem.value.remedy
    with pytest.raises(FeatureProblem, match=cause):
        Mfcc().compute(row(media / name))


def test_a_text_file_in_a_recordings_place_is_refused(tmp_path):
    pointer = tmp_path / "1001_DFA_ANG_XX.wav"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 71478\n")
    with pytest.raises(FeatureProblem, match="not readable as sound"):
        audio.load(pointer)


def test_a_header_of_unknown_length_is_not_taken_for_a_truncation(media, tmp_path):
    whole = bytearray((media / "voice.wav").read_bytes())
    at = whole.index(b"data") + 4
    whole[at : at + 4] = b"\xff\xff\xff\xff"  # what a recorder that writes to a pipe leaves
    (tmp_path / "piped.wav").write_bytes(whole)
    assert len(audio.load(tmp_path / "piped.wav")[0]) == 72_000


@pytest.mark.parametrize("n_mfcc", [13, 40])
@pytest.mark.parametrize("name", ["voice.flac", "stereo.wav", "long_gop.mp4"])
def test_mfcc_are_librosas_for_the_clip_and_for_its_sixths(media, name, n_mfcc):
    samples, rate = audio.load(media / name)
    whole = segments_by_librosa(samples, rate, 1, n_mfcc)
    sixths = segments_by_librosa(samples, rate, 6, n_mfcc)
    clip = row(media / name)
    both = Mfcc(n_mfcc=n_mfcc, segments=(1, 6)).compute(clip)
    assert both.shape == (7, n_mfcc)
    np.testing.assert_allclose(both, np.concatenate([whole, sixths]), atol=1e-4)
    np.testing.assert_array_equal(Mfcc(n_mfcc=n_mfcc, segments=1).compute(clip), both[:1])
    np.testing.assert_array_equal(Mfcc(n_mfcc=n_mfcc, segments=6).compute(clip), both[1:])


@given(seconds=st.floats(0.2, 3.0), frames=st.integers(6, 120))
@settings(max_examples=15, deadline=None)
def test_a_sequence_has_the_length_that_was_asked_for(tmp_path_factory, seconds, frames):
    path = tmp_path_factory.mktemp("sequence") / "noise.wav"
    rng = np.random.default_rng(0)
    soundfile.write(path, 0.1 * rng.standard_normal(int(16_000 * seconds)), 16_000)
    assert Mfcc(pooling=None, frames=frames).compute(row(path)).shape == (40, frames)
    assert MelSpectrogram(duration_s=seconds).compute(row(path)).shape == (
        128, 1 + round(22_050 * seconds) // 512,
    )  # fmt: skip


def test_a_sequence_is_librosas(media):
    samples, rate = audio.load(media / "voice.wav")
    short = audio.fit_length(samples, 48_000)
    np.testing.assert_allclose(
        Mfcc(pooling=None, duration_s=1.0).compute(row(media / "voice.wav")),
        librosa.feature.mfcc(y=short, sr=rate, n_mfcc=40),
        atol=1e-3,
    )


def test_a_sequence_without_a_length_is_refused():
    with pytest.raises(ValueError, match="frames= or duration_s="):
        Mfcc(pooling=None)


def test_a_mel_spectrogram_is_librosas_in_decibels_below_its_peak(media):
    samples, rate = audio.load(media / "voice.wav", sample_rate=22_050)
    samples = audio.fit_length(samples, round(1.2 * rate))
    power = librosa.feature.melspectrogram(y=samples, sr=rate, n_mels=64)
    expected = librosa.power_to_db(power, ref=np.max)
    found = MelSpectrogram(n_mels=64, duration_s=1.2).compute(row(media / "voice.wav"))
    assert found.dtype == np.float32
    assert found.max() == 0
    np.testing.assert_allclose(found, expected, atol=1e-3)


@given(n=st.integers(1, 200), m=st.integers(1, 200))
@settings(max_examples=30)
def test_fitting_cuts_the_centre_or_pads_the_end(n, m):
    samples = np.arange(1, n + 1, dtype=np.float32)
    fitted = audio.fit_length(samples, m)
    assert len(fitted) == m
    if m >= n:
        np.testing.assert_array_equal(fitted, np.concatenate([samples, np.zeros(m - n)]))
    else:
        before, after = fitted[0] - samples[0], samples[-1] - fitted[-1]
        assert abs(before - after) <= 1


def test_stretching_to_four_fifths_of_the_speed_keeps_the_pitch(media):
    samples, rate = audio.load(media / "voice.wav")
    slow = audio.time_stretch(samples, 0.8)
    assert len(slow) == pytest.approx(len(samples) / 0.8, rel=0.01)
    peak = np.argmax(np.abs(np.fft.rfft(slow))) * rate / len(slow)
    assert peak == pytest.approx(220, abs=3)


def test_raising_the_pitch_by_an_octave_doubles_the_frequency(media):
    samples, rate = audio.load(media / "voice.wav")
    high = audio.pitch_shift(samples, rate, 12)
    assert len(high) == len(samples)
    assert np.argmax(np.abs(np.fft.rfft(high))) * rate / len(high) == pytest.approx(440, abs=5)


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
def test_noise_has_the_power_that_was_asked_for(media, snr_db):
    samples, _ = audio.load(media / "voice.wav")
    noise = audio.add_noise(samples, snr_db, np.random.default_rng(1)) - samples
    ratio = 10 * np.log10(np.mean(samples**2) / np.mean(noise**2))
    assert ratio == pytest.approx(snr_db, abs=0.15)


@pytest.mark.parametrize("augment", ["noise", "noise=5", "pitch_shift=-2", "time_stretch"])
def test_an_augmented_recipe_changes_the_values_reproducibly(media, augment):
    clip = row(media / "voice.wav")
    recipe = Mfcc(augment=augment)
    values = recipe.compute(clip)
    np.testing.assert_array_equal(values, recipe.compute(clip))
    assert values.shape == (6, 40)
    assert np.abs(values - Mfcc().compute(clip)).max() > 0.1
    assert recipe.digest() != Mfcc().digest()


def test_each_clip_and_each_seed_has_noise_of_its_own(media):
    path = str(media / "voice.wav")
    one, other = ({"clip_id": name, "path": path} for name in ("a", "b"))
    recipe = Mfcc(augment="noise=5")
    assert not np.array_equal(recipe.compute(one), recipe.compute(other))
    assert not np.array_equal(recipe.compute(one), Mfcc(augment="noise=5", seed=1).compute(one))


def test_an_unknown_augmentation_is_refused_at_once():
    with pytest.raises(ValueError, match="known are time_stretch, pitch_shift, noise"):
        Mfcc(augment="reverb")


@pytest.mark.realdata
def test_the_five_stereo_recordings_of_ravdess_are_averaged(recordings):
    folder = recordings / "ravdess" / "Audio_Speech_Actors_01-24"
    for name in ("03-01-02-01-01-02-01", "03-01-08-01-02-02-01"):
        path = folder / f"Actor_{name[-2:]}" / f"{name}.flac"
        values, notes = Mfcc(segments=(1, 6)).compute_noted(row(path))
        assert notes == {"channels": 2}
        samples, rate = soundfile.read(path, dtype="float32")
        np.testing.assert_allclose(
            values[1:], segments_by_librosa(samples.mean(axis=1), rate, 6), atol=1e-4
        )


@pytest.mark.realdata
def test_the_sound_of_real_videos_gives_features(recordings):
    paths = [*(recordings / "cremad").rglob("*.flv"), *(recordings / "mead").rglob("*.mp4")]
    assert len(paths) == 11
    for path in paths:
        values = Mfcc(segments=(1, 6)).compute(row(path))
        assert values.shape == (7, 40)
        assert np.isfinite(values).all()
        assert MelSpectrogram().compute(row(path)).shape == (128, 130)


@pytest.mark.parametrize(
    "thrown", [EOFError(), MemoryError(), UnicodeDecodeError("utf8", b"\xff", 0, 1, "bad")]
)
def test_whatever_a_decoder_throws_names_the_file(media, monkeypatch, thrown):
    def refuse(*_, **__):
        raise thrown

    monkeypatch.setattr(soundfile.SoundFile, "read", refuse)
    with pytest.raises(FeatureProblem, match=r"voice\.wav: not readable as sound: .+ \("):
        audio.load(media / "voice.wav")


def test_a_header_that_lies_about_its_length_is_refused_before_memory_is_asked_for(tmp_path):
    file = tmp_path / "lying.flac"
    soundfile.write(file, np.zeros(4_800), 48_000)
    content = bytearray(file.read_bytes())
    content[21] |= 0x0F  # the upper four of 36 bits that count the samples: 64 thousand million
    file.write_bytes(content)
    with pytest.raises(FeatureProblem, match=r"lying\.flac: its header declares 3\d\d\.\d hours"):
        audio.load(file)
