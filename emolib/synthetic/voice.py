"""A voice from a source and a filter: glottal pulses and noise through moving formants."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from emolib.synthetic.person import Person
from emolib.synthetic.planted import Planted
from emolib.synthetic.tables import table

RATE = 48_000
_STEP = 240  # samples between two settings of the filters (5 ms)


@dataclass(frozen=True)
class Phone:
    """One speech sound.

    ``formants`` F1 to F3 in Hz for an adult man; ``ms`` duration at a plain rate; ``voicing``
    and ``noise`` levels 0 to 1; ``centre`` of the noise in Hz; ``jaw``, ``round`` and ``shut``
    are what the lips do, 0 to 1.
    """

    formants: tuple[int, int, int]
    ms: int
    voicing: float = 1.0
    noise: float = 0.0
    centre: int = 4000
    jaw: float = 0.3
    round: float = 0.0
    shut: float = 0.0


_TABLE = table("voice")
PHONES = {name: Phone(**phone) for name, phone in _TABLE["phones"].items()}
#: What is said: words and their sounds; a prime marks the stressed ones.
SENTENCES = _TABLE["sentences"]
_REST = Phone((480, 1450, 2480), 0, 0.0, 0.0, jaw=0.0)
# How far each property of a sound reaches into its neighbours, in steps.
_GLIDE = {"voicing": 1.6, "noise": 1.2, "centre": 1.0, "jaw": 4.5, "round": 4.5, "shut": 4.5}


@dataclass(frozen=True)
class Speech:
    """A spoken sentence.

    Attributes
    ----------
    samples : float32 (n,)
        At `RATE`, full scale 1.
    start, end : float
        Of the speech, in seconds.
    lips : float32 (m, 3)
        Jaw opening, rounding and closure, 0 to 1, every `_STEP` samples.
    """

    samples: np.ndarray
    start: float
    end: float
    lips: np.ndarray

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / RATE

    def lips_at(self, seconds: np.ndarray) -> np.ndarray:
        """Return jaw, rounding and closure at the given times, (len(seconds), 3)."""
        grid = (np.arange(len(self.lips)) + 0.5) * _STEP / RATE
        return np.stack([np.interp(seconds, grid, track) for track in self.lips.T], 1)


def speak(
    person: Person,
    manner: Planted,
    sentence: str,
    rng: np.random.Generator,
    *,
    effort: float = 1.0,
    fps: int = 25,
    tone: np.ndarray | None = None,
) -> Speech:
    """Say a sentence in the voice of `person` and the manner of an emotion.

    Parameters
    ----------
    effort
        How far the voice leaves neutral: 1 normal intensity, above 1 strong.
    fps
        The recording lasts a whole number of frames at this rate.
    tone : (bands, 2), optional
        Room tone: centre in Hz and level in dB re full scale of bands of noise.
    """
    # Log-domain quantities scale with effort; so does the distance of the rest from neutral.
    rate = person.tempo * manner.rate**effort * rng.uniform(0.96, 1.04)
    sounds = [(PHONES[s.rstrip("'")], s.endswith("'")) for s in SENTENCES[sentence].split()]
    lasting = [p.ms * (1.35 if stressed else 1.0) / rate * RATE / 1000 for p, stressed in sounds]
    steps = np.array([max(6, round(samples / _STEP)) for samples in lasting])
    steps[-2:] = np.round(steps[-2:] * 1.3)  # the last word is drawn out
    lead, trail = rng.uniform(0.50, 0.62), rng.uniform(0.52, 0.64)
    spoken = int(steps.sum())
    frames = int(np.ceil((lead + spoken * _STEP / RATE + trail) * fps))
    n = round(frames * RATE / fps)
    first = round(lead * RATE / _STEP)
    total = -(-n // _STEP)

    owner = np.repeat(np.arange(len(sounds)), steps)
    stress = np.array([s for _, s in sounds], float)[owner]
    tracks = _tracks([sounds[i][0] for i in owner], first, total)
    f0 = _melody(person, manner, rng, stress, first, total, effort)
    accent = np.zeros(total)
    accent[first : first + spoken] = stress
    loud = 10 ** (0.15 * _smooth(accent, 6.0)) * np.interp(
        np.arange(total), [first, first + spoken], [1.15, 0.8]
    )
    sound = _sound(manner, effort, f0, loud, tracks, person.tract, rng, n)

    inside = slice(first * _STEP, (first + spoken) * _STEP)
    level = -29.0 + manner.energy_db * effort + rng.normal(0, 0.6)
    sound *= 10 ** (level / 20) / _rms(sound[inside])
    sound += 10 ** (-74 / 20) * rng.standard_normal(n)
    if tone is not None:
        sound += _room_tone(tone, n, rng)
    if np.abs(sound).max() > 0.98:  # a shout bends the peaks instead of breaking them
        sound = np.tanh(sound * 1.1) / 1.1
    lips = np.stack([tracks[name] for name in ("jaw", "round", "shut")], 1)
    return Speech(
        np.clip(sound, -1, 1).astype(np.float32),
        inside.start / RATE,
        inside.stop / RATE,
        lips.astype(np.float32),
    )


def _tracks(spoken: Sequence[Phone], first: int, total: int) -> dict[str, np.ndarray]:
    """Lay the properties of the sounds along time and let them glide, (total,) or (total, 3)."""

    def track(value, blur):
        line = np.full(total, float(value(_REST)))
        line[first : first + len(spoken)] = [value(phone) for phone in spoken]
        return _smooth(line, blur)

    tracks = {name: track(attrgetter(name), blur) for name, blur in _GLIDE.items()}
    formants = [track(lambda phone, i=i: phone.formants[i], 3.0) for i in range(3)]
    return tracks | {"formants": np.stack(formants, 1)}


def _sound(manner, effort, f0, loud, tracks, tract, rng, n) -> np.ndarray:
    """Return voice and hiss through the moving formants, (n,)."""
    breath = np.clip(0.08 + (manner.breath - 0.08) * effort, 0, 0.6)
    tilt = manner.tilt_db * effort
    formants = np.column_stack([tracks["formants"], np.full((len(f0), 2), (3450.0, 4300.0))])
    voiced = _pulses(f0, tracks["voicing"] * loud, breath, tilt, manner.jitter, rng, n)
    voiced = _cascade(voiced, formants * tract)
    # Both parts have unit level, so the noise of a sound is relative to a full vowel.
    hiss = _resonate(rng.standard_normal(n), tracks["centre"], 0.35)
    hiss *= np.repeat(tracks["noise"] * loud, _STEP)[:n]
    return _tilt(voiced / _rms(voiced) + hiss, tilt)


def _smooth(line: np.ndarray, sigma: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(line, sigma, mode="nearest")


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x))) + 1e-12)


def _melody(person, manner, rng, stress, first, total, effort) -> np.ndarray:
    """Return F0 in Hz every step: falling line, accents, final movement and tremor."""
    spoken = len(stress)
    t = np.linspace(0, 1, spoken)
    line = -1.2 * t + 1.1 * _smooth(stress * rng.uniform(0.7, 1.3), 9.0)
    line += 0.35 * np.sin(2 * np.pi * (rng.uniform(1.2, 2.0) * t + rng.uniform()))
    line = (line - line.mean()) / line.std()
    spread = 1.6 * (manner.f0_range / 1.6) ** effort
    semitones = line * spread + manner.final_rise * np.clip((t - 0.72) / 0.28, 0, 1) ** 1.3
    seconds = np.arange(spoken) * _STEP / RATE
    semitones += manner.tremor * np.sin(2 * np.pi * 6.0 * seconds)
    semitones += 0.15 * np.sin(2 * np.pi * 4.7 * seconds + rng.uniform(0, 6))
    contour = np.full(total, semitones[-1])
    contour[:first] = semitones[0]
    contour[first : first + spoken] = semitones
    mean = person.pitch_hz * manner.f0**effort * rng.uniform(0.98, 1.02)
    return mean * 2 ** (contour / 12)


def _pulses(f0, amplitude, breath, tilt, jitter, rng, n) -> np.ndarray:
    """Return the flow derivative of the glottis, (n,): pulses and the breath between them."""
    wobble = 1 + jitter * np.repeat(rng.standard_normal(len(f0)), _STEP)[:n]
    grid = (np.arange(len(f0)) + 0.5) * _STEP
    at = np.arange(n)
    phase = np.cumsum(np.interp(at, grid, f0) * wobble) / RATE
    cycle = phase.astype(int)
    phase -= cycle
    open_for = np.clip(0.60 + 0.35 * (breath - 0.08) - 0.015 * tilt, 0.40, 0.80)
    p = phase / open_for
    pulse = np.where(p < 1, 2 * p - 3 * p**2, 0.0) + 0.0
    shimmer = 1 + 2 * jitter * rng.standard_normal(cycle[-1] + 1)
    level = np.interp(at, grid, amplitude)
    air = rng.standard_normal(n) * (0.35 + 0.65 * (p < 1)) * 0.9 * breath
    return level * (pulse * shimmer[cycle] * (1 - 0.6 * breath) + air)


def _cascade(sound: np.ndarray, formants: np.ndarray) -> np.ndarray:
    """Send sound through five resonances in a row that move every step."""
    widths = np.array([70, 90, 140, 220, 300]) + 0.02 * formants
    a1, a2 = _poles(np.exp(-np.pi * widths / RATE), formants)
    return _filtered(sound, 1 + a1 + a2, a1, a2)


def _resonate(sound: np.ndarray, centre: np.ndarray, width: float) -> np.ndarray:
    """Band-limit noise around a moving centre (Hz), `width` as a share of it; unit variance."""
    a1, a2 = _poles(np.exp(-np.pi * width * centre / RATE), centre)
    # Variance of an AR(2) process driven by unit noise.
    variance = (1 + a2) / ((1 - a2) * ((1 + a2) ** 2 - a1**2))
    narrow = _filtered(sound, np.ones((len(a1), 1)), a1[:, None], a2[:, None])
    return narrow * np.repeat(1 / np.sqrt(variance), _STEP)[: len(sound)]


def _poles(radius: np.ndarray, hertz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the two feedback coefficients of resonances."""
    return -2 * radius * np.cos(2 * np.pi * hertz / RATE), radius**2


