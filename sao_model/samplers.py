"""Samplers: from noise to latents along the velocity. All noise is passed in.

The DPM-Solver++ family (Lu et al. 2022, arXiv 2211.01095) runs in sigma = tan(pi t / 2), on a grid from 500
to 0.3 (the released scheduler_config.json), then jumps to the clean estimate.

    B batch   D latent channels   L latents
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from sao_model.diffusion import Velocity, alpha_sigma, to_denoised, to_noise

SIGMA_MIN, SIGMA_MAX = 0.3, 500.0  # released scheduler_config.json

StepNoise = Callable[[int], Tensor]  # step number -> standard normal noise (B, D, L)
Advance = Callable[
    [Tensor, Tensor, Tensor, Tensor, int], Tensor
]  # (x, x0, step in log SNR, next sigma, number)
Sampler = Callable[
    [Velocity, Tensor, int, StepNoise], Tensor
]  # (velocity, noise_BDL, steps, step noise) -> x0_BDL


def sigmas(num_steps: int, sigma_min: float = SIGMA_MIN, sigma_max: float = SIGMA_MAX) -> Tensor:
    """Noise levels evenly spaced in log scale from `sigma_max` to `sigma_min`, then 0: (num_steps + 1,)."""
    levels = torch.linspace(math.log(sigma_max), math.log(sigma_min), num_steps).exp()
    return torch.cat([levels, levels.new_zeros(1)])


def sigma_to_t(sigma: Tensor) -> Tensor:
    """Time in [0, 1] at which noise over signal is `sigma`."""
    return sigma.atan() * (2 / math.pi)


def denoise(velocity: Velocity, x_BDL: Tensor, sigma: Tensor) -> Tensor:
    """Clean estimate of x = x0 + sigma noise: c_skip x + c_out v(c_in x, t)."""
    norm = (sigma**2 + 1).sqrt()
    t_B = sigma_to_t(sigma).to(x_BDL).expand(len(x_BDL))
    return x_BDL / norm**2 - (sigma / norm) * velocity(x_BDL / norm, t_B)


def dpmpp_2m_sde(velocity: Velocity, noise_BDL: Tensor, num_steps: int, step_noise: StepNoise) -> Tensor:
    """SDE-DPM-Solver++ (2M, midpoint): the released scheduler; fresh noise at every step but the last."""

    def advance(x_BDL: Tensor, x0_BDL: Tensor, h: Tensor, sigma: Tensor, step: int) -> Tensor:
        gain = -(-2 * h).expm1()
        return (-2 * h).exp() * x_BDL + gain * x0_BDL + sigma * gain.sqrt() * step_noise(step)

    return _second_order(velocity, noise_BDL, num_steps, advance)


def dpmpp_2m(velocity: Velocity, noise_BDL: Tensor, num_steps: int, step_noise: StepNoise) -> Tensor:
    """DPM-Solver++ (2M): the deterministic one; `step_noise` is not used."""

    def advance(x_BDL: Tensor, x0_BDL: Tensor, h: Tensor, sigma: Tensor, step: int) -> Tensor:
        return (-h).exp() * x_BDL - (-h).expm1() * x0_BDL

    return _second_order(velocity, noise_BDL, num_steps, advance)


def v_ddim(velocity: Velocity, noise_BDL: Tensor, num_steps: int, step_noise: StepNoise) -> Tensor:
    """DDIM along equal steps of t from 1 to 0 (first order, deterministic); `step_noise` is not used."""
    x, times = noise_BDL, torch.linspace(1, 0, num_steps + 1).to(noise_BDL)
    for now, later in itertools.pairwise(times):
        t_B = now.expand(len(x))
        v = velocity(x, t_B)
        alpha, sigma = alpha_sigma(later.expand(len(x)))
        x = alpha * to_denoised(v, x, t_B) + sigma * to_noise(v, x, t_B)
    return x


def _second_order(velocity: Velocity, noise_BDL: Tensor, num_steps: int, advance: Advance) -> Tensor:
    """The loop of both: extrapolate the clean estimate from two steps, advance, end on an estimate."""
    levels = sigmas(num_steps).to(noise_BDL.device)
    x, before = noise_BDL * math.sqrt(SIGMA_MAX**2 + 1), None
    for i in range(num_steps - 1):
        now = denoise(velocity, x, levels[i])
        h = (levels[i] / levels[i + 1]).log()  # step in log signal-to-noise
        ahead = now
        if before is not None:
            h_before = (levels[i - 1] / levels[i]).log()
            ahead = now + (h / (2 * h_before)) * (now - before)
        x, before = advance(x, ahead, h, levels[i + 1], i), now
    return denoise(velocity, x, levels[num_steps - 1])


SAMPLERS: dict[str, Sampler] = {"dpmpp-2m-sde": dpmpp_2m_sde, "dpmpp-2m": dpmpp_2m, "v-ddim": v_ddim}
