"""Sound to arrays: MFCC, mel spectrograms, and the augmentations that the papers use.

librosa's defaults hold wherever a paper names none (Ding, section III.B: "the default
values", "the sampling rate was from the speech audio source"): 2048-sample Hann windows,
512 samples apart, 128 mel bands, decibels clipped 80 below the loudest value, DCT-II.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from emolib.features.store import (
    BROKEN,
    FeatureProblem,
    FeatureRecipe,
    decoding,
    parse_augmentation,
    refuse_truncated,
)

#: A clip whose loudest sample is below this (−80 dB of full scale) is silent.
SILENCE = 1e-4
#: More samples than this, 93 minutes at 48,000 a second, are no clip but a header that lies.
LONGEST = 1 << 28
_BY_SOUNDFILE = {".wav", ".flac", ".ogg", ".aiff", ".aif", ".mp3"}


def load(
    path: str | Path, sample_rate: int | None = None, mono: bool = True
) -> tuple[np.ndarray, int]:
    """Read the sound of a recording, also of a video.

    Parameters
    ----------
    path
        wav or flac (soundfile), or anything else that FFmpeg reads (mp4, flv, m4a).
    sample_rate
        Resample to this many samples a second; None keeps the rate of the source.
    mono
        Average the channels.

    Returns
    -------
    samples
        float32 in [-1, 1]; shape (n,), or (channels, n) with ``mono=False``.
    rate
        Samples a second.

    Raises
    ------
    FeatureProblem
        If the file is missing, damaged, truncated, empty, silent, or not finite.
    """
    samples, rate = _read(path)
    return _resampled(samples.mean(axis=0) if mono else samples, rate, sample_rate)


def _resampled(samples: np.ndarray, rate: int, wanted: int | None) -> tuple[np.ndarray, int]:
    """Return samples at the wanted rate, or as they are where None is named."""
    if wanted in (None, rate):
        return samples, rate
    import librosa

    return librosa.resample(samples, orig_sr=rate, target_sr=wanted), wanted


def _read(path: str | Path) -> tuple[np.ndarray, int]:
    """Read and check a recording: float32 (channels, n), and its rate."""
    path = Path(path)
    if not path.is_file():
        raise FeatureProblem("the file does not exist", "check the path", path)
    if path.stat().st_size == 0:
        raise FeatureProblem("the file is empty", BROKEN, path)
    by_soundfile = path.suffix.lower() in _BY_SOUNDFILE
    samples, rate = (_read_soundfile if by_soundfile else _read_container)(path)
    if samples.shape[-1] == 0:
        raise FeatureProblem("the recording has no samples", BROKEN, path)
    peak = float(np.abs(samples).max())
    if not np.isfinite(peak):
        raise FeatureProblem("some samples are not finite numbers", BROKEN, path)
    if peak < SILENCE:
        raise FeatureProblem(
            f"silent: the loudest sample is {peak:.1e} of full scale",
            "check the recording, or leave the clip out",
            path,
        )
    return samples, rate


def _read_soundfile(path: Path) -> tuple[np.ndarray, int]:
    import soundfile

    with decoding(path, "as sound"), soundfile.SoundFile(path) as file:
        rate = file.samplerate
        declared = max(file.frames, _declared_by_riff(path, file))
        if declared * file.channels > LONGEST:  # all of them would be asked of memory at once
            raise FeatureProblem(
                f"its header declares {declared / rate / 3600:,.1f} hours of sound",
                "cut the recording into clips, or fetch it again",
                path,
            )
        samples = file.read(dtype="float32", always_2d=True)
    refuse_truncated(path, len(samples) / rate, declared / rate, exact=True)
    return np.ascontiguousarray(samples.T), rate


def _declared_by_riff(path: Path, file) -> int:
    """Return the frames that a WAV header declares; libsndfile quietly lowers its own count."""
    if file.format != "WAV" or not file.subtype.startswith(("PCM_", "FLOAT", "DOUBLE")):
        return 0
    with path.open("rb") as raw:
        raw.seek(12)
        while len(head := raw.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            if name == b"fmt ":
                block = struct.unpack("<12xH", raw.read(14))[0]
                raw.seek(size - 14 + size % 2, 1)
            elif name == b"data":
                # A recorder that writes to a pipe leaves 0 or all ones here: not known.
                return 0 if size >= 0xFFFFFF00 else size // block
            else:
                raw.seek(size + size % 2, 1)
    return 0


def _read_container(path: Path) -> tuple[np.ndarray, int]:
    import av

    with decoding(path, "as sound"), av.open(str(path)) as container:
        if not container.streams.audio:
            raise FeatureProblem(
                "no sound stream", "use the audio-visual or audio-only recordings", path
            )
        stream = container.streams.audio[0]
        rate = stream.rate
        declared = float((stream.duration or 0) * (stream.time_base or 0))
        plain = av.AudioResampler(format="fltp", rate=rate)  # float, a row for each channel
        pieces = [
            piece.to_ndarray()
            for frame in (*container.decode(stream), None)
            for piece in plain.resample(frame)
        ]
    if not pieces:
        raise FeatureProblem("the recording has no samples", BROKEN, path)
    samples = np.concatenate(pieces, axis=1)
    refuse_truncated(path, samples.shape[1] / rate, declared)
    return samples, rate


def fit_length(samples: np.ndarray, n: int) -> np.ndarray:
    """Cut n samples from the centre, or pad with silence at the end (Yang, section III.A.2)."""
    if len(samples) > n:
        start = (len(samples) - n) // 2
        return samples[start : start + n]
    return np.pad(samples, (0, n - len(samples)))


def time_stretch(samples: np.ndarray, rate: float = 0.8) -> np.ndarray:
    """Change the speed without the pitch; 0.8 makes speech slower and 1.25 times as long.

    Ding (section IV.A.2) and Lu (section IV.A) stretch RAVDESS by 0.8.
    """
    import librosa

    return librosa.effects.time_stretch(samples, rate=rate)


def pitch_shift(samples: np.ndarray, sample_rate: int, semitones: float = 2.0) -> np.ndarray:
    """Raise (or, below zero, lower) the pitch without the speed (Lu, Mostafa)."""
    import librosa

    return librosa.effects.pitch_shift(samples, sr=sample_rate, n_steps=semitones)


def add_noise(
    samples: np.ndarray, snr_db: float = 20.0, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Add white Gaussian noise that lies `snr_db` decibels below the signal's power (Lu)."""
    rng = rng if rng is not None else np.random.default_rng(0)
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    noise = rng.standard_normal(samples.shape, dtype=np.float32)
    return samples + np.float32(np.sqrt(power / 10 ** (snr_db / 10))) * noise


