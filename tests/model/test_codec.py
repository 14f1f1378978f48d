import math

import pytest
import torch

from sao_model import codec
from sao_model.codec import Codec, Config, Posterior

SMALL = Config(width=8, multiples=(1, 2), strides=(4, 8), latent_dim=4)
torch.set_num_threads(1)


@pytest.fixture
def small() -> Codec:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Codec(SMALL)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    assert a.shape == b.shape
    return float((a - b).abs().max() / b.abs().max())


def test_length_comes_back(small: Codec) -> None:
    x = normal(2, 2, 40 * SMALL.hop)
    assert small.encode(x).mean_BDL.shape == (2, 4, 40)
    assert small(x, None)[0].shape == x.shape


def test_chunks_equal_the_whole(small: Codec) -> None:
    z, x = normal(1, 4, 150), normal(1, 2, 150 * SMALL.hop)
    with torch.no_grad():
        assert relative(small.decode_in_chunks(z, chunk=64, overlap=32), small.decode(z)) < 1e-5
        whole, pieces = small.encode(x), small.encode_in_chunks(x, chunk=64, overlap=32)
    assert relative(pieces.mean_BDL, whole.mean_BDL) < 1e-5
    assert relative(pieces.std_BDL, whole.std_BDL) < 1e-5


def test_chunks_that_overlap_too_little_differ(small: Codec) -> None:
    z = normal(1, 4, 150)
    with torch.no_grad():
        assert relative(small.decode_in_chunks(z, chunk=64, overlap=2), small.decode(z)) > 1e-4


def test_divergence_is_zero_from_a_standard_normal_and_summed_over_channels() -> None:
    zero, one = torch.zeros(2, 4, 3), torch.ones(2, 4, 3)
    assert Posterior(mean_BDL=zero, std_BDL=one).kl() == 0
    assert Posterior(mean_BDL=one, std_BDL=one).kl() == pytest.approx(4)  # 1 per channel, no half
    expected = 4 * (math.e**2 - 2 - 1)
    assert float(Posterior(mean_BDL=zero, std_BDL=math.e * one).kl()) == pytest.approx(expected, rel=1e-6)


def test_samples_come_from_the_generator() -> None:
    posterior = Posterior(mean_BDL=torch.zeros(1, 2, 5000), std_BDL=torch.full((1, 2, 5000), 3.0))
    first, again, other = (posterior.sample(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert float(first.std()) == pytest.approx(3.0, rel=0.05)


def test_snake_at_scale_zero_is_x_plus_sine_squared() -> None:
    x = normal(1, 3, 50)
    torch.testing.assert_close(codec.Snake(3)(x), x + torch.sin(x) ** 2)


def test_folding_keeps_the_function_and_the_original(small: Codec) -> None:
    z = normal(1, 4, 20)
    folded = codec.fold_weight_norm(small)
    norms = sum(name.endswith("original0") for name, _ in small.named_parameters())
    assert norms > 0
    assert not [name for name, _ in folded.named_parameters() if "parametrizations" in name]
    with torch.no_grad():
        assert relative(folded.decode(z), small.decode(z)) < 1e-6


def test_recomputing_activations_changes_no_gradient(small: Codec) -> None:
    x, gradients = normal(1, 2, 8 * SMALL.hop), []
    for on in (False, True):
        codec.checkpoint_units(small, on)
        small.zero_grad()
        small.encode(x).mean_BDL.square().mean().backward()
        gradients.append(small.encoder[0].parametrizations.weight.original1.grad.clone())
    assert float(gradients[0].abs().max()) > 0
    torch.testing.assert_close(*gradients)


def test_a_length_between_two_hops_is_refused(small: Codec) -> None:
    with pytest.raises(AssertionError, match="257"):
        small.encode(normal(1, 2, 8 * SMALL.hop + 1))
