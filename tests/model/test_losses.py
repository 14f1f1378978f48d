import math
from typing import Any, Literal

import numpy as np
import pytest
import torch

from sao_data.config import parse
from sao_data.errors import UsageError
from sao_model import losses
from sao_model.losses import Config, StftLoss

RATE = 44_100
READINGS: tuple[Literal["code", "paper"], ...] = ("code", "paper")
torch.set_num_threads(1)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def response(hertz: float) -> float:
    """Gain of the filter in dB."""
    taps = losses.a_weighting(RATE).double().numpy()
    turns = np.exp(-2j * math.pi * hertz / RATE * np.arange(len(taps)))
    return 20 * math.log10(abs(np.dot(taps, turns)))


@pytest.mark.parametrize(
    ("hertz", "decibels"), [(500, -3.2), (1000, 0.0), (2000, 1.2), (4000, 1.0), (8000, -1.1)]
)
def test_the_filter_follows_the_a_curve(hertz: float, decibels: float) -> None:
    assert response(hertz) == pytest.approx(decibels, abs=1.5)  # IEC 61672-1 table 3; 101 taps are short
    assert response(30) < -15


def test_equal_audio_has_no_loss_and_louder_has_the_logarithm() -> None:
    x, loss = normal(2, 2, 8192), StftLoss(Config(), RATE)
    assert loss(x, x) == 0
    expected = math.log(2) + 0.5  # convergence |x - 2x| / |2x| of the reconstruction, log ratio 2
    assert float(loss(2 * x, x)) == pytest.approx(2 * expected, abs=4e-3)  # four distances of weight 0.5


