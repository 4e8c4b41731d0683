"""What comes before a network, as layers that go into its ONNX file.

Each layer gives what NumPy, librosa and OpenCV give in ``emolib.features``, on tensors whose batch
and length are free. Nothing is approximated by a network and nothing is learned: filters, windows
and matrices are those of the libraries themselves.
"""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emolib.features.audio import MelSpectrogram, Mfcc
from emolib.features.frft import FrftMfcc, eigenbasis

#: Taps of a resampling filter below this are left out: −140 dB.
_SMALLEST_TAP = 1e-7
#: `librosa.power_to_db` with its defaults: the least power, and decibels below the loudest.
_LEAST_POWER, _TOP_DB = 1e-10, 80.0


# --- waveforms (B, n) ----------------------------------------------------------------------------


class Resample(nn.Module):
    """Bring waveforms to another rate, as `librosa.resample` does: one strided convolution.

    A resampler between two fixed rates is linear and repeats itself every few samples, so that
    what it does to one impulse at each place of that period says all of it.

    Parameters
    ----------
    before, after
        Samples a second.
    """

    taps: Tensor

    def __init__(self, before: int, after: int):
        super().__init__()
        self.down, self.up = (rate // math.gcd(before, after) for rate in (before, after))
        self.reach, taps = _impulse_responses(before, after, self.down, self.up)
        self.register_buffer("taps", torch.from_numpy(taps)[:, None])  # (up, 1, reach + …)

    def forward(self, waveform: Tensor) -> Tensor:
        """Return ``(B, ⌈n · after / before⌉)`` for ``(B, n)``."""
        length, down = waveform.shape[1] * self.up, self.down
        padded = F.pad(waveform, (self.reach, self.taps.shape[-1] + down))
        phases = F.conv1d(padded[:, None], self.taps, stride=down)  # (B, up, periods)
        # The resampler rounds the length, librosa rounds it up and puts a zero there.
        heard, wanted = (2 * length + down) // (2 * down), (length + down - 1) // down
        return F.pad(phases.transpose(1, 2).flatten(1)[:, :heard], (0, wanted - heard))


def _impulse_responses(before: int, after: int, down: int, up: int) -> tuple[int, np.ndarray]:
    """Return how far a filter reaches back, and its taps: (up, taps), float32."""
    import librosa

    periods = math.ceil(600 * max(1, before / after) / down)  # to either side of the impulse
    impulses = np.zeros((down, 2 * periods * down))
    impulses[np.arange(down), periods * down + np.arange(down)] = 1
    heard = librosa.resample(impulses, orig_sr=before, target_sr=after)[:, : 2 * periods * up]
    # An output of phase r in period q hears the impulse at i from i − q·down away.
    phases = heard.reshape(down, 2 * periods, up)
    taps = phases[:, ::-1].transpose(2, 1, 0).reshape(up, -1)  # column: i − q·down + reach
    reach = (periods - 1) * down
    used = np.flatnonzero(np.abs(taps).max(0) > _SMALLEST_TAP)
    first = used[0]
    return reach - int(first), taps[:, first : used[-1] + 1].astype(np.float32)


class FitLength(nn.Module):
    """Cut n samples from the centre, or pad with silence: `emolib.features.audio.fit_length`."""

    def __init__(self, n: int):
        super().__init__()
        self.n = n

    def forward(self, waveform: Tensor) -> Tensor:
        """Return ``(B, n)`` for waveforms ``(B, …)``."""
        start = torch.sym_max(0, (waveform.shape[1] - self.n) // 2)
        return F.pad(waveform, (0, self.n)).narrow(1, start, self.n)


# --- spectra -------------------------------------------------------------------------------------


class MelPower(nn.Module):
    """The mel spectrogram of `emolib.features.audio`, by the STFT operator: (B, n_mels, frames).

    Parameters
    ----------
    recipe, rate
        The recipe, and samples a second.
    """

    window: Tensor

    def __init__(self, recipe: Any, rate: int):
        super().__init__()
        self.n_fft, self.hop = recipe.n_fft, recipe.hop_length
        self.register_buffer("window", torch.hann_window(self.n_fft))
        self.filters = MelFilters(rate, self.n_fft, recipe.n_mels)

    def forward(self, waveform: Tensor) -> Tensor:
        """Return power ``(B, n_mels, 1 + n // hop)`` for ``(B, n)``."""
        padded = F.pad(waveform, (self.n_fft // 2, self.n_fft // 2))
        spectrum = torch.stft(
            padded, self.n_fft, self.hop, window=self.window, center=False, return_complex=True
        )
        parts = torch.view_as_real(spectrum).square()
        return self.filters(parts.sum(-1))


class MelFilters(nn.Module):
    """librosa's mel filters, stored as the 2 % of them that are not zero."""

    at: Tensor
    weights: Tensor

    def __init__(self, rate: int, n_fft: int, n_mels: int):
        super().__init__()
        import librosa

        filters = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels).astype(np.float32)
        self.shape = filters.shape
        at = np.flatnonzero(filters)
        self.register_buffer("at", torch.from_numpy(at))
        self.register_buffer("weights", torch.from_numpy(filters.ravel()[at]))

    def forward(self, power: Tensor) -> Tensor:
        """Return ``(B, n_mels, frames)`` for ``(B, n_fft // 2 + 1, frames)``."""
        # From the input, so that no optimiser makes the zeros in advance and stores them.
        zeros = power.flatten()[:1].mul(0).expand(self.shape[0] * self.shape[1])
        return zeros.scatter(0, self.at, self.weights).view(self.shape) @ power


class FractionalMelPower(nn.Module):
    """The mel filters on the power of the fractional Fourier transform, `FrftMfcc.mel_power`.

    No fast operator has the transform, so it is a change of basis, a turn of each coefficient by
    its index times the order, and a change back. The basis is of even and of odd sequences, which
    share no coefficient: each is stored over half of the frame.
    """

    window: Tensor
    even: Tensor
    odd: Tensor
    cos: Tensor
    sin: Tensor

    def __init__(self, recipe: FrftMfcc, rate: int):
        super().__init__()
        from scipy.signal import get_window

        self.n, self.hop = recipe.n_fft, recipe.hop_length
        self.pre_emphasis, self.folded = recipe.pre_emphasis, recipe.folded
        self.filters = MelFilters(rate, self.n, recipe.n_mels)
        self.register_buffer(
            "window", torch.from_numpy(get_window(recipe.window, self.n).astype(np.float32))
        )
        vectors, index = eigenbasis(self.n)
        even = index % 2 == 0
        half = self.n // 2 + 1
        for name, part in (("even", even), ("odd", ~even)):
            self.register_buffer(name, torch.from_numpy(vectors[:half, part].astype(np.float32)))
        orders = recipe.orders if recipe.order is None else (recipe.order,)
        turns = np.remainder(np.outer(orders, np.concatenate([index[even], index[~even]])), 4.0)
        phases = np.exp(-0.5j * np.pi * turns)
        self.register_buffer("cos", torch.from_numpy(phases.real.astype(np.float32)))
        self.register_buffer("sin", torch.from_numpy(phases.imag.astype(np.float32)))

    def forward(self, waveform: Tensor) -> Tensor:
        """Return power ``(B, n_mels, frames)`` for ``(B, n)``."""
        spectra = self.power(self._frames(waveform))  # (B, T, orders, n)
        if self.cos.shape[0] == 1:
            power = spectra[:, :, 0]
        else:
            total = spectra.sum(-1, keepdim=True)
            share = spectra / total.clamp(min=1e-30)
            best = share.square().sum(-1).argmax(-1)  # (B, T): the most concentrated
            power = spectra.gather(2, best[:, :, None, None].expand(-1, -1, 1, self.n))[:, :, 0]
        half = self.n // 2 + 1
        if self.folded:
            mirrored = torch.cat([power[..., :1], power[..., 1:].flip(-1)], -1)
            power = (power + mirrored) / 2
        return self.filters(power[..., :half].transpose(1, 2) * self.n)

    def _frames(self, waveform: Tensor) -> Tensor:
        """Return windowed frames ``(B, T, n)``, time zero first."""
        if self.pre_emphasis:
            # The filter of librosa starts from 2·y[0] − y[1], which it adds as it is.
            first = 3 * waveform[:, :1] - waveform[:, 1:2]
            rest = waveform[:, 1:] - self.pre_emphasis * waveform[:, :-1]
            waveform = torch.cat([first, rest], 1)
        padded = F.pad(waveform, (self.n // 2, self.n // 2))
        # A frame is n/hop neighbouring pieces of one hop.
        count = 1 + waveform.shape[1] // self.hop
        pieces = padded[:, : padded.shape[1] // self.hop * self.hop].unflatten(1, (-1, self.hop))
        frames = torch.cat([pieces[:, i : i + count] for i in range(self.n // self.hop)], -1)
        frames = frames * self.window
        return torch.cat([frames[..., self.n // 2 :], frames[..., : self.n // 2]], -1)

    def power(self, frames: Tensor) -> Tensor:
        """Return the power of the transform of each order, ``(B, T, orders, n)``."""
        half, middle = self.n // 2 + 1, self.n // 2
        mirrored = torch.cat([frames[..., :1], frames[..., 1:].flip(-1)], -1)
        # The fixed points 0 and n/2 count once in an even sequence, all other places twice.
        once = (frames + mirrored)[..., :half]
        sides = torch.cat([once[..., :1] / 2, once[..., 1:middle], once[..., middle:] / 2], -1)
        even = sides @ self.even
        odd = (frames - mirrored)[..., :half] @ self.odd
        within = torch.cat([even, odd], -1)[:, :, None]  # (B, T, 1, n)
        n_even = self.even.shape[1]
        power = torch.zeros(())
        for phase in (self.cos, self.sin):
            turned = within * phase  # (B, T, orders, n)
            evens = turned[..., :n_even] @ self.even.T  # (B, T, orders, half)
            odds = turned[..., n_even:] @ self.odd.T
            first, second = evens + odds, (evens - odds)[..., 1:middle].flip(-1)
            power = power + torch.cat([first, second], -1).square()
        return power


class Decibels(nn.Module):
    """`librosa.power_to_db` of each clip of a batch."""

    def forward(self, power: Tensor) -> Tensor:
        """Return decibels of the shape of `power` ``(B, n_mels, frames)``."""
        decibels = 10 * power.clamp(min=_LEAST_POWER).log10()
        return decibels.maximum(decibels.amax((1, 2), keepdim=True) - _TOP_DB)


class Cepstrum(nn.Module):
    """Mel power to MFCC, `Mfcc.coefficients`: decibels, and the first coefficients of a DCT.

    Parameters
    ----------
    recipe
        May ask for differences in time (`FrftMfcc.deltas`), where the number of frames is fixed.
    frames
        That number.
    """

    cosines: Tensor
    slopes: Tensor

    def __init__(self, recipe: Mfcc, frames: int | None = None):
        super().__init__()
        from scipy.fft import dct

        cosines = dct(np.eye(recipe.n_mels), axis=0, norm="ortho")[: recipe.n_mfcc]
        self.register_buffer("cosines", torch.from_numpy(cosines.astype(np.float32)))
        self.decibels = Decibels()
        self.orders = getattr(recipe, "deltas", 0)
        if self.orders:
            self.register_buffer("slopes", _slopes(frames, self.orders))

    def forward(self, power: Tensor) -> Tensor:
        """Return ``(B, (1 + deltas) · n_mfcc, frames)`` for ``(B, n_mels, frames)``."""
        static = self.cosines @ self.decibels(power)
        if not self.orders:
            return static
        return torch.cat([static, *(static @ slope for slope in self.slopes)], 1)


def _slopes(frames: int | None, orders: int) -> Tensor:
    """Return `librosa.feature.delta` of each order as a matrix, ``(orders, frames, frames)``."""
    import librosa

    mode = "interp" if frames and frames >= 9 else "nearest"
    each = np.eye(frames or 1, dtype=np.float64)
    slopes = [librosa.feature.delta(each, order=k, mode=mode) for k in range(1, orders + 1)]
    return torch.from_numpy(np.stack(slopes).astype(np.float32))


# --- from waveforms to what a recipe computes ----------------------------------------------------


class Sound(nn.Module):
    """A recipe of sound, on waveforms of one rate: ``(B, n)`` to ``(B, …)``, what it computes.

    Parameters
    ----------
    recipe
        `Mfcc`, `FrftMfcc` or `MelSpectrogram` (`emolib.papers.mostafa.LogMel`).
    rate
        Samples a second of the waveform.
    wanted
        Samples a second of what the recipe is computed from, where it keeps that of the source.
    """

    def __init__(self, recipe: Any, rate: int, wanted: int):
        super().__init__()
        wanted = recipe.sample_rate or wanted
        self.resample: nn.Module = nn.Identity() if rate == wanted else Resample(rate, wanted)
        n = None if recipe.duration_s is None else round(recipe.duration_s * wanted)
        pooled = isinstance(recipe, Mfcc) and recipe.pooling is not None
        if not pooled and getattr(recipe, "frames", None) is not None:
            n = (recipe.frames - 1) * recipe.hop_length
        self.fit: nn.Module = nn.Identity() if n is None else FitLength(n)
        self.segments = recipe.segments if pooled else None
        fractional = isinstance(recipe, FrftMfcc)
        self.mel = (FractionalMelPower if fractional else MelPower)(recipe, wanted)
        frames = None if n is None else 1 + n // recipe.hop_length
        cepstral = isinstance(recipe, Mfcc)
        self.then: nn.Module = Cepstrum(recipe, frames) if cepstral else Decibels()
        # `MelSpectrogram` itself is below its loudest value; `LogMel` is of full scale.
        self.below_loudest = type(recipe) is MelSpectrogram

    def forward(self, waveform: Tensor) -> Tensor:
        """Return what the recipe computes: MFCC ``(B, segments, n_mfcc)``, or a spectrogram."""
        waveform = self.fit(self.resample(waveform))
        if self.segments is None:
            values = self.then(self.mel(waveform))
            return values - values.amax((1, 2), keepdim=True) if self.below_loudest else values
        n, count = waveform.shape[1], self.segments
        cuts = [i * n // count for i in range(count + 1)]
        pieces = [waveform[:, first:last] for first, last in pairwise(cuts)]
        return torch.stack([self.then(self.mel(piece)).mean(-1) for piece in pieces], 1)


class Spoken(nn.Module):
    """The spoken part of spectrograms in decibels, `emolib.papers.ishtiaq.spoken`.

    Parameters
    ----------
    steps, trim_db, floor_db
        Frames to keep; what is so much quieter than the loudest frame at either end is cut off,
        and nothing lies further below the loudest value than the floor.
    """

    at: Tensor

    def __init__(self, steps: int, trim_db: float, floor_db: float):
        super().__init__()
        self.trim_db, self.floor_db = trim_db, floor_db
        self.register_buffer("at", torch.arange(steps))

    def forward(self, decibels: Tensor) -> Tensor:
        """Return ``(B, n_mels, steps)`` for ``(B, n_mels, T)``."""
        steps, frames = self.at.shape[0], decibels.shape[2]
        loudness = 10 * (10 ** (decibels / 10)).sum(1).clamp(min=_LEAST_POWER).log10()  # (B, T)
        heard = (loudness > loudness.amax(1, keepdim=True) - self.trim_db).float()
        first = heard.argmax(1, keepdim=True)
        width = frames - heard.flip(1).argmax(1, keepdim=True) - first  # (B, 1)
        missing = (steps - width).clamp(min=0)
        start = first + (width - steps).clamp(min=0) // 2
        source = (self.at + start - missing).clamp(0, frames - 1)  # (B, steps)
        floor = decibels.amax((1, 2), keepdim=True) - self.floor_db
        words = decibels.gather(2, source[:, None].expand(-1, decibels.shape[1], -1))
        return torch.where((self.at < missing)[:, None], floor, words.maximum(floor))


# --- pictures (B, H, W, 3 or 1), uint8 -----------------------------------------------------------


class Grey(nn.Module):
    """Colour pictures to grey ones (ITU-R 601, in OpenCV's steps of 2⁻¹⁵); grey ones stay."""

    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor([9798.0, 19235.0, 3735.0]))

    def forward(self, picture: Tensor) -> Tensor:
        """Return float ``(B, H, W)``, whole numbers from 0 to 255."""
        return (((picture.float() * self.weights).sum(-1) + 2**14) / 2**15).floor()


class Square(nn.Module):
    """The largest centred square of a picture at another size, as OpenCV resizes.

    Smaller by the mean over the area of each new pixel, larger by straight lines between the
    middles of the old ones: both are a matrix for the rows and one for the columns.
    """

    at: Tensor

    def __init__(self, size: int):
        super().__init__()
        self.register_buffer("at", torch.arange(size, dtype=torch.float32)[:, None])

    def forward(self, grey: Tensor) -> Tensor:
        """Return uint8 ``(B, size, size)`` for float ``(B, H, W)``."""
        ones = torch.ones_like(grey[:1])
        height, width = ones[0, :, 0].sum(), ones[0, 0].sum()
        side = height.minimum(width)
        rows = self._matrix(side, height, ones[0, :, 0])
        columns = self._matrix(side, width, ones[0, 0])
        return (rows @ grey @ columns.T).round().clamp(0, 255).to(torch.uint8)

    def _matrix(self, side: Tensor, length: Tensor, ones: Tensor) -> Tensor:
        """Return the weights of the old pixels in each new one, ``(size, length)``."""
        size = self.at.shape[0]
        scale, offset = side / size, ((length - side) / 2).floor()
        old = ones.cumsum(0) - 1 - offset  # numbered from the square's edge
        overlap = ((self.at + 1) * scale).minimum(old + 1) - (self.at * scale).maximum(old)
        area = overlap.clamp(min=0) / scale
        middle = ((self.at + 0.5) * scale - 0.5).clamp(min=0).minimum(side - 1)
        lines = (1 - (middle - old).abs()).clamp(min=0)
        return torch.where(side > size, area, lines)
