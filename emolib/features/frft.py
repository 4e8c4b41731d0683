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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from emolib.features.store import FeatureProblem, FeatureRecipe  # noqa

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

    vectors, index = np.zeros((n, n)), np.empty(n, dtype=np.int64)
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


def dfrft(x: np.ndarray | Tensor, order: float | np.ndarray | Tensor) -> np.ndarray | Tensor:
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
    if isinstance(x, Tensor):
        return _dfrft_torch(x, order)
    x = np.asarray(x)
    if x.dtype not in (np.float32, np.complex64):
        x = x.astype(np.complex128 if np.iscomplexobj(x) else np.float64, copy=False)
    order = np.asarray(order.detach().cpu() if isinstance(order, Tensor) else order, np.float64)
    _check(x.shape, bool(np.isfinite(x).all()), bool(np.isfinite(order).all()))
    vectors, index = eigenbasis(x.shape[-1])
    # Phases in double precision also for single-precision samples: k·p runs into the hundreds.
    turns = np.remainder(order[..., None] * index, 4.0)  # (..., N)
    phases = np.exp(-0.5j * np.pi * turns).astype(np.result_type(x.dtype, np.complex64))
    vectors = vectors.astype(x.real.dtype, copy=False)
    coefficients = _times(x, vectors) * phases  # (..., N)
    return _times(coefficients, vectors.T)


def _times(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Multiply by a real matrix without casting it to complex, which would double the work."""
    return x.real @ matrix + 1j * (x.imag @ matrix) if np.iscomplexobj(x) else x @ matrix


@lru_cache(maxsize=32)
def _eigenbasis_torch(
    n: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    vectors, index = eigenbasis(n)
    return (
        torch.tensor(vectors, dtype=dtype, device=device),
        torch.tensor(index, dtype=torch.float64, device=device),
    )


def _dfrft_torch(x: Tensor, order: float | Tensor) -> Tensor:
    if not (x.is_floating_point() or x.is_complex()):
        x = x.to(torch.get_default_dtype())
    order = torch.as_tensor(order, device=x.device).to(torch.float64)
    _check(tuple(x.shape), bool(x.isfinite().all()), bool(order.isfinite().all()))
    real = torch.float64 if x.dtype in (torch.float64, torch.complex128) else torch.float32
    vectors, index = _eigenbasis_torch(x.shape[-1], real, x.device)
    angle = torch.remainder(order.unsqueeze(-1) * index, 4.0) * (torch.pi / 2)  # (..., N)
    cosine, sine = angle.cos().to(real), angle.sin().to(real)
    if x.is_complex():
        a, b = x.real.to(real) @ vectors, x.imag.to(real) @ vectors
        real_part, imaginary_part = a * cosine + b * sine, b * cosine - a * sine
    else:
        a = x.to(real) @ vectors
        real_part, imaginary_part = a * cosine, -a * sine
    return torch.complex(real_part @ vectors.T, imaginary_part @ vectors.T)


def _check(shape: Sequence[int], samples_are_finite: bool, order_is_finite: bool) -> None:
    if not shape or shape[-1] == 0:
        raise ValueError(
            f"samples of shape {tuple(shape)}: the last axis, which is transformed, needs at "
            "least one sample"
        )
    if not samples_are_finite:
        raise ValueError(
            "samples that are NaN or infinite would spread over the whole transform: "
            "repair or leave out the recording"
        )
    if not order_is_finite:
        raise ValueError("the order is NaN or infinite: give a number, 0 ≤ p < 4")


class FractionalFourier(nn.Module):
    """The transform as a layer whose order is learned.

    Parameters
    ----------
    order
        Where the order starts: one number, or several that become several transforms of the
        same signal. At exactly 1 the power spectrum of a real, symmetric frame has no slope in
        the order; start beside it.

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
    power = np.abs(spectrum) ** 2
    total = power.sum(axis=-1)
    flat = 1 / spectrum.shape[-1]
    return np.divide(
        (power**2).sum(axis=-1), total**2, out=np.full_like(total, flat), where=total > 0
    )


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
    orders = np.asarray(orders, dtype=np.float64)
    found = np.stack([concentration(dfrft(x, order)) for order in orders])  # (orders, ...)
    return orders[found.argmax(axis=0)]