@pytest.mark.parametrize(("reading", "weight"), [("code", 0.5), ("paper", 0.25)])
def test_left_and_right_weigh_as_in_the_code_or_in_the_paper(
    reading: Literal["code", "paper"], weight: float
) -> None:
    """Sum and difference weigh 0.5 each; distances by hand from the magnitudes of two spectra."""
    config = Config(stereo_weights=reading, fft_sizes=(64,), normalise_by="original")
    loss, y, x = StftLoss(config, RATE), normal(1, 2, 1024, seed=1), normal(1, 2, 1024)
    taps, window = losses.a_weighting(RATE), torch.hann_window(64)

    def signals(audio: torch.Tensor) -> list[np.ndarray]:
        left, right = (np.convolve(each, taps, mode="same") for each in audio[0].double().numpy())
        return [left + right, left - right, left, right]

    def magnitudes(signal: np.ndarray) -> np.ndarray:
        frames = np.lib.stride_tricks.sliding_window_view(np.pad(signal, 32, mode="reflect"), 64)[::16]
        return np.abs(np.fft.rfft(frames * window.numpy())).clip(1e-4)

    expected = 0.0
    for ours, theirs, share in zip(signals(y), signals(x), (0.5, 0.5, weight, weight), strict=True):
        a, b = magnitudes(ours), magnitudes(theirs)
        convergence = math.sqrt(((a - b) ** 2).sum() / (b**2).sum())
        expected += share * (convergence + np.abs(np.log(a) - np.log(b)).mean())
    assert float(loss(y, x)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("old", ["mid_side", "left_right"])
def test_the_old_names_of_the_weights_are_unknown(old: str) -> None:
    with pytest.raises(UsageError, match=f"unknown key '{old}'"):
        parse(Config, {old: 0.5}, where="test")


def test_the_paper_halves_what_left_and_right_add() -> None:
    """Only they hear that channels are swapped: the sum is the same, and the magnitude of the difference."""
    x = normal(1, 2, 8192)
    swapped = x.flip(1)
    code, paper = (float(StftLoss(Config(stereo_weights=name), RATE)(swapped, x)) for name in READINGS)
    assert code > 0.1
    assert paper == pytest.approx(code / 2, rel=1e-4)


def test_the_norm_is_of_the_reconstruction_or_of_the_original() -> None:
    y, x = normal(1, 2, 8192, seed=1), normal(1, 2, 8192)
    other = float(StftLoss(Config(normalise_by="original"), RATE)(2 * y, x))
    assert other > float(StftLoss(Config(), RATE)(2 * y, x))


def test_it_hears_the_side_channel() -> None:
    mono = normal(1, 1, 8192)
    wide = torch.cat([mono, -mono], dim=1)
    narrow = torch.cat([mono, mono], dim=1)
    assert float(StftLoss(Config(), RATE)(narrow, wide)) > 1


def test_gradients_are_finite_at_silence_and_where_nothing_is_wrong() -> None:
    x = normal(2, 2, 4096)
    y = torch.stack([torch.zeros(2, 4096), x[1]]).requires_grad_()
    for reading in ("original", "reconstruction"):
        StftLoss(Config(normalise_by=reading), RATE)(y, x).backward()  # type: ignore[arg-type]
    assert y.grad is not None
    assert y.grad.isfinite().all()


def test_a_batch_is_the_mean_of_its_halves() -> None:
    """So that processes agree; items of different loudness, or the norm of a whole batch would pass."""
    y, x = normal(4, 2, 4096, seed=1), normal(4, 2, 4096)
    x, y = (
        x * torch.tensor([1, 0.1, 0.01, 2])[:, None, None],
        y * torch.tensor([1, 1, 0.3, 0.1])[:, None, None],
    )
    for loss in (StftLoss(Config(), RATE), losses.time_loss):
        whole, first, second = (float(loss(y[part], x[part])) for part in (slice(4), slice(2), slice(2, 4)))
        assert abs(first - second) > 0.01 * whole
        assert whole == pytest.approx((first + second) / 2, rel=1e-5)


def test_the_time_loss_by_hand() -> None:
    y, x = torch.tensor([[[1.0, -1.0], [0.5, 0.0]]]), torch.tensor([[[0.0, -1.0], [1.0, 2.0]]])
    assert losses.time_loss(y, x) == pytest.approx((1 + 0 + 0.5 + 2) / 4)


@pytest.fixture(scope="module")
def freq() -> Any:
    return pytest.importorskip("auraloss.freq", reason="auraloss (a test oracle) is not installed")


def test_the_filter_is_that_of_auraloss(freq: Any) -> None:
    theirs = freq.FIRFilter(filter_type="aw", fs=RATE).fir.weight.flatten()
    torch.testing.assert_close(losses.a_weighting(RATE), theirs, rtol=1e-6, atol=1e-7)


def test_the_spectra_are_those_of_auraloss(freq: Any) -> None:
    x, window = normal(2, 2, 4096), torch.hann_window(256)
    together, apart = freq.SumAndDifference()(x)
    stft = freq.STFTLoss(256, 64, 256).stft
    signals = (together[:, 0], apart[:, 0], x[:, 0], x[:, 1])
    for ours, theirs in zip(losses.magnitudes(x, window), signals, strict=True):
        torch.testing.assert_close(ours, stft(theirs)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("normalise_by", ["reconstruction", "original"])
def test_it_is_auraloss_item_by_item(freq: Any, reading: str, normalise_by: str) -> None:
    """As SAT calls it, with the original in the place of the output; auraloss divides norms of all items."""
    sizes = [2048, 1024, 512, 256, 128, 64, 32]
    given = {"fft_sizes": sizes, "hop_sizes": [n // 4 for n in sizes], "win_lengths": sizes}
    given |= {"perceptual_weighting": True, "sample_rate": RATE}
    both, one = freq.SumAndDifferenceSTFTLoss(**given), freq.MultiResolutionSTFTLoss(**given)
    each = 0.5 if reading == "code" else 0.25

    def theirs(y: torch.Tensor, x: torch.Tensor) -> float:
        a, b = (x, y) if normalise_by == "reconstruction" else (y, x)
        return float(both(a, b) + each * sum(one(a[:, [c]], b[:, [c]]) for c in (0, 1)))

    y, x = normal(2, 2, 8192, seed=1), normal(2, 2, 8192)
    y[1] *= 0.1
    ours = StftLoss(Config(stereo_weights=reading, normalise_by=normalise_by), RATE)  # type: ignore[arg-type]
    items = [theirs(y[[n]], x[[n]]) for n in (0, 1)]
    assert float(ours(y[:1], x[:1])) == pytest.approx(items[0], rel=1e-5)
    assert float(ours(y, x)) == pytest.approx(sum(items) / 2, rel=1e-5)
    assert abs(theirs(y, x) - sum(items) / 2) > 1e-3
