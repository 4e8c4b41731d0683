"""The fractional Fourier transform: its algebra, its meaning, and MFCC made with it."""

import time

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emolib.features import frft
from emolib.features.audio import Mfcc
from emolib.features.frft import FractionalFourier, FrftMfcc, dfrft
from emolib.features.store import FeatureProblem
from emolib.models import yang

LENGTHS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 31, 64, 97, 100, 128)
lengths = st.sampled_from(LENGTHS)
orders = st.floats(0, 4, exclude_max=True)
seeds = st.integers(0, 2**16)
property_test = settings(max_examples=60, deadline=None)


def signal(n: int, seed: int = 0, batch: tuple[int, ...] = ()) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((*batch, n)) + 1j * rng.standard_normal((*batch, n))


# --- algebra --------------------------------------------------------------------------------------


@property_test
@given(lengths, orders)
def test_the_transform_is_unitary(n, order):
    matrix = dfrft(np.eye(n), order)
    np.testing.assert_allclose(matrix @ matrix.conj().T, np.eye(n), atol=1e-10)


@property_test
@given(lengths, orders, orders, seeds)
def test_orders_add(n, a, b, seed):
    x = signal(n, seed)
    np.testing.assert_allclose(dfrft(dfrft(x, a), b), dfrft(x, a + b), atol=1e-8)


@property_test
@given(lengths, orders, seeds)
def test_the_negative_order_is_the_inverse_and_four_is_a_full_turn(n, order, seed):
    x = signal(n, seed)
    np.testing.assert_allclose(dfrft(dfrft(x, order), -order), x, atol=1e-9)
    np.testing.assert_allclose(dfrft(x, order + 4), dfrft(x, order), atol=1e-9)
    np.testing.assert_allclose(dfrft(x, order - 8), dfrft(x, order), atol=1e-9)


@property_test
@given(lengths, orders, seeds)
def test_the_transform_is_linear(n, order, seed):
    x, y = signal(n, seed, (2,))
    np.testing.assert_allclose(
        dfrft(2 * x - 3j * y, order), 2 * dfrft(x, order) - 3j * dfrft(y, order), atol=1e-10
    )


@pytest.mark.parametrize("n", [*LENGTHS, 512, 551])
def test_whole_orders_are_identity_dft_reversal_and_inverse_dft(n):
    x = signal(n)
    np.testing.assert_allclose(dfrft(x, 0), x, atol=1e-10)
    np.testing.assert_allclose(dfrft(x, 1), np.fft.fft(x, norm="ortho"), atol=1e-10)
    np.testing.assert_allclose(dfrft(x, 2), x[-np.arange(n)], atol=1e-10)
    np.testing.assert_allclose(dfrft(x, 3), np.fft.ifft(x, norm="ortho"), atol=1e-10)
    np.testing.assert_allclose(dfrft(x, 4), x, atol=1e-10)


@pytest.mark.parametrize("n", LENGTHS)
def test_the_basis_is_orthonormal_and_diagonalises_the_dft(n):
    vectors, index = frft.eigenbasis(n)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(n), atol=1e-12)
    fourier = np.fft.fft(np.eye(n), norm="ortho")
    np.testing.assert_allclose(fourier @ vectors, vectors * (-1j) ** index, atol=1e-10)
    skipped = n - 1 if n % 2 == 0 else n
    assert index.tolist() == [k for k in range(n + 1) if k != skipped]


