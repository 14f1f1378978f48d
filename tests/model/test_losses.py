import math

import numpy as np
import pytest
import torch

from sao_model import losses
from sao_model.losses import Config, StftLoss

RATE = 44_100
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
    x, loss = normal(1, 2, 8192), StftLoss(Config(left_right=0.0), RATE)
    assert loss(x, x) == 0
    expected = math.log(2) + 0.5  # convergence |x - 2x| / |2x| of the reconstruction, log ratio 2
    assert float(loss(2 * x, x)) == pytest.approx(expected, abs=2e-3)


def test_the_knobs_weigh_the_terms() -> None:
    y, x = normal(1, 2, 8192, seed=1), normal(1, 2, 8192)
    both, mid_side, left_right = (
        float(StftLoss(Config(mid_side=m, left_right=s), RATE)(y, x)) for m, s in ((1, 0.5), (1, 0), (0, 0.5))
    )
    assert both == pytest.approx(mid_side + left_right, rel=1e-5)
    other = float(StftLoss(Config(normalise_by="original"), RATE)(2 * y, x))
    assert other > float(StftLoss(Config(), RATE)(2 * y, x))


def test_it_hears_the_side_channel() -> None:
    mono = normal(1, 1, 8192)
    wide = torch.cat([mono, -mono], dim=1)
    narrow = torch.cat([mono, mono], dim=1)
    loss = StftLoss(Config(left_right=0.0), RATE)
    assert float(loss(narrow, wide)) > 1


def test_gradients_are_finite_at_silence() -> None:
    y = torch.zeros(1, 2, 4096, requires_grad=True)
    StftLoss(Config(normalise_by="original"), RATE)(y, normal(1, 2, 4096)).backward()
    assert y.grad is not None
    assert y.grad.isfinite().all()


def test_it_is_auraloss_as_stable_audio_tools_calls_it() -> None:
    freq = pytest.importorskip("auraloss.freq", reason="auraloss (a test oracle) is not installed")
    sizes = [2048, 1024, 512, 256, 128, 64, 32]
    given = {"fft_sizes": sizes, "hop_sizes": [n // 4 for n in sizes], "win_lengths": sizes}
    given |= {"perceptual_weighting": True, "sample_rate": RATE}
    y, x = normal(2, 2, 8192, seed=1), normal(2, 2, 8192)
    mid_side = freq.SumAndDifferenceSTFTLoss(**given)(x, y)  # the original first, as SAT passes them
    one = freq.MultiResolutionSTFTLoss(**given)
    expected = mid_side + 0.5 * sum(one(x[:, [c]], y[:, [c]]) for c in (0, 1))
    assert float(StftLoss(Config(), RATE)(y, x)) == pytest.approx(float(expected), rel=1e-5)
