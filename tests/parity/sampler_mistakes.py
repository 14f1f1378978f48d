"""Mistakes in what ties x, x0, noise and v, in the noise levels, around the velocity, and in the steps."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sao_model import diffusion, samplers
from sao_model.diffusion import Velocity
from sao_model.model import StableAudioModel

SIGMAS, DENOISE, INTEGRAL = samplers.sigmas, samplers.denoise, samplers._integral


def relation(
    name: str, made: Callable[..., Tensor]
) -> Callable[[pytest.MonkeyPatch, StableAudioModel], None]:
    """A relation of x, x0, noise and v with another sign or share, made of two, alpha and sigma."""

    def related(one: Tensor, other: Tensor, t_B: Tensor) -> Tensor:
        return made(one, other, *diffusion.alpha_sigma(t_B))

    return lambda patch, _: patch.setattr(diffusion, name, related)


def angle(
    share: Callable[[Tensor], tuple[Tensor, Tensor]],
) -> Callable[[pytest.MonkeyPatch, StableAudioModel], None]:
    return lambda patch, _: patch.setattr(diffusion, "alpha_sigma", lambda t_B: share(t_B[:, None, None]))


def grid(made: Callable[[int], Tensor]) -> Callable[[pytest.MonkeyPatch, StableAudioModel], None]:
    def change(patch: pytest.MonkeyPatch, _: StableAudioModel) -> None:
        patch.setattr(samplers, "sigmas", lambda num, *_: torch.cat([made(num), torch.zeros(1)]))

    return change


def log_uniform(low: float, high: float) -> Callable[[int], Tensor]:
    return lambda num: torch.linspace(math.log(high), math.log(low), num).exp()


def karras(num: int) -> Tensor:
    return torch.linspace(500 ** (1 / 7), 0.3 ** (1 / 7), num) ** 7


def denoised(
    made: Callable[[Tensor, Callable[[Tensor], Tensor], Tensor, Tensor], Tensor],
) -> Callable[[pytest.MonkeyPatch, StableAudioModel], None]:
    """Another estimate, made of x, the velocity as a function of what it is fed, sigma and its root."""

    def denoise(velocity: Velocity, x: Tensor, sigma: Tensor) -> Tensor:
        t_B = samplers.sigma_to_t(sigma).expand(len(x))
        return made(x, lambda fed: velocity(fed, t_B), sigma, (sigma**2 + 1).sqrt())

    return lambda patch, _: patch.setattr(samplers, "denoise", denoise)


def begin_at_500(patch: pytest.MonkeyPatch, _: StableAudioModel) -> None:
    patch.setattr(samplers, "_begin", lambda noise, num, _: (samplers.sigmas(num), 500 * noise))


def first_step_of_second_order(patch: pytest.MonkeyPatch, _: StableAudioModel) -> None:
    def integral(estimates: list[Tensor], before: list[Tensor], h: Tensor, kh: Tensor, **how: bool) -> Tensor:
        if len(estimates) == 1:  # as if an estimate of zero had come before
            estimates, before = [estimates[0], 0 * estimates[0]], [h]
        return INTEGRAL(estimates, before, h, kh, **how)

    patch.setattr(samplers, "_integral", integral)


def heun(patch: pytest.MonkeyPatch, _: StableAudioModel) -> None:
    patch.setattr(samplers, "_integral", lambda *given, midpoint: INTEGRAL(*given, midpoint=False))


def at_the_last(made: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[..., None]:
    """Another end than the estimate: made of x, the estimate, and the estimate before."""

    def change(patch: pytest.MonkeyPatch, _: StableAudioModel) -> None:
        before: list[Tensor] = []

        def denoise(velocity: Velocity, x: Tensor, sigma: Tensor) -> Tensor:
            estimate = DENOISE(velocity, x, sigma)
            before.append(estimate)
            return made(x, estimate, before[-2]) if sigma < 0.3001 else estimate

        patch.setattr(samplers, "denoise", denoise)

    return change


def without_fresh_noise(patch: pytest.MonkeyPatch, _: StableAudioModel) -> None:
    patch.setitem(samplers.SAMPLERS, "dpmpp-2m-sde", samplers.dpmpp_2m)


def third_order(patch: pytest.MonkeyPatch, _: StableAudioModel) -> None:
    patch.setitem(samplers.SAMPLERS, "dpmpp-2m-sde", samplers.dpmpp_3m_sde)
