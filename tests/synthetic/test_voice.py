"""The synthetic voice: what is planted can be measured in the sound."""

import numpy as np
import pytest

from emolib.synthetic import CLASSES, FPS, PLANTED
from emolib.synthetic.performance import Take
from emolib.synthetic.person import person
from emolib.synthetic.voice import PHONES, RATE, SENTENCES, speak

KIDS = "Kids are talking by the door"


def spoken(actor, emotion, sentence=KIDS, seed=0):
    rng = np.random.default_rng([seed, actor, CLASSES.index(emotion)])
    return speak(person(actor), PLANTED[emotion], sentence, rng)


def measure(speech) -> dict[str, float]:
    """Measure pitch, its spread, level, length, brightness and noise of the spoken part."""
    sound = speech.samples[round(speech.start * RATE) : round(speech.end * RATE)].astype(float)
    spectrum = np.abs(np.fft.rfft(sound)) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
    window, hop = 2400, 960  # 50 ms, 20 ms
    pitches, strengths = [], []
    for start in range(0, len(sound) - window, hop):
        piece = sound[start : start + window : 4] * np.hanning(window // 4)
        echo = np.fft.irfft(np.abs(np.fft.rfft(piece, 2048)) ** 2)
        rate = RATE / 4
        first, last = int(rate / 500), int(rate / 60)
        lag = first + int(np.argmax(echo[first:last] * (1 - np.arange(first, last) / 1200)))
        pitches.append(rate / lag)
        strengths.append(echo[lag] / echo[0])
    voiced = np.array(strengths) > 0.35
    semitones = 12 * np.log2(np.array(pitches)[voiced])
    return {
        "f0": np.median(semitones),
        "range": np.subtract(*np.percentile(semitones, [85, 15])),
        "level": 10 * np.log10(np.mean(sound**2)),
        "length": np.log(speech.end - speech.start),
        "bright": 10 * np.log10(spectrum[(hertz > 1500) & (hertz < 3500)].sum())
        - 10 * np.log10(spectrum[(hertz > 100) & (hertz < 900)].sum()),
        "noise": -np.mean(np.array(strengths)[voiced]),
    }


@pytest.fixture(scope="module")
def measured():
    return {
        (actor, emotion): measure(spoken(actor, emotion))
        for actor in range(1, 7)
        for emotion in CLASSES
    }


def over_actors(measured, emotion, quantity):
    """Mean difference to the same actors' neutral voices."""
    return np.mean(
        [
            measured[actor, emotion][quantity] - measured[actor, "neutral"][quantity]
            for actor in range(1, 7)
        ]
    )


@pytest.mark.parametrize("emotion", [e for e in CLASSES if e != "neutral"])
def test_pitch_level_and_rate_are_as_planted(measured, emotion):
    planted = PLANTED[emotion]
    semitones = 12 * np.log2(planted.f0)
    assert over_actors(measured, emotion, "f0") == pytest.approx(semitones, abs=2.0)
    assert over_actors(measured, emotion, "level") == pytest.approx(planted.energy_db, abs=1.0)
    assert over_actors(measured, emotion, "length") == pytest.approx(
        -np.log(planted.rate), abs=0.05
    )


def test_pressed_voices_are_bright_and_breathy_ones_dull(measured):
    assert over_actors(measured, "angry", "bright") > 3
    assert over_actors(measured, "sad", "bright") < -1


def test_a_lively_melody_spans_more_than_a_sad_one(measured):
    assert over_actors(measured, "surprised", "range") > over_actors(measured, "sad", "range") + 3


def test_women_speak_higher_than_men(measured):
    women = min(measured[actor, "neutral"]["f0"] for actor in (2, 4, 6))
    men = max(measured[actor, "neutral"]["f0"] for actor in (1, 3, 5))
    assert women > men + 4


def test_six_numbers_tell_the_emotions_of_an_unknown_speaker(measured):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    table = np.array(
        [[list(measured[actor, e].values()) for e in CLASSES] for actor in range(1, 7)]
    )
    table -= table.mean(axis=1, keepdims=True)
    hits = []
    for actor in range(6):
        rest = np.delete(table, actor, 0).reshape(-1, table.shape[-1])
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)
        model.fit(rest / rest.std(0), np.tile(np.arange(8), 5))
        hits += list(model.predict(table[actor] / rest.std(0)) == np.arange(8))
    assert np.mean(hits) >= 0.5


def test_a_strong_expression_goes_farther_than_a_normal_one():
    loud = [
        measure(speak(person(1), PLANTED["angry"], KIDS, np.random.default_rng(0), effort=effort))[
            "level"
        ]
        for effort in (1.0, 1.35)
    ]
    assert loud[1] > loud[0] + 2


def test_recordings_last_whole_frames_and_never_clip():
    for sentence in SENTENCES:
        speech = spoken(2, "angry", sentence)
        assert len(speech.samples) % (RATE // FPS) == 0
        assert np.abs(speech.samples).max() < 1
        assert 0.3 < speech.start < speech.end < speech.duration - 0.3
        lead = speech.samples[: round(0.3 * RATE)]
        assert 20 * np.log10(lead.std()) < -60


def test_every_sound_of_every_sentence_is_known():
    for sounds in SENTENCES.values():
        assert {s.rstrip("'") for s in sounds.split()} <= set(PHONES)


def test_the_same_seed_says_the_same_and_another_does_not():
    one, again, other = (spoken(1, "happy", seed=seed).samples for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert len(other) != len(one) or np.abs(other - one).max() > 0.01


def test_the_mouth_opens_with_the_voice():
    take = Take(2, "neutral", KIDS, name="lips")
    speech, shape = take.speech(), person(2).shape
    gaps = np.array(
        [np.subtract(*shape.points(units)[[66, 62], 1]) for units, _, _ in take.moves(speech)]
    )
    loudness = speech.samples.reshape(len(gaps), -1).std(1)
    assert np.corrcoef(gaps, loudness)[0, 1] > 0.5
