"""Samplers on data whose best velocity is known: N(0.7, 0.5²) (reference model.md 4)."""

import math

import pytest
import torch
from torch import Tensor

from sao_model import samplers
from sao_model.diffusion import alpha_sigma

MEAN, STD = 0.7, 0.5
torch.set_num_threads(1)


def best(x: Tensor, t: Tensor) -> Tensor:
    """Velocity of the expected data given x."""
    alpha, sigma = alpha_sigma(t)
    x0 = MEAN + alpha * STD**2 / (alpha**2 * STD**2 + sigma**2) * (x - alpha * MEAN)
    return (alpha * x - x0) / sigma


def run(name: str, steps: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 1, 200_000, generator=generator)
    fresh = lambda _: torch.randn(noise.shape, generator=generator)  # noqa: E731
    return samplers.SAMPLERS[name](best, noise, steps, fresh), noise


def test_the_sde_sampler_gives_the_distribution_that_its_grid_allows() -> None:
    x0, _ = run("dpmpp-2m-sde", 100)
    expected = STD**2 / math.sqrt(STD**2 + 0.3**2)  # the last jump, from sigma 0.3, shrinks it: 0.4287
    assert float(x0.mean()) == pytest.approx(MEAN, abs=5e-3)
    assert float(x0.std()) == pytest.approx(expected, abs=6e-3)


def test_the_third_order_sde_sampler_on_the_same_data() -> None:
    """Of many steps as the second order one; of ten less shrunk (figures of the reference implementation)."""
    assert float(run("dpmpp-3m-sde", 10)[0].std()) == pytest.approx(0.435, abs=4e-3)
    x0, _ = run("dpmpp-3m-sde", 100)
    assert float(x0.mean()) == pytest.approx(MEAN, abs=5e-3)
    assert float(x0.std()) == pytest.approx(0.4287, abs=6e-3)


# What k-diffusion's sample_dpmpp_3m_sde gives, in double precision, for the estimate and the noise below.
THIRD_ORDER = {
    3: (0.2389114836, 0.8531217963, 0.1114547182, 0.408812051),
    6: (0.070769559, 0.300399072, 0.3106833361, 0.1420632659),
    10: (0.45568502, 0.4151346958, 0.2793726999, 0.312860306),
}


@pytest.mark.parametrize("steps", THIRD_ORDER)
def test_the_third_order_sde_sampler_is_the_reference_implementation_s(steps: int) -> None:
    def velocity(x: Tensor, t: Tensor) -> Tensor:
        sigma = torch.tan(t * math.pi / 2)[:, None, None]
        y = x * (sigma**2 + 1).sqrt() / (sigma + 1)
        alpha = 1 / (sigma**2 + 1).sqrt()
        return (alpha * x - torch.tanh(y) - 0.1 * torch.cos(3 * y)) / (sigma * alpha)

    noise = torch.tensor([0.3, -1.2, 2.0, 0.05], dtype=torch.float64)[None, None]
    x0 = samplers.dpmpp_3m_sde(
        velocity, noise, steps, lambda i: torch.sin(torch.arange(4.0) * (i + 1) + i)[None, None]
    )
    torch.testing.assert_close(x0[0, 0], torch.tensor(THIRD_ORDER[steps]).double(), atol=2e-6, rtol=0)


def test_few_steps_of_the_sde_sampler_shrink_more() -> None:
    assert float(run("dpmpp-2m-sde", 10)[0].std()) == pytest.approx(0.379, abs=4e-3)


@pytest.mark.parametrize(("steps", "error"), [(10, 0.084), (20, 0.044), (50, 0.018), (100, 0.009)])
def test_ddim_approaches_the_true_map_in_first_order(steps: int, error: float) -> None:
    x0, noise = run("v-ddim", steps)
    truth = MEAN + STD * noise  # quantile to quantile
    distance = (x0 - truth).square().mean().sqrt() / truth.square().mean().sqrt()
    assert float(distance) == pytest.approx(error, rel=0.04)


@pytest.mark.parametrize("steps", [50, 100])
def test_the_ode_solver_ends_where_the_last_jump_leaves_it(steps: int) -> None:
    x0, noise = run("dpmpp-2m", steps)
    at_the_jump = MEAN + math.sqrt(STD**2 + 0.3**2) * noise
    truth = MEAN + STD**2 / (STD**2 + 0.3**2) * (at_the_jump - MEAN)
    assert float((x0 - truth).square().mean().sqrt()) < 0.01
    assert float(x0.std()) == pytest.approx(0.4287, abs=6e-3)


def test_second_order_converges_faster_than_first() -> None:
    errors = []
    for steps in (20, 40):
        x0, noise = run("dpmpp-2m", steps)
        truth = MEAN + STD**2 / math.sqrt(STD**2 + 0.3**2) * noise
        errors.append(float((x0 - truth).square().mean().sqrt()))
    assert errors[0] / errors[1] > 2.5


def test_levels_fall_from_500_to_0_3_and_zero() -> None:
    levels = samplers.sigmas(100)
    assert levels.shape == (101,)
    torch.testing.assert_close(levels[[0, 99, 100]], torch.tensor([500, 0.3, 0]))
    ratios = levels[1:100] / levels[:99]
    torch.testing.assert_close(ratios, ratios[:1].expand(99), rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", samplers.SAMPLERS)
def test_one_step_is_allowed_and_evaluates_once(name: str) -> None:
    times = []
    noise = torch.randn(1, 1, 8, generator=torch.Generator().manual_seed(0))
    samplers.SAMPLERS[name](lambda x, t: times.append(float(t[0])) or 0 * x, noise, 1, lambda _: noise)
    assert len(times) == 1
    assert times[0] > 0.998


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    run("dpmpp-2m-sde", 3)
    assert torch.equal(torch.get_rng_state(), before)
