"""Samplers: from noise to latents along the velocity. All noise is passed in.

The DPM-Solver++ family (Lu et al. 2022, arXiv 2211.01095) runs in sigma = tan(pi t / 2), on a grid from 500
to 0.3 (the released scheduler_config.json), then jumps to the clean estimate. Between two levels it solves

    x' = e^(-kh) x + the integral over the step of the clean estimate, weighted by k e^(-k (to the end))

with h the step in log signal-to-noise and k = 1 without fresh noise (ODE), 2 with it (SDE); the estimate is
a polynomial through the last ones: constant, a line (2M), a parabola (3M).

A `Start` begins later: from a sound that is there, with noise up to some time added to it.

    B batch   D latent channels   L latents
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sao_data.errors import UsageError
from sao_model.diffusion import Velocity, alpha_sigma, to_denoised, to_noise

SIGMA_MIN, SIGMA_MAX = 0.3, 500.0  # released scheduler_config.json

StepNoise = Callable[[int], Tensor]  # step number -> standard normal noise (B, D, L)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where sampling begins: at pure noise, or at a clean latent noised up to a time."""

    clean_BDL: Tensor | None = None
    time: float = 1.0  # in (0, 1]: the share of noise is sin(pi time / 2)


NOISE = Start()


class Sampler(Protocol):
    """Clean latents (B, D, L) from standard normal noise in that shape; one velocity a step."""

    def __call__(
        self,
        velocity: Velocity,
        noise_BDL: Tensor,
        num_steps: int,
        step_noise: StepNoise,
        start: Start = ...,
    ) -> Tensor: ...


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


def dpmpp_3m_sde(
    velocity: Velocity, noise_BDL: Tensor, num_steps: int, step_noise: StepNoise, start: Start = NOISE
) -> Tensor:
    """SDE-DPM-Solver++ (3M): what the released model's page advises for stable-audio-tools."""
    return _multistep(velocity, noise_BDL, num_steps, step_noise, start, points=3, is_sde=True)


def dpmpp_2m_sde(
    velocity: Velocity, noise_BDL: Tensor, num_steps: int, step_noise: StepNoise, start: Start = NOISE
) -> Tensor:
    """SDE-DPM-Solver++ (2M, midpoint): the released scheduler; fresh noise at every step but the last."""
    return _multistep(velocity, noise_BDL, num_steps, step_noise, start, points=2, is_sde=True)


def dpmpp_2m(
    velocity: Velocity, noise_BDL: Tensor, num_steps: int, step_noise: StepNoise, start: Start = NOISE
) -> Tensor:
    """DPM-Solver++ (2M): the deterministic one; `step_noise` is not used."""
    return _multistep(velocity, noise_BDL, num_steps, step_noise, start, points=2, is_sde=False)


def v_ddim(
    velocity: Velocity, noise_BDL: Tensor, num_steps: int, step_noise: StepNoise, start: Start = NOISE
) -> Tensor:
    """DDIM along equal steps of t down to 0 (first order, deterministic); `step_noise` is not used."""
    times = torch.linspace(start.time, 0, num_steps + 1).to(noise_BDL)
    x = noise_BDL
    if start.clean_BDL is not None:
        alpha, sigma = alpha_sigma(times[:1])
        x = alpha * start.clean_BDL + sigma * noise_BDL
    for now, later in itertools.pairwise(times):
        t_B = now.expand(len(x))
        v = velocity(x, t_B)
        alpha, sigma = alpha_sigma(later.expand(len(x)))
        x = alpha * to_denoised(v, x, t_B) + sigma * to_noise(v, x, t_B)
    return x


def _multistep(
    velocity: Velocity,
    noise_BDL: Tensor,
    num_steps: int,
    step_noise: StepNoise,
    start: Start,
    *,
    points: int,
    is_sde: bool,
) -> Tensor:
    """The loop of the DPM-Solver++ family: through the last `points` clean estimates, ending on one."""
    levels, x = _begin(noise_BDL, num_steps, start)
    steps = (levels[:-2] / levels[1:-1]).log()  # in log signal-to-noise
    estimates: list[Tensor] = []  # the latest first
    for i in range(num_steps - 1):
        estimates = [denoise(velocity, x, levels[i]), *estimates][:points]
        before = [steps[i - back] for back in range(1, len(estimates))]
        kh = (2 if is_sde else 1) * steps[i]
        x = (-kh).exp() * x + _integral(estimates, before, steps[i], kh, midpoint=points == 2)
        if is_sde:
            x = x + levels[i + 1] * (-(-kh).expm1()).sqrt() * step_noise(i)
    return denoise(velocity, x, levels[num_steps - 1])


def _begin(noise_BDL: Tensor, num_steps: int, start: Start) -> tuple[Tensor, Tensor]:
    """The grid (steps + 1,) and the first x = x0 + sigma noise."""
    if start.clean_BDL is None:
        return sigmas(num_steps).to(noise_BDL.device), noise_BDL * math.sqrt(SIGMA_MAX**2 + 1)
    highest = min(math.tan(math.pi / 2 * start.time), SIGMA_MAX) if start.time < 1 else SIGMA_MAX
    lowest = min(SIGMA_MIN, highest / 2)  # a start below the published range still gets its steps
    levels = sigmas(num_steps, lowest, highest).to(noise_BDL.device)
    return levels, start.clean_BDL + levels[0] * noise_BDL


def _integral(
    estimates: list[Tensor], before: list[Tensor], h: Tensor, kh: Tensor, *, midpoint: bool
) -> Tensor:
    """The weighted integral over a step of the polynomial through the estimates (latest first, `before` the
    steps between them). The midpoint rule takes its line's value halfway instead, as the released scheduler
    does; it is as exact in the limit."""
    now, gain = estimates[0], -(-kh).expm1()
    if len(estimates) == 1:
        return gain * now
    slope = (now - estimates[1]) / before[0]  # per unit of log signal-to-noise
    if midpoint:
        return gain * (now + h / 2 * slope)
    # Weights of h and h²/2 under the integral: (kh - gain)/kh and what parts give from it.
    first = 1 - gain / kh
    if len(estimates) == 2:
        return gain * now + first * h * slope
    slope_before = (estimates[1] - estimates[2]) / before[1]
    curvature = 2 * (slope - slope_before) / (before[0] + before[1])
    slope = slope + before[0] / 2 * curvature  # of the parabola at the latest point
    # Half of the parabola's share, as the published algorithm has it (k-diffusion, stable-audio-tools): what
    # it makes is what people mean by this name. The solver's order is the second for it, not the third.
    second = (0.5 - first / kh) / 2
    return gain * now + first * h * slope + second * h**2 * curvature


def named(name: str) -> Sampler:
    """The sampler of this name; UsageError with the nearest one if there is none."""
    if name not in SAMPLERS:
        near = difflib.get_close_matches(name, SAMPLERS, n=1, cutoff=0.3)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"sampler: no {name!r}{hint} (there are: {', '.join(SAMPLERS)})")
    return SAMPLERS[name]


SAMPLERS: dict[str, Sampler] = {
    "dpmpp-2m-sde": dpmpp_2m_sde,
    "dpmpp-3m-sde": dpmpp_3m_sde,
    "dpmpp-2m": dpmpp_2m,
    "v-ddim": v_ddim,
}