#: name -> (default value, function of samples, rate, value, generator)
AUGMENTATIONS = {
    "time_stretch": (0.8, lambda y, sr, value, rng: time_stretch(y, value)),
    "pitch_shift": (2.0, lambda y, sr, value, rng: pitch_shift(y, sr, value)),
    "noise": (20.0, lambda y, sr, value, rng: add_noise(y, value, rng)),
}


def _parse(augment: str) -> tuple[str, float]:
    known = {name: default for name, (default, _) in AUGMENTATIONS.items()}
    return parse_augmentation(augment, known, "sound")


@dataclass(frozen=True)
class _SoundRecipe(FeatureRecipe):
    """What recipes of sound share: how a clip becomes a signal.

    Parameters
    ----------
    augment
        ``"time_stretch"`` (0.8), ``"pitch_shift"`` (2 semitones), ``"noise"`` (20 dB
        signal-to-noise ratio), or with another value: ``"pitch_shift=-2"``.
    sample_rate
        Resample to this rate; None keeps the source's.
    duration_s
        Cut the centre or pad with silence to this length.
    """

    sample_rate: int | None = None
    duration_s: float | None = None
    n_fft: int = 2048
    hop_length: int = 512
    n_mels: int = 128

    def __post_init__(self):
        """Refuse an unknown augmentation before any clip is read."""
        if self.augment is not None:
            _parse(self.augment)

    def signal(self, row: Mapping) -> tuple[np.ndarray, int, dict]:
        """Return a clip's samples (n,), its rate, and ``channels``: how many were averaged."""
        samples, rate = _read(row["path"])
        notes = {"channels": len(samples)}
        samples, rate = _resampled(samples.mean(axis=0), rate, self.sample_rate)
        if self.augment is not None:
            name, value = _parse(self.augment)
            samples = AUGMENTATIONS[name][1](samples, rate, value, self.generator(row))
        if self.duration_s is not None:
            samples = fit_length(samples, round(self.duration_s * rate))
        return samples, rate, notes

    def mel_power(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Return the mel spectrogram: power, (n_mels, frames)."""
        import librosa

        spectrum = librosa.stft(samples, n_fft=self.n_fft, hop_length=self.hop_length)
        # |z|² without the square root in |z|.
        power = spectrum.real**2 + spectrum.imag**2
        return _mel_filters(rate, self.n_fft, self.n_mels) @ power


@cache
def _mel_filters(rate: int, n_fft: int, n_mels: int):
    """librosa's mel filters, made once and stored sparse: 98 % of them are zeros."""
    import librosa
    from scipy.sparse import csr_array

    return csr_array(librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels))