@pytest.mark.parametrize("n", [16, 33, 64])
def test_the_kth_vector_crosses_zero_k_times_like_its_hermite_function(n):
    vectors, index = frft.eigenbasis(n)
    for k in range(n // 3):  # further up, samples near zero make the count a matter of rounding
        centred = np.fft.fftshift(vectors[:, index == k].ravel())
        signs = np.sign(centred[np.abs(centred) > 1e-7])
        assert (np.diff(signs) != 0).sum() == k


@pytest.mark.parametrize("n", [3, 4, 5, 8, 13, 32, 101])
@pytest.mark.parametrize("order", [0.0, 0.31, 1.0, 1.77, 2.0, 3.5])
def test_it_agrees_with_torch_frft(n, order):
    reference = pytest.importorskip("torch_frft.dfrft_module", reason="a test dependency")
    x = torch.randn(4, n, generator=torch.Generator().manual_seed(n))
    torch.testing.assert_close(dfrft(x, order), reference.dfrft(x, order), atol=2e-5, rtol=1e-4)


# --- meaning --------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0.5, 0.9, 1.3])
def test_it_samples_the_papers_integral(order):
    """Equations 1 to 3 by quadrature, for a Gaussian off its centre and a modulated one."""
    n = 256
    m = np.arange(n) - n // 2
    u = m * np.sqrt(2 * np.pi / n)
    t = np.linspace(-14, 14, 8001)
    alpha = order * np.pi / 2
    cot, csc = 1 / np.tan(alpha), 1 / np.sin(alpha)
    amplitude = np.sqrt((1 - 1j * cot) / (2 * np.pi))  # eq. 3
    kernel = amplitude * np.exp(
        1j * (u[:, None] ** 2 + t**2) / 2 * cot - 1j * u[:, None] * t * csc
    )  # eq. 2
    for function in (
        lambda t: np.exp(-((t - 1) ** 2) / 2),
        lambda t: np.exp(-(t**2) / 2 + 1.5j * t),
    ):
        expected = (kernel * function(t)).sum(axis=1) * (t[1] - t[0])  # eq. 1
        found = np.fft.fftshift(dfrft(np.fft.ifftshift(function(u)), order))
        assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


@pytest.mark.parametrize("slope", [-0.8, -0.2, 0.0, 0.1, 0.5])
def test_a_chirp_concentrates_at_the_order_that_matches_its_slope(slope):
    n = 256
    m = np.arange(n) - n // 2
    chirp = np.hanning(n) * np.exp(1j * np.pi * slope * m**2 / n)
    candidates = np.arange(0.3, 1.71, 0.01)
    found = frft.best_order(np.fft.ifftshift(chirp), candidates)
    # Eq. 2 cancels a chirp exp(-j t²/2 cot α): cot α = -slope.
    assert found == pytest.approx(1 + 2 / np.pi * np.arctan(slope), abs=0.02)


@pytest.mark.parametrize("order", [0.5, 1.0, 1.4])
def test_the_transform_turns_the_plane(order):
    """A tone burst off the middle stays a spot; the transform moves it on a circle."""
    n, points = 256, 64
    m = np.arange(n) - n // 2
    u = m * np.sqrt(2 * np.pi / n)
    spot = np.exp(-((u - 5) ** 2) / 2)  # time 5, frequency 0
    turned = frft.dfrft(np.fft.ifftshift(spot), order)
    picture = frft.plane(turned, points)
    row, column = np.unravel_index(picture.argmax(), picture.shape)
    step = n / points * np.sqrt(2 * np.pi / n)
    angle = order * np.pi / 2
    assert (column + 0.5 - points / 2) * step == pytest.approx(5 * np.cos(angle), abs=step)
    assert (row + 0.5 - points / 2) * step == pytest.approx(-5 * np.sin(angle), abs=step)


def test_concentration_is_one_for_a_line_and_1_over_n_for_flat_and_silent_spectra():
    line, flat = np.zeros(10), np.ones(10)
    line[3] = 7
    np.testing.assert_allclose(
        frft.concentration(np.stack([line, flat, np.zeros(10)])), [1, 0.1, 0.1]
    )


@property_test
@given(lengths, orders, seeds)
def test_folded_power_of_a_real_frame_is_symmetric_about_order_one(n, order, seed):
    x = signal(n, seed).real
    np.testing.assert_allclose(
        frft.folded_power(dfrft(x, order)), frft.folded_power(dfrft(x, 2 - order)), atol=1e-9
    )


# --- arrays, tensors, gradients -------------------------------------------------------------------


@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("n", [1, 2, 7, 64])
def test_numpy_and_torch_agree_in_both_precisions(n, real):
    x = signal(n, batch=(3, 2))
    x = x.real.copy() if real else x
    expected = dfrft(x, 0.7)
    assert expected.dtype == np.complex128
    double = dfrft(torch.from_numpy(x), 0.7)
    assert double.dtype == torch.complex128
    np.testing.assert_allclose(double.numpy(), expected, atol=1e-12)
    single = x.astype(np.float32 if real else np.complex64)
    for found in (dfrft(single, 0.7), dfrft(torch.from_numpy(single), 0.7).numpy()):
        assert found.dtype == np.complex64
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_integers_are_taken_as_numbers():
    np.testing.assert_allclose(dfrft([1, 2, 3], 2).real, [1, 3, 2], atol=1e-12)
    assert dfrft(torch.tensor([1, 2, 3]), 2).dtype == torch.complex64


def test_every_signal_of_a_batch_may_have_its_own_order():
    x, order = signal(20, batch=(3, 4)), np.linspace(0, 3, 12).reshape(3, 4)
    together = dfrft(x, order)
    as_tensor = dfrft(torch.from_numpy(x), torch.from_numpy(order)).numpy()
    for i in np.ndindex(3, 4):
        np.testing.assert_allclose(together[i], dfrft(x[i], order[i]), atol=1e-12)
    np.testing.assert_allclose(as_tensor, together, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_gradients_in_samples_and_order_are_those_of_finite_differences(dtype):
    torch.manual_seed(0)
    x = torch.randn(2, 9, dtype=dtype, requires_grad=True)
    order = torch.tensor([0.4, 2.3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(dfrft, (x, order))


def test_a_layer_learns_the_order_of_a_chirp():
    n, slope = 128, 0.5
    m = np.arange(n) - n // 2
    chirp = np.hanning(n) * np.exp(1j * np.pi * slope * m**2 / n)
    x = torch.from_numpy(np.fft.ifftshift(chirp).astype(np.complex64))
    grid = np.arange(0.3, 1.7, 0.01)
    target = float(frft.best_order(x.numpy(), grid))
    layer = FractionalFourier(target + 0.1)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(60):
        power = layer(x).abs() ** 2
        loss = -(power**2).sum() / power.sum() ** 2
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert layer.order.item() == pytest.approx(target, abs=0.02)


def test_a_layer_of_several_orders_gives_several_transforms():
    layer = FractionalFourier([0.0, 0.5, 1.0])
    x = torch.randn(4, 6, 10)
    out = layer(x)
    assert out.shape == (4, 6, 3, 10)
    torch.testing.assert_close(out[..., 0, :].real, x, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(out[..., 2, :], torch.fft.fft(x, norm="ortho"))


@pytest.mark.parametrize("make", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize(
    ("samples", "order", "message"),
    [
        ([1.0, float("nan")], 1.0, "repair or leave out"),
        ([1.0, float("inf")], 1.0, "repair or leave out"),
        ([], 1.0, "at least one sample"),
        (1.0, 1.0, "at least one sample"),
        ([1.0, 2.0], float("nan"), "order is NaN"),
        ([1.0, 2.0], float("inf"), "order is NaN or infinite"),
    ],
)
def test_bad_samples_and_orders_are_refused(make, samples, order, message):
    with pytest.raises(ValueError, match=message):
        dfrft(make(samples), order)


def test_the_cached_basis_cannot_be_written_to():
    vectors, _ = frft.eigenbasis(8)
    with pytest.raises(ValueError, match="read-only"):
        vectors[0, 0] = 1


def test_a_batch_is_fifty_times_faster_than_a_matrix_for_every_frame():
    frames = np.random.default_rng(0).standard_normal((400, 256))
    dfrft(frames, 0.9)  # the first call makes the basis
    batched = min(_seconds(lambda: dfrft(frames, 0.9)) for _ in range(5))

    def a_matrix_for_one_frame():
        vectors, index = frft.eigenbasis.__wrapped__(256)
        matrix = (vectors * np.exp(-0.5j * np.pi * 0.9 * index)) @ vectors.T
        return matrix @ frames[0]

    one = min(_seconds(a_matrix_for_one_frame) for _ in range(5))
    assert 400 * one / batched >= 50


def _seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


# --- MFCC -----------------------------------------------------------------------------------------

RATE = 22_050


def glide(start: float = 300.0, end: float = 900.0, seconds: float = 1.0) -> np.ndarray:
    """A voice-like sound whose partials glide, float32."""
    t = np.arange(int(RATE * seconds)) / RATE
    pitch = start + (end - start) * t / seconds
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    sound = sum(np.sin(k * phase) / k for k in range(1, 6))
    return (0.3 * sound + 0.01 * np.random.default_rng(0).standard_normal(len(t))).astype(
        np.float32
    )


def recipe(**options) -> FrftMfcc:
    return FrftMfcc(**{"order": 1.0, "n_mfcc": 40, "duration_s": None, "frames": 80, **options})


@pytest.mark.parametrize("folded", [True, False])
def test_at_order_one_it_is_librosas_mfcc(folded):
    sound = glide()
    expected = librosa.feature.mfcc(
        y=librosa.effects.preemphasis(sound),
        sr=RATE,
        n_mfcc=40,
        n_fft=512,
        hop_length=256,
        n_mels=64,
        window="hamming",
    )
    found = recipe(folded=folded).coefficients(sound, RATE)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_at_order_one_with_the_same_choices_it_is_the_packages_own_mfcc():
    sound = glide()
    plain = Mfcc(pooling=None, duration_s=1.0, n_fft=512, hop_length=256, n_mels=64)
    same = recipe(pre_emphasis=0.0, window="hann")
    np.testing.assert_allclose(
        same.coefficients(sound, RATE), plain.coefficients(sound, RATE), atol=0.01
    )


def test_another_order_gives_other_coefficients():
    sound = glide()
    difference = recipe(order=0.8).coefficients(sound, RATE) - recipe().coefficients(sound, RATE)
    assert np.abs(difference).mean() > 1


def test_a_gliding_voice_asks_for_orders_beside_one_and_a_steady_one_for_one():
    adaptive = recipe(order=None)
    steady = adaptive.frame_orders(glide(440, 440))
    gliding = adaptive.frame_orders(glide(300, 6000, seconds=0.5))
    assert np.median(steady[2:-2]) == 1.0
    assert np.median(gliding[2:-2]) < 1.0
    assert set(np.unique(gliding)) <= set(frft.ORDERS)


def test_every_frame_at_its_own_order_is_what_the_adaptive_recipe_stores():
    sound = glide(300, 3000, seconds=0.2)
    adaptive = recipe(order=None)
    power = adaptive.mel_power(sound, RATE)
    for i, order in enumerate(adaptive.frame_orders(sound)):
        alone = recipe(order=float(order)).mel_power(sound, RATE)
        np.testing.assert_allclose(power[:, i], alone[:, i], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("deltas", [0, 1, 2])
def test_deltas_are_appended(deltas):
    sound = glide()
    found = recipe(deltas=deltas).coefficients(sound, RATE)
    assert found.shape[0] == 40 * (1 + deltas)
    if deltas:
        np.testing.assert_allclose(found[40:80], librosa.feature.delta(found[:40]), atol=1e-4)


def test_a_clip_becomes_a_sequence_of_the_papers_length(tmp_path):
    import soundfile

    for seconds in (1.0, 5.0):
        path = tmp_path / f"{seconds}.wav"
        soundfile.write(path, glide(seconds=seconds), RATE)
        values = FrftMfcc(order=0.95).compute({"path": path, "clip_id": "x"})
        assert values.shape == (10, round(3.6 * RATE) // 256 + 1)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()


@pytest.mark.parametrize("order", [1.0, 0.9, None], ids=["MFCC", "fixed", "adaptive"])
@pytest.mark.parametrize("samples", [100, 511])
def test_a_clip_shorter_than_a_frame_is_padded_with_silence(order, samples, tmp_path):
    import soundfile

    path = tmp_path / "short.wav"
    soundfile.write(path, glide()[:samples], RATE, subtype="FLOAT")
    values = FrftMfcc(order=order).compute({"path": path, "clip_id": "x"})
    assert values.shape == (10, round(3.6 * RATE) // 256 + 1)
    assert np.isfinite(values).all()
    assert np.ptp(values, axis=1).max() > 1  # the sound is in there


def test_samples_that_are_not_numbers_are_reported_with_the_files_name(tmp_path):
    import soundfile

    sound = glide()
    sound[1000] = np.nan
    path = tmp_path / "broken.wav"
    soundfile.write(path, sound, RATE, subtype="FLOAT")
    with pytest.raises(FeatureProblem, match=r"broken\.wav.*not finite.*fetch it again"):
        FrftMfcc(order=0.9).compute({"path": path, "clip_id": "x"})


def test_the_recipe_makes_what_yangs_network_takes():
    assert FrftMfcc().n_mfcc == yang.Yang(modality="audio").n_mfcc


def test_options_change_the_digest():
    digests = {
        r.digest() for r in (recipe(), recipe(order=0.9), recipe(order=None), recipe(folded=False))
    }
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 4.0}, r"outside \[0, 4\).*angle"),
        ({"order": -0.5}, r"outside \[0, 4\)"),
        ({"order": float("nan")}, r"outside \[0, 4\)"),
        ({"orders": (1.0, 7.0)}, r"order 7.0 is outside"),
        ({"order": None, "orders": ()}, "give candidates"),
        ({"deltas": 3}, "choose 0, 1 or 2"),
    ],
)
def test_impossible_recipes_are_refused_before_any_clip_is_read(options, message):
    with pytest.raises(ValueError, match=message):
        recipe(**options)


@pytest.mark.realdata
def test_a_real_recording_gives_finite_coefficients(recordings):
    path = next(recordings.rglob("03-01-05-02-01-01-12.*"))
    values = FrftMfcc().compute({"path": path, "clip_id": path.stem})
    assert values.shape == (10, 311)
    assert np.isfinite(values).all()
    assert values.std() > 1
