"""Conditioning as a value, its dropout in training, and guidance: classifier-free (Ho & Salimans 2022), with
what others have added to it.

"Nothing" is zeros: all cross-attention tokens (text and timing) zero, the global part kept. All of it is
arithmetic on two velocities: v, told everything, and v0, told nothing or a negative prompt.

    B batch   S conditioning tokens   C their width   G global conditioning   D latent channels   L latents
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sao_model.diffusion import Velocity, to_denoised, to_v
from sao_model.dit import Told
from sao_model.request import PLAIN, Guidance

Denoiser = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # (x_BDL, t_B, cross_BSC, global_BG) -> v_BDL
Evaluate = Callable[[Tensor, Tensor, Told], Tensor]  # (x_BDL, t_B, told) -> v_BDL
Combine = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # (v_BDL, v0_BDL, x_BDL, t_B) -> v_BDL

_TINY = 1e-12  # no division by zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioning:
    """What the DiT is told: tokens (text, start, total) and a global vector (start, total)."""

    cross_BSC: Tensor
    global_BG: Tensor


class Transformer(Protocol):
    """What guidance needs of the DiT."""

    def told(self, cross_BSC: Tensor, global_BG: Tensor) -> Told: ...
    def told_with_nothing(self, cross_BSC: Tensor, global_BG: Tensor) -> Told: ...
    def velocity(self, x_BDL: Tensor, t_B: Tensor, told: Told) -> Tensor: ...


def conditioned(dit: Denoiser, conditioning: Conditioning) -> Velocity:
    """The DiT with its conditioning filled in, for training."""
    return lambda x_BDL, t_B: dit(x_BDL, t_B, conditioning.cross_BSC, conditioning.global_BG)


def cfg(
    dit: Transformer,
    conditioning: Conditioning,
    *,
    scale: float,
    negative_BSC: Tensor | None = None,
    config: Guidance = PLAIN,
    evaluate: Evaluate | None = None,
) -> Velocity:
    """Guided velocity v0 + scale (v - v0), both from one batch of two; v0 sees `negative_BSC` or zeros.

    What the conditioning means to the DiT is computed here, once. Outside of the interval only v is
    evaluated. `evaluate` stands in for the DiT's velocity. The result is for one run: momentum remembers.
    """
    evaluate = evaluate or dit.velocity
    cross_BSC, global_BG = conditioning.cross_BSC, conditioning.global_BG
    alone, combine = dit.told(cross_BSC, global_BG), combination(scale, config)
    if negative_BSC is None:
        both = dit.told_with_nothing(cross_BSC, global_BG)
    else:
        both = dit.told(torch.cat([cross_BSC, negative_BSC]), torch.cat([global_BG, global_BG]))
    low, high = config.interval
    everywhere = (low, high) == PLAIN.interval  # then no time is copied from the device

    def guided(x_BDL: Tensor, t_B: Tensor) -> Tensor:
        if scale == 1 or not (everywhere or low <= float(t_B[0]) <= high):
            return evaluate(x_BDL, t_B, alone)
        v, v0 = evaluate(torch.cat([x_BDL, x_BDL]), torch.cat([t_B, t_B]), both).chunk(2)
        return combine(v, v0, x_BDL, t_B)

    return guided


def combination(scale: float, config: Guidance) -> Combine:
    """What makes one velocity of two."""
    plain: Combine = lambda v, v0, *_: v0 + scale * (v - v0)  # noqa: E731
    combine = projected(scale, config) if config.apg else plain
    return rescaled(combine, config.rescale) if config.rescale else combine


def rescaled(combine: Combine, share: float) -> Combine:
    """The guided velocity with the standard deviation of v, mixed in by `share` (arXiv 2305.08891, eq. 15 and
    16): high scales make latents too loud."""

    def combined(v_BDL: Tensor, v0_BDL: Tensor, x_BDL: Tensor, t_B: Tensor) -> Tensor:
        guided_BDL = combine(v_BDL, v0_BDL, x_BDL, t_B)
        ratio_B11 = _spread(v_BDL) / _spread(guided_BDL).clamp_min(_TINY)
        return guided_BDL * (share * ratio_B11 + 1 - share)

    return combined


def projected(scale: float, config: Guidance) -> Combine:
    """Adaptive projected guidance (arXiv 2410.02416, algorithm 1): of the difference between the two clean
    estimates mostly what is orthogonal to the estimate, which changes content; the rest oversaturates."""
    running: list[Tensor] = []  # the last difference, for momentum

    def combined(v_BDL: Tensor, v0_BDL: Tensor, x_BDL: Tensor, t_B: Tensor) -> Tensor:
        told_BDL = to_denoised(v_BDL, x_BDL, t_B)
        difference = told_BDL - to_denoised(v0_BDL, x_BDL, t_B)
        if config.apg_momentum:
            difference = difference + config.apg_momentum * (running.pop() if running else 0)
            running.append(difference)
        if config.apg_norm:
            length_B11 = difference.square().mean((1, 2), keepdim=True).sqrt()
            difference = difference * (config.apg_norm / length_B11.clamp_min(_TINY)).clamp(max=1)
        along = _along(difference, told_BDL)
        return to_v(told_BDL + (scale - 1) * (difference - along + config.apg_eta * along), x_BDL, t_B)

    return combined


def drop_conditioning(conditioning: Conditioning, is_dropped_B: Tensor) -> Conditioning:
    """Zero all tokens of some of the batch, so that the model learns "nothing"; the global part stays."""
    keep_B11 = (~is_dropped_B).to(conditioning.cross_BSC)[:, None, None]
    return Conditioning(cross_BSC=conditioning.cross_BSC * keep_B11, global_BG=conditioning.global_BG)


def _spread(x_BDL: Tensor) -> Tensor:
    return x_BDL.std((1, 2), keepdim=True)


def _along(x_BDL: Tensor, direction_BDL: Tensor) -> Tensor:
    """The part of x that is parallel to the direction, each item by itself."""
    dot = (x_BDL * direction_BDL).sum((1, 2), keepdim=True)
    return dot / direction_BDL.square().sum((1, 2), keepdim=True).clamp_min(_TINY) * direction_BDL
