import pytest
import torch

from sao_model.dit import Config, DiT, Told
from sao_model.step_cache import StepCache

SMALL = Config(latent_dim=4, width=128, num_layers=3, num_heads=2, cross_dim=64, global_dim=128)
torch.set_num_threads(1)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def dit() -> DiT:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = DiT(SMALL).requires_grad_(False)
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape)
    return model


@pytest.fixture(scope="module")
def told(dit: DiT) -> Told:
    return dit.told_with_nothing(normal(1, 5, 64, seed=1), normal(1, 128, seed=2))


def steps(num: int = 6) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """States along a slow path, each twice: told something, and told nothing."""
    start, end = normal(1, 4, 9), normal(1, 4, 9, seed=3)
    path = [start + 0.02 * i * end for i in range(num)]
    return [(torch.cat([x, x]), torch.full((2,), 0.9 - 0.01 * i)) for i, x in enumerate(path)]


def test_a_threshold_of_zero_computes_every_step(dit: DiT, told: Told) -> None:
    cache = StepCache(dit, threshold=0)
    for x, t in [steps()[0], *steps()]:
        assert torch.equal(cache.velocity(x, t, told), dit.velocity(x, t, told))
    assert (cache.computed, cache.reused) == (7, 0)


def test_a_large_threshold_reuses_and_stays_near(dit: DiT, told: Told) -> None:
    cache = StepCache(dit, threshold=10)
    for x, t in steps():
        v, exact = cache.velocity(x, t, told), dit.velocity(x, t, told)
        assert float((v - exact).square().mean().sqrt() / exact.square().mean().sqrt()) < 0.2
    assert (cache.computed, cache.reused) == (1, 5)
    assert not torch.equal(v, exact)


def test_one_row_that_changes_is_enough_to_compute_all(dit: DiT, told: Told) -> None:
    cache, (x, t) = StepCache(dit, threshold=0.05), steps()[0]
    cache.velocity(x, t, told)
    for row in (0, 1):
        other = x.clone()
        other[row] += 3 * normal(4, 9, seed=4)
        assert torch.equal(cache.velocity(other, t, told), dit.velocity(other, t, told))
        cache.velocity(x, t, told)
    assert cache.reused == 0


def test_nothing_is_reused_for_another_conditioning_or_length(dit: DiT, told: Told) -> None:
    cache, (x, t) = StepCache(dit, threshold=10), steps()[0]
    cache.velocity(x, t, told)
    again = dit.told_with_nothing(normal(1, 5, 64, seed=1), normal(1, 128, seed=2))
    cache.velocity(x, t, again)
    cache.velocity(x[..., :5], t, again)
    assert (cache.computed, cache.reused) == (3, 0)