def _filtered(sound: np.ndarray, gain: np.ndarray, a1: np.ndarray, a2: np.ndarray) -> np.ndarray:
    """Filter sound with resonances in a row, one line of coefficients (steps, n) every step."""
    from scipy.signal import sosfilt

    nothing = np.zeros_like(a1)
    sections = np.stack([gain, nothing, nothing, nothing + 1, a1, a2], -1)
    out, state = np.empty_like(sound), np.zeros((a1.shape[1], 2))
    for i, section in enumerate(sections):
        block = slice(i * _STEP, (i + 1) * _STEP)
        out[block], state = sosfilt(section, sound[block], zi=state)
    return out


def _tilt(sound: np.ndarray, decibels: float) -> np.ndarray:
    """Raise or lower what lies above 1 kHz by `decibels` (half of it at 1 kHz)."""
    if decibels == 0:
        return sound
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(len(sound))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(size, 1 / RATE), 20) / 1000)
    gain = 10 ** (decibels / 20 / (1 + np.exp(-2.5 * octaves)))
    return irfft(rfft(sound, size) * gain, size)[: len(sound)]


def _room_tone(tone: np.ndarray, n: int, rng) -> np.ndarray:
    """Return bands of noise a third of an octave wide, each at its level in dB re full scale."""
    from scipy.fft import irfft, next_fast_len

    size = next_fast_len(n)
    f = np.fft.rfftfreq(size, 1 / RATE)
    spectrum = np.zeros(len(f), complex)
    for centre, level in np.asarray(tone, float):
        band = (f > centre * 2 ** (-1 / 6)) & (f < centre * 2 ** (1 / 6))
        count = max(int(band.sum()), 1)
        power = 10 ** (level / 10) * size**2 / (2 * count)
        phases = rng.uniform(0, 2 * np.pi, len(f))
        spectrum += np.where(band, np.sqrt(power), 0) * np.exp(1j * phases)
    return irfft(spectrum, size)[:n]
