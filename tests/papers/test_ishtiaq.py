"""Samples and augmentation of Ishtiaq's network, and the counting of bits."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emolib import models
from emolib.errors import EmolibError
from emolib.papers import augment, ishtiaq
from emolib.papers.experiment import ExperimentError
from emolib.papers.streams import Request
from emolib.training import Samples


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def augmenter(*names: str):
    return ishtiaq.declare(Request("ravdess", "audio"), augmentation=names).augment


def tone(seconds: float, rate: int = 16_000) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)


def with_silence(before: float, seconds: float, after: float) -> np.ndarray:
    quiet = [np.zeros(int(s * 16_000)) for s in (before, after)]
    return np.concatenate([quiet[0], tone(seconds), quiet[1]]).astype(np.float32)


def heard(samples: np.ndarray) -> np.ndarray:
    return ishtiaq.spoken(ishtiaq.LogMel(duration_s=None).decibels(samples, 16_000))


def test_silence_around_the_words_does_not_change_a_spectrogram():
    short, long = (
        heard(with_silence(before, 1.0, after))
        for before, after in ((0.256, 0.256), (0.768, 1.024))  # whole hops
    )
    assert short.shape == (64, 64)
    np.testing.assert_allclose(short, long, atol=0.01)


def test_what_a_short_clip_lacks_is_put_in_front():
    values = heard(with_silence(0.3, 0.8, 0.3))
    assert np.ptp(values[:, 0]) == 0
    assert np.ptp(values[:, -10]) > 40


def test_a_long_clip_keeps_its_centre():
    sound = np.concatenate([tone(1.0), 0.4 * tone(3.0), tone(1.0)]).astype(np.float32)
    loud = heard(tone(3.0).astype(np.float32))
    centre = heard(sound)[:, 10:-10].max()
    assert centre == pytest.approx(loud.max() + 20 * np.log10(0.4), abs=0.5)


def test_loudness_survives_in_the_spectrogram():
    loud, soft = (heard((a * tone(1.0)).astype(np.float32)) for a in (1.0, 0.1))
    assert loud.max() - soft.max() == pytest.approx(20, abs=0.1)


def test_levels_take_away_what_they_say():
    decibels = np.random.default_rng(0).normal(-30, 5, (3, 5, 64, 94)).astype(np.float32)
    made = {level: ishtiaq._voices(decibels, level) for level in ishtiaq.LEVELS}
    assert made["clip"].shape == (3, 5, 64, 64)
    np.testing.assert_allclose(made["clip"].mean((2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(made["clip"].std((2, 3)), 1, atol=1e-4)
    np.testing.assert_allclose(made["band"].mean(-1), 0, atol=1e-4)
    np.testing.assert_allclose(made["absolute"], decibels[..., 15:79], atol=1e-4)


def test_training_draws_versions_and_testing_takes_the_original():
    voices = torch.arange(4.0).repeat_interleave(5).view(4, 5, 1, 1).expand(4, 5, 64, 64).clone()
    voices[:, 1:] += 10
    assert torch.equal(augment.drawn({"audio": voices}, None)["audio"], voices[:, :1])
    drawn = [
        augment.drawn({"audio": voices}, generator(seed))["audio"][:, 0, 0, 0] for seed in range(9)
    ]
    for one in drawn:
        assert torch.equal(one % 10, torch.arange(4.0))
    assert len({tuple(one.tolist()) for one in drawn}) > 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_augmentation_keeps_shapes_and_invents_no_values(seed):
    audio = torch.randn(4, 1, 40, 64, generator=generator(seed))
    video = torch.rand(4, 3, 1, 8, 8, generator=generator(seed))
    text = torch.ones(4, 8, dtype=torch.long)
    inputs = {"audio": audio, "video": video, "text": text}
    changed = augmenter("move", "mask", "mirror")(inputs, generator(seed))
    assert torch.equal(changed["text"], text)
    for i in range(4):
        assert set(changed["audio"][i].flatten().tolist()) <= {0.0, *audio[i].flatten().tolist()}
        assert torch.equal(changed["video"][i], video[i]) or torch.equal(
            changed["video"][i], video[i].flip(-1)
        )


def test_augmentation_depends_on_its_generator_alone():
    inputs = {"audio": torch.randn(4, 1, 40, 64)}
    augment = augmenter("move", "mask")
    one, two, other = (augment(inputs, generator(seed))["audio"] for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert augmenter("waveform") is None  # drawn in `prepare`


def test_noise_falls_on_one_modality_only_and_never_on_padding():
    words = torch.tensor([[5, 6, 0, 0], [7, 8, 9, 0]])
    samples = Samples({"audio": torch.zeros(2, 1, 40, 64), "text": words}, torch.tensor([0, 1]))
    voices, texts = (ishtiaq.noisy(samples, name, 1.0) for name in ("audio", "text"))
    assert voices.inputs["audio"].std() == pytest.approx(1, abs=0.05)
    assert torch.equal(voices.inputs["text"], words)
    assert torch.equal(texts.inputs["text"] != 0, words != 0)
    assert texts.inputs["text"].max() == 1


def test_free_speech_gives_its_first_words_and_short_speech_is_padded():
    texts = ["well I would say that the dogs bark at night and sleep by day", "Dogs", "xylophone"]
    numbers = ishtiaq._words(np.array(texts, object)[:, None])
    assert numbers.shape == (3, ishtiaq.WORDS)
    known = ishtiaq.tokenize(["I would"]).tolist()[0]
    assert numbers[0, :3].tolist() == [ishtiaq.UNKNOWN, *known]
    assert (numbers[1:, 1:] == ishtiaq.PAD).all()
    assert numbers[2, 0] == ishtiaq.UNKNOWN


def test_sentences_take_turns_with_emotions_however_many_there_are():
    clips = pd.DataFrame(
        [(e, s) for e in ("angry", "calm", "happy", "sad") for s in ("DFA", "IEO", "ITS")],
        columns=["emotion", "statement"],
    )
    kept, _ = ishtiaq._one_sentence_each(clips)
    assert kept["statement"].tolist() == ["DFA", "IEO", "ITS", "DFA"]
    with pytest.raises(ExperimentError, match="several sentences"):
        ishtiaq._one_sentence_each(clips.assign(statement=""))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=40))
def test_mutual_information_is_symmetric_and_at_most_the_entropy(pairs):
    one, other = zip(*pairs, strict=True)
    bits = ishtiaq.mutual_information(one, other)
    assert bits == pytest.approx(ishtiaq.mutual_information(other, one), abs=1e-9)
    assert -1e-9 <= bits <= ishtiaq.mutual_information(one, one) + 1e-9


@pytest.mark.parametrize("sentences", [("01", "02"), ("1", "2")], ids=["ravdess", "synthetic"])
def test_one_sentence_each_halves_a_balanced_collection_and_tells_one_bit(sentences):
    clips = pd.DataFrame(
        [(e, s) for e in ("angry", "calm", "happy", "sad") for s in sentences] * 3,
        columns=["emotion", "statement"],
    )
    assert ishtiaq.mutual_information(clips["statement"], clips["emotion"]) == 0
    kept, _ = ishtiaq._one_sentence_each(clips)
    assert len(kept) == len(clips) // 2
    assert ishtiaq.mutual_information(kept["statement"], kept["emotion"]) == 1


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("savee", "text"), {}, "SAVEE has no words: it has voices .* ravdess, cremad, paired"),
        (("ckplus", "all"), {}, "CK. has no voices: it has faces"),
        (("ravdess", "audio"), {"statements": "odd"}, "balanced, confounded"),
        (("ravdess", "audio"), {"augmentation": ("mask", "echo")}, "unknown augmentation 'echo'"),
        (("ravdess", "audio"), {"level": "loud"}, "clip, band, absolute"),
    ],
)
def test_what_cannot_be_loaded_is_refused_with_a_way_out(arguments, options, message):
    with pytest.raises(EmolibError, match=message):
        ishtiaq.load(*arguments, **options)


def test_the_light_voice_networks_of_the_full_runs_are_light():
    for experiment in ishtiaq.FULL.values():
        if "design" not in experiment.options and experiment.modality == "audio":
            model = models.build("ishtiaq", modality="audio", **experiment.options)
            assert sum(p.numel() for p in model.parameters()) < 500_000


@pytest.mark.realdata
def test_the_words_of_ravdess_tell_nothing_about_the_emotion(recordings):
    data = ishtiaq.load("ravdess", "text", root=recordings / "ravdess")
    clips = data.manifest
    assert len(clips) == 1440
    assert ishtiaq.mutual_information(clips["text"], clips["emotion"]) == 0
