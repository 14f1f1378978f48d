import pytest
import torch
from torch import Tensor

from sao_model import guidance
from sao_model.diffusion import to_denoised
from sao_model.dit import Told
from sao_model.guidance import Conditioning
from sao_model.request import Guidance


def conditioning(batch: int = 1) -> Conditioning:
    return Conditioning(cross_BSC=torch.ones(batch, 3, 2), global_BG=torch.full((batch, 4), 2.0))


class Echo:
    """A model whose velocity says what it was told."""

    def __init__(self) -> None:
        self.sizes: list[int] = []  # of the batches

    def told(self, cross: Tensor, everywhere: Tensor) -> Told:
        return Told(cross=(cross,), global_BW=everywhere)

    def told_with_nothing(self, cross: Tensor, everywhere: Tensor) -> Told:
        return self.told(torch.cat([cross, 0 * cross]), torch.cat([everywhere, everywhere]))

    def velocity(self, x: Tensor, t: Tensor, told: Told) -> Tensor:
        self.sizes.append(len(x))
        (cross,) = told.cross
        part = 100 * told.global_BW.mean(1)[:, None, None] + t[:, None, None]
        return x + 10 * cross.mean((1, 2), keepdim=True) + part


def test_guidance_goes_beyond_nothing_and_keeps_the_global_part() -> None:
    x, t = torch.zeros(1, 1, 1), torch.tensor([0.5])
    assert guidance.cfg(Echo(), conditioning(), scale=7)(x, t).item() == 200.5 + 7 * 10


def test_a_negative_prompt_takes_the_place_of_nothing() -> None:
    x, t = torch.zeros(1, 1, 1), torch.tensor([0.5])
    guided = guidance.cfg(Echo(), conditioning(), scale=3, negative_BSC=torch.full((1, 3, 2), -1.0))
    assert guided(x, t).item() == 200.5 - 10 + 3 * 20


def test_scale_one_evaluates_once() -> None:
    model, x, t = Echo(), torch.zeros(1, 1, 1), torch.tensor([0.5])
    assert guidance.cfg(model, conditioning(), scale=1)(x, t).item() == 210.5
    guidance.cfg(model, conditioning(), scale=2)(x, t)
    assert model.sizes == [1, 2]


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_dropout_zeroes_whole_rows_and_never_the_global_part(share: float) -> None:
    dropped = guidance.drop_conditioning(conditioning(4000), torch.linspace(0, 1, 4000) < share)
    rows = dropped.cross_BSC.flatten(1)
    assert ((rows == 0).all(1) | (rows == 1).all(1)).all()
    assert float((rows == 0).all(1).float().mean()) == pytest.approx(share, abs=0.015)
    assert torch.equal(dropped.global_BG, conditioning(4000).global_BG)


def velocities(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    v, v0, x = (torch.randn(2, 4, 50, generator=generator) for _ in range(3))
    return v, v0, x, torch.tensor([0.3, 0.8])


def test_rescaled_guidance_is_as_loud_as_the_unguided() -> None:
    v, v0, x, t = velocities(1)
    plain = guidance.combination(7.0, Guidance())(v, v0, x, t)
    spread = lambda y: y.std((1, 2))  # noqa: E731
    assert (spread(plain) > 5 * spread(v)).all()
    full, half = (guidance.combination(7.0, Guidance(rescale=share))(v, v0, x, t) for share in (1.0, 0.5))
    torch.testing.assert_close(spread(full), spread(v))
    torch.testing.assert_close(half, 0.5 * full + 0.5 * plain)


def test_guidance_outside_of_its_interval_evaluates_once() -> None:
    model = Echo()
    guided = guidance.cfg(model, conditioning(), scale=7, config=Guidance(interval=(0.2, 0.8)))
    answers = [guided(torch.zeros(1, 1, 1), torch.tensor([t])).item() for t in (0.1, 0.5, 0.9)]
    assert model.sizes == [1, 2, 1]
    assert answers == pytest.approx([210.1, 270.5, 210.9])


def test_projected_guidance_adds_only_what_is_orthogonal_to_the_estimate() -> None:
    v, v0, x, t = velocities(2)
    told, nothing = (to_denoised(each, x, t) for each in (v, v0))
    added = to_denoised(guidance.combination(7.0, Guidance(apg=True))(v, v0, x, t), x, t) - told
    assert (added * told).sum((1, 2)).abs().max() < 1e-3 * (added.norm() * told.norm())
    whole = to_denoised(guidance.combination(7.0, Guidance(apg=True, apg_eta=1.0))(v, v0, x, t), x, t)
    torch.testing.assert_close(whole, told + 6 * (told - nothing), atol=1e-4, rtol=1e-4)


def test_projected_guidance_limits_the_difference_and_remembers_it() -> None:
    v, v0, x, t = velocities(3)
    told, nothing = (to_denoised(each, x, t) for each in (v, v0))
    short = guidance.combination(2.0, Guidance(apg=True, apg_eta=1.0, apg_norm=0.1))(v, v0, x, t)
    added = to_denoised(short, x, t) - told
    torch.testing.assert_close(
        added.square().mean((1, 2)).sqrt(), torch.full((2,), 0.1), atol=1e-4, rtol=1e-3
    )
    pushed = guidance.combination(2.0, Guidance(apg=True, apg_eta=1.0, apg_momentum=-0.5))
    first, second = (to_denoised(pushed(v, v0, x, t), x, t) - told for _ in range(2))
    torch.testing.assert_close(first, told - nothing, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(second, 0.5 * (told - nothing), atol=1e-4, rtol=1e-4)
