"""The fractional Fourier transform, and MFCC with it in place of the Fourier transform.

Yang et al. (Section III-B.2) define the transform of order p for functions on the real line
(eq. 1 to 3) as a rotation of the time-frequency plane by α = pπ/2, and apply it to sampled
speech without saying how. `dfrft` is the discrete transform of Candan, Kutay and Ozaktas (2000,
doi:10.1109/78.839980): the Fourier matrix has an orthonormal basis of sampled Hermite-Gauss
functions, eigenvectors of a matrix that commutes with it, and its p-th power raises the
eigenvalues (-j)^k to p. That makes it what sampled versions of eq. 1 are not: unitary, additive
in its order, and the ordinary DFT at order one, for any number of samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emolib.features.audio import Mfcc, _mel_filters

# --- the discrete transform ---------------------------------------------------------------------


@lru_cache(maxsize=32)
def eigenbasis(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the discrete Hermite-Gauss basis of length `n` and each vector's index.

    S = (second difference) + (its Fourier transform) commutes with the DFT, so both share
    eigenvectors. Split into even and odd sequences, S is two tridiagonal matrices without
    repeated eigenvalues, which makes the basis unique up to sign. Sorted by falling eigenvalue
    the even vectors have 0, 2, 4, … and the odd ones 1, 3, 5, … zero crossings: the index k of
    the Hermite function that each samples. For even `n` the index n - 1 is left out in favour
    of n, because the DFT has one even eigenvector more.

    Parameters
    ----------
    n
        Number of samples, at least 1.

    Returns
    -------
    vectors, index
        Orthonormal columns ``(n, n)``, float64, and integers ``(n,)``; both are kept in a cache
        and cannot be written to.
    """
    from scipy.linalg import eigh_tridiagonal

    if n < 1:
        raise ValueError(f"a transform of {n} samples: the last axis needs at least one")
    diagonal = 2 * np.cos(2 * np.pi * np.arange(n // 2 + 1) / n)
    n_odd = (n - 1) // 2

    # Even sequences: e_0, (e_m + e_{n-m})/√2 and, if n is even, e_{n/2}.
    even_diagonal, even_side = diagonal.copy(), np.ones(n // 2)
    if n > 2:
        even_side[0] = np.sqrt(2)
    if n % 2 == 0:
        even_side[-1] *= np.sqrt(2)  # at the other fixed point, n/2
    if n == 2:
        even_side[0] = 2.0  # e_0 and e_1 are neighbours on both sides
    if n % 2 and n > 1:
        even_diagonal[-1] += 1  # m = (n-1)/2 has its own mirror image as a neighbour
    # Odd sequences: (e_m - e_{n-m})/√2.
    odd_diagonal, odd_side = diagonal[1 : n_odd + 1].copy(), np.ones(max(n_odd - 1, 0))
    if n % 2 and n_odd:
        odd_diagonal[-1] -= 1

    vectors: np.ndarray = np.zeros((n, n))
    index: np.ndarray = np.empty(n, dtype=np.int64)
    m = np.arange(1, n_odd + 1)

    _, even = eigh_tridiagonal(even_diagonal, even_side, lapack_driver="stev")
    n_even = n // 2 + 1
    columns = np.zeros((n, n_even))
    columns[0] = even[0]
    columns[m] = columns[n - m] = even[m] / np.sqrt(2)
    if n % 2 == 0:
        columns[n // 2] = even[n // 2]
    vectors[:, :n_even] = columns[:, ::-1]  # falling eigenvalue
    index[:n_even] = np.arange(0, 2 * n_even, 2)

    if n_odd:
        _, odd = eigh_tridiagonal(odd_diagonal, odd_side, lapack_driver="stev")
        columns = np.zeros((n, n_odd))
        columns[m], columns[n - m] = odd / np.sqrt(2), -odd / np.sqrt(2)
        vectors[:, n_even:] = columns[:, ::-1]
        index[n_even:] = np.arange(1, 2 * n_odd, 2)

    order = np.argsort(index)
    vectors, index = np.ascontiguousarray(vectors[:, order]), index[order]
    vectors.setflags(write=False)
    index.setflags(write=False)
    return vectors, index


def dfrft(x: Any, order: Any) -> Any:
    """Return the discrete fractional Fourier transform over the last axis.

    Order 0 gives `x`, 1 its unitary DFT (``np.fft.fft(x, norm="ortho")``), 2 its reversal
    ``x[-n]``, 3 the inverse DFT. Time and frequency zero are the first sample, as for the DFT;
    a signal whose time zero is its middle must be put there first (``np.fft.ifftshift``).

    Parameters
    ----------
    x
        Samples ``(..., N)``, real or complex. A tensor gives a tensor, differentiable in `x`
        and in `order`; everything else a numpy array. Single precision stays single.
    order
        The order p, one number or an array that broadcasts against ``x.shape[:-1]``. The angle
        of Yang's eq. 2 is α = pπ/2. Orders form a circle: p and p + 4 are the same
        transform and -p is the inverse of p, so an order outside [0, 4) is reduced modulo 4.

    Returns
    -------
    ndarray or Tensor
        Complex ``(..., N)``.

    Raises
    ------
    ValueError
        If there are no samples, or if a sample or the order is NaN or infinite.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    >>> np.allclose(dfrft(dfrft(x, 0.3), 0.7), np.fft.fft(x, norm="ortho"))
    True
    >>> dfrft(x, 2).real.round(6)
    array([1., 5., 4., 3., 2.])
    """
    x, order = _precise(x, order)
    return _out_of_basis(*_into_basis(x), order)


def _precise(x: Any, order: Any) -> tuple[Any, Any]:
    """Return samples of single or double precision, real or complex, and the order in double."""
    if isinstance(x, Tensor):
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        return x, torch.as_tensor(order, dtype=torch.float64, device=x.device)  # with its gradient
    x = np.asarray(x)
    if x.dtype not in (np.float32, np.complex64):
        x = x.astype(np.complex128 if np.iscomplexobj(x) else np.float64, copy=False)
    return x, np.asarray(order.detach().cpu() if isinstance(order, Tensor) else order, np.float64)


def _into_basis(x: Any) -> tuple[Any, Any, Any]:
    """Return the coefficients of `x` in the eigenbasis, the basis, and its indices."""
    if not x.shape or x.shape[-1] == 0:
        raise ValueError(
            f"samples of shape {tuple(x.shape)}: the last axis, which is transformed, needs at "
            "least one sample"
        )
    if not _library(x).isfinite(x).all():
        raise ValueError(
            "samples that are NaN or infinite would spread over the whole transform: "
            "repair or leave out the recording"
        )
    vectors: Any
    index: Any
    vectors, index = eigenbasis(x.shape[-1])
    if isinstance(x, Tensor):
        vectors, index = (x.new_tensor(values, dtype=x.real.dtype) for values in (vectors, index))
    else:
        vectors = vectors.astype(x.real.dtype, copy=False)
    return _times(x, vectors), vectors, index


def _out_of_basis(coefficients: Any, vectors: Any, index: Any, order: Any) -> Any:
    """Raise the eigenvalues to the power of `order`, and return to samples."""
    library = _library(coefficients)
    if not library.isfinite(order).all():
        raise ValueError("the order is NaN or infinite: give a number, 0 ≤ p < 4")
    # Phases in double precision also for single-precision samples: k·p runs into the hundreds.
    turns = library.remainder(order[..., None] * index, 4.0)  # (..., N)
    phases = library.exp(-0.5j * np.pi * turns)
    if isinstance(phases, Tensor):
        phases = phases.to(torch.promote_types(coefficients.dtype, torch.complex64))
    else:
        phases = phases.astype(np.result_type(coefficients.dtype, np.complex64))
    return _times(coefficients * phases, vectors.T)


def _library(x: np.ndarray | Tensor) -> Any:
    """Return the library that computes with `x`; both name what the transform needs alike."""
    return torch if isinstance(x, Tensor) else np


def _times(x: Any, matrix: Any) -> Any:
    """Multiply by a real matrix without casting it to complex, which would double the work."""
    if isinstance(x, Tensor):
        return torch.complex(x.real @ matrix, x.imag @ matrix) if x.is_complex() else x @ matrix
    if not np.iscomplexobj(x):
        return x @ matrix
    # Every second number of a complex array is real: numpy multiplies such strides without BLAS.
    real, imaginary = np.ascontiguousarray(x.real), np.ascontiguousarray(x.imag)
    return real @ matrix + 1j * (imaginary @ matrix)


class FractionalFourier(nn.Module):
    """The transform as a layer whose order is learned.

    Parameters
    ----------
    order
        Where the order starts: one number, or several that become several transforms of the
        same signal. The folded power of a real signal is the same at p and 2 - p (see
        `folded_power`), so it has no slope at exactly 1: start beside it.

    Examples
    --------
    >>> layer = FractionalFourier(0.9)
    >>> layer(torch.randn(8, 400)).abs().sum().backward()
    >>> layer.order.grad is not None
    True
    """

    def __init__(self, order: float | Sequence[float] = 0.9):
        super().__init__()
        self.order = nn.Parameter(torch.tensor(order, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(..., N)`` for ``(..., N)``; of H orders, ``(..., H, N)``."""
        return dfrft(x if self.order.dim() == 0 else x.unsqueeze(-2), self.order)


# --- the order that suits a signal ----------------------------------------------------------------


def concentration(spectrum: np.ndarray) -> np.ndarray:
    """Return how much of the energy is in few samples: Σ|X|⁴ / (Σ|X|²)², from 1/N to 1.

    Parameters
    ----------
    spectrum
        Transform ``(..., N)``.

    Returns
    -------
    ndarray
        ``(...)``: 1 for a single line, 1/N for a flat spectrum, and 1/N for silence.
    """
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    total = power.sum(axis=-1, keepdims=True)
    flat = 1 / spectrum.shape[-1]
    share = np.divide(power, total, out=np.full_like(power, flat), where=total > 0)
    return (share**2).sum(axis=-1)


def best_order(x: np.ndarray, orders: Sequence[float]) -> np.ndarray:
    """Return, for each signal, the order among `orders` with the most concentrated transform.

    Parameters
    ----------
    x
        Signals ``(..., N)``.
    orders
        Candidates.

    Returns
    -------
    ndarray
        ``(...)``, float64.
    """
    x, candidates = _precise(np.asarray(x), orders)
    # Orders add, so all transforms start from one step into the eigenbasis.
    within = _into_basis(x)
    concentrated = [concentration(_out_of_basis(*within, order)) for order in candidates]
    return candidates[np.argmax(concentrated, axis=0)]


def plane(x: np.ndarray, points: int = 48) -> np.ndarray:
    """Return the energy of a signal over time and frequency, seen through a round window.

    A Gaussian whose Fourier transform is as wide as itself sees time and frequency alike, so the
    picture of the transform of order p is that of the signal, turned by pπ/2.

    Parameters
    ----------
    x
        Samples ``(N,)``, time zero first as for `dfrft`.
    points
        Steps of both axes, from -N/2 to N/2.

    Returns
    -------
    ndarray
        ``(points, points)``: rows are frequencies, from low to high; columns are times.
    """
    n = len(x)
    m = np.arange(n) - n // 2
    places = np.linspace(-n / 2, n / 2, points, endpoint=False) + n / points / 2
    windows = np.exp(-np.pi * (m - places[:, None]) ** 2 / n)  # (times, N)
    waves = np.exp(-2j * np.pi * places[:, None] * m / n)  # (frequencies, N)
    return np.abs(waves @ (windows * np.fft.fftshift(x)).T) ** 2


# --- MFCC with it (Yang, Section III-B.2) ---------------------------------------------------------

# Where the order of a frame is looked for, nearest to 1 first, so that a tie is the plain DFT. A
# partial that glides by Δf during a frame is a line of slope c = ±Δf / sample rate in the
# time-frequency plane. It stands still at p = 1 + (2/π)·arctan c and, in a real frame, as well at
# 2 - p, so that orders below one are enough: 100 Hz within a frame at 22,050 Hz is p = 0.997.
# Voices do not ask for orders far from one.
ORDERS = (1.0, 0.999, 0.998, 0.996, 0.993, 0.99, 0.98, 0.96, 0.93, 0.9)


def folded_power(spectrum: np.ndarray) -> np.ndarray:
    """Return the power of each frequency and its negative together.

    At order 1 a real frame has the same power on both sides, and half of them is enough. At
    other orders the sides differ and both count. For a real frame the sides at order 2 - p are
    those at order p with their places exchanged, so the folded power is symmetric about p = 1
    and orders from 0 to 1 are all there is.

    Parameters
    ----------
    spectrum
        Transform ``(..., N)``.

    Returns
    -------
    ndarray
        Mean power of samples n and N - n, ``(..., N//2 + 1)``.
    """
    power = spectrum.real**2 + spectrum.imag**2
    half = power.shape[-1] // 2 + 1
    mirrored = np.roll(power[..., ::-1], 1, axis=-1)  # [n] → [-n]
    return (power[..., :half] + mirrored[..., :half]) / 2


@dataclass(frozen=True)
class FrftMfcc(Mfcc):
    """MFCC whose frames pass through the fractional instead of the ordinary Fourier transform.

    Pre-emphasis, frames, Hamming window, DFrFT of order p, power, mel filters, logarithm, DCT.
    Each frame's time zero is its middle. At order 1 these are ordinary MFCC. At any other order
    the axis of the transform is a mixture of time and frequency, which has no Hertz; the mel
    filters are applied to it all the same, because the paper does so.

    The paper leaves open p, the number of coefficients, the frames and the mel bands. Everything
    it does not state is an option; what it states is the default: clips of 3.6 s (centre cut, or
    padded with silence), read with librosa (22,050 samples a second).

    Parameters
    ----------
    order
        p, 0 ≤ p < 4, the same for every frame; None takes for each frame the order among
        `orders` at which its energy is most concentrated ("adaptively identifies the domain in
        which the signal's energy is most concentrated").
    orders
        Candidates for ``order=None``.
    pre_emphasis
        a in y[t] - a·y[t-1]; 0 for none.
    window
        Any name that scipy knows.
    folded
        True counts both sides of the transform (see `folded_power`); False takes the first
        half only, as code written for order 1 would.
    deltas
        0, or 1 or 2 to append the first and second differences in time: the result then has
        ``(1 + deltas) * n_mfcc`` rows.

    Raises
    ------
    ValueError
        If an order is outside [0, 4). The transform itself would take it modulo 4; here it is
        most likely the angle α = pπ/2, which the paper calls by the same letter.
    """

    sample_rate: int | None = 22_050
    duration_s: float | None = 3.6
    n_fft: int = 512
    hop_length: int = 256
    n_mels: int = 64
    n_mfcc: int = 10  # as `emolib.models.yang` takes by default
    pooling: str | None = None
    order: float | None = None
    orders: tuple[float, ...] = ORDERS
    pre_emphasis: float = 0.97
    window: str = "hamming"
    folded: bool = True
    deltas: int = 0

    def __post_init__(self):
        """Refuse options that do not fit together."""
        super().__post_init__()
        if self.order is None and not self.orders:
            raise ValueError("order=None chooses among orders=, which is empty: give candidates")
        for order in (*self.orders, *(() if self.order is None else (self.order,))):
            if not 0 <= order < 4:
                raise ValueError(
                    f"order {order} is outside [0, 4): give the order p, not the angle α = pπ/2 "
                    f"(for an angle α that is 2α/π), and take p modulo 4"
                )
        if self.deltas not in (0, 1, 2):
            raise ValueError(f"deltas={self.deltas}: choose 0, 1 or 2")

    def windowed_frames(self, samples: np.ndarray) -> np.ndarray:
        """Return the frames that are transformed, ``(frames, n_fft)``, time zero first."""
        import librosa
        from scipy.signal import get_window

        if self.pre_emphasis:
            samples = librosa.effects.preemphasis(samples, coef=self.pre_emphasis)
        padded = np.pad(samples, self.n_fft // 2)  # a frame's time is its middle, as in librosa
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.n_fft)[:: self.hop_length]
        window = get_window(self.window, self.n_fft).astype(samples.dtype)
        return np.fft.ifftshift(frames * window, axes=-1)

    def frame_orders(self, samples: np.ndarray) -> np.ndarray:
        """Return the order of every frame of a signal, ``(frames,)``."""
        frames = self.windowed_frames(samples)
        if self.order is not None:
            return np.full(len(frames), self.order)
        return best_order(frames, self.orders)

    def mel_power(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Return the mel filters applied to the power of the transform, ``(n_mels, frames)``."""
        frames = self.windowed_frames(samples)
        order = self.order if self.order is not None else best_order(frames, self.orders)
        spectrum = dfrft(frames, order) * np.sqrt(np.float32(self.n_fft))  # the DFT's own scale
        half = spectrum[:, : self.n_fft // 2 + 1]
        power = folded_power(spectrum) if self.folded else np.abs(half) ** 2
        return _mel_filters(rate, self.n_fft, self.n_mels) @ power.T

    def coefficients(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Return the coefficients of a signal: float32, ``((1 + deltas)·n_mfcc, frames)``."""
        import librosa

        static = super().coefficients(samples, rate)
        mode = "interp" if static.shape[1] >= 9 else "nearest"  # 9 frames make one difference
        orders = range(1, self.deltas + 1)
        deltas = [librosa.feature.delta(static, order=order, mode=mode) for order in orders]
        return np.concatenate([static, *deltas])
