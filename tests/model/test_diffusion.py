import torch

from sao_model import diffusion


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_ends_of_time_are_data_and_noise() -> None:
    x0, noise, t = normal(2, 3, 4), normal(2, 3, 4, seed=1), torch.tensor([0.0, 1.0])
    x = diffusion.noised(x0, noise, t)
    torch.testing.assert_close(x[0], x0[0])
    torch.testing.assert_close(x[1], noise[1])


def test_velocity_gives_back_both_data_and_noise() -> None:
    x0, noise, t = normal(5, 3, 4), normal(5, 3, 4, seed=1), torch.linspace(0, 1, 5)
    x, v = diffusion.noised(x0, noise, t), diffusion.v_target(x0, noise, t)
    torch.testing.assert_close(diffusion.to_denoised(v, x, t), x0)
    torch.testing.assert_close(diffusion.to_noise(v, x, t), noise)


def test_loss_of_the_true_velocity_is_zero() -> None:
    x0, noise, t = normal(2, 3, 4), normal(2, 3, 4, seed=1), torch.tensor([0.3, 0.6])
    truth = diffusion.v_target(x0, noise, t)
    assert diffusion.v_loss(lambda _x, _t: truth, x0, noise, t) == 0
    assert diffusion.v_loss(lambda _x, _t: truth + 2, x0, noise, t) == 4