@dataclass(frozen=True)
class Mfcc(_SoundRecipe):
    """Mel-frequency cepstral coefficients, the values of `librosa.feature.mfcc`.

    Parameters
    ----------
    n_mfcc
        Number of coefficients.
    segments
        Cut the signal into this many equal pieces without overlap, each transformed by
        itself (Ding, figure 2: six); 1 is the whole clip (Lu). Several numbers give all:
        ``(1, 6)`` is the whole clip and its six segments from one reading of the file.
    pooling
        ``"mean"`` over time gives (segments, n_mfcc); None keeps the sequence of the whole
        clip, (n_mfcc, frames), which needs `frames` or `duration_s`.
    frames
        Length of the sequence: the signal is cut from its centre, or padded with silence.
    """

    n_mfcc: int = 40
    segments: int | tuple[int, ...] = 6
    pooling: str | None = "mean"
    frames: int | None = None

    def __post_init__(self):
        """Refuse options that do not fit together."""
        super().__post_init__()
        if self.pooling not in ("mean", None):
            raise ValueError(f"unknown pooling {self.pooling!r}: known are 'mean' and None")
        if self.pooling is None and self.frames is None and self.duration_s is None:
            raise ValueError("a sequence of one length for all clips needs frames= or duration_s=")

    def compute_noted(self, row: Mapping) -> tuple[np.ndarray, dict]:
        """Return (segments, n_mfcc), or the sequence (n_mfcc, frames), and ``channels``."""
        samples, rate, notes = self.signal(row)
        if self.pooling is None:
            if self.frames is not None:
                samples = fit_length(samples, (self.frames - 1) * self.hop_length)
            return self.coefficients(samples, rate), notes
        counts = (self.segments,) if isinstance(self.segments, int) else self.segments
        if len(samples) < max(counts):
            raise FeatureProblem(
                f"{len(samples)} samples are too few for {max(counts)} segments",
                "leave the clip out",
                row["path"],
            )
        n = len(samples)
        pieces = [
            samples[i * n // count : (i + 1) * n // count] for count in counts for i in range(count)
        ]
        pooled = [self.coefficients(piece, rate).mean(axis=1) for piece in pieces]
        return np.stack(pooled), notes

    def coefficients(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Return the MFCC of a signal: float32, (n_mfcc, frames)."""
        import librosa

        decibels = librosa.power_to_db(self.mel_power(samples, rate))
        return librosa.feature.mfcc(S=decibels, n_mfcc=self.n_mfcc)


@dataclass(frozen=True)
class MelSpectrogram(_SoundRecipe):
    """A mel spectrogram in decibels below its loudest value: float32, (n_mels, frames).

    Mostafa and Ishtiaq name no parameters: three seconds at 22,050 samples a second
    (librosa's default rate) are this package's choice.

    Parameters
    ----------
    duration_s
        Cut the centre or pad with silence to this length.
    """

    sample_rate: int | None = 22_050
    duration_s: float | None = 3.0

    def compute_noted(self, row: Mapping) -> tuple[np.ndarray, dict]:
        """Return the spectrogram of one clip and ``channels``."""
        import librosa

        samples, rate, notes = self.signal(row)
        return librosa.power_to_db(self.mel_power(samples, rate), ref=np.max), notes
