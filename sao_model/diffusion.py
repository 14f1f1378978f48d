"""The diffusion maths: angles, velocities, and the loss (v-objective; Salimans & Ho 2022, appendix D).

Time t runs over [0, 1]; a noised latent is alpha x0 + sigma noise with alpha = cos(pi t / 2) and
sigma = sin(pi t / 2).

    B batch   D latent channels   L latents
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]  # (x_BDL, t_B) -> v_BDL


def alpha_sigma(t_B: Tensor) -> tuple[Tensor, Tensor]:
    """Shares of signal and noise at time t, shaped (B, 1, 1)."""
    angle = t_B[:, None, None] * (math.pi / 2)
    return angle.cos(), angle.sin()


def noised(x0_BDL: Tensor, noise_BDL: Tensor, t_B: Tensor) -> Tensor:
    """The latent at time t: alpha x0 + sigma noise."""
    alpha, sigma = alpha_sigma(t_B)
    return alpha * x0_BDL + sigma * noise_BDL


def v_target(x0_BDL: Tensor, noise_BDL: Tensor, t_B: Tensor) -> Tensor:
    """What the model learns to say: alpha noise - sigma x0."""
    alpha, sigma = alpha_sigma(t_B)
    return alpha * noise_BDL - sigma * x0_BDL


def to_denoised(v_BDL: Tensor, x_BDL: Tensor, t_B: Tensor) -> Tensor:
    """Estimate of the clean latent: alpha x - sigma v."""
    alpha, sigma = alpha_sigma(t_B)
    return alpha * x_BDL - sigma * v_BDL


def to_noise(v_BDL: Tensor, x_BDL: Tensor, t_B: Tensor) -> Tensor:
    """Estimate of the noise: sigma x + alpha v."""
    alpha, sigma = alpha_sigma(t_B)
    return sigma * x_BDL + alpha * v_BDL


def to_v(x0_BDL: Tensor, x_BDL: Tensor, t_B: Tensor) -> Tensor:
    """The velocity that a clean estimate means: (alpha x - x0) / sigma, for t above 0."""
    alpha, sigma = alpha_sigma(t_B)
    return (alpha * x_BDL - x0_BDL) / sigma


def v_loss(velocity: Velocity, x0_BDL: Tensor, noise_BDL: Tensor, t_B: Tensor) -> Tensor:
    """Mean squared error of the velocity, everywhere: silence after the end is learned (paper 2.3)."""
    v_BDL = velocity(noised(x0_BDL, noise_BDL, t_B), t_B)
    return (v_BDL.float() - v_target(x0_BDL, noise_BDL, t_B)).square().mean()
