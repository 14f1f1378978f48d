"""Conditioning as a value, its dropout in training, and classifier-free guidance (Ho & Salimans 2022).

"Nothing" is zeros: all cross-attention tokens (text and timing) zero, the global part kept.

    B batch   S conditioning tokens   C their width   G global conditioning   D latent channels   L latents
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sao_model.diffusion import Velocity

Denoiser = Callable[
    [Tensor, Tensor, Tensor, Tensor], Tensor
]  # DiT: (x_BDL, t_B, cross_BSC, global_BG) -> v_BDL


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioning:
    """What the DiT is told: tokens (text, start, total) and a global vector (start, total)."""

    cross_BSC: Tensor
    global_BG: Tensor


def conditioned(dit: Denoiser, conditioning: Conditioning) -> Velocity:
    """The DiT with its conditioning filled in."""
    return lambda x_BDL, t_B: dit(x_BDL, t_B, conditioning.cross_BSC, conditioning.global_BG)


def cfg(
    dit: Denoiser, conditioning: Conditioning, *, scale: float, negative_BSC: Tensor | None = None
) -> Velocity:
    """Guided velocity v0 + scale (v - v0), both from one batch of two; v0 sees `negative_BSC` or zeros."""
    if scale == 1:
        return conditioned(dit, conditioning)
    null_BSC = torch.zeros_like(conditioning.cross_BSC) if negative_BSC is None else negative_BSC
    cross = torch.cat([conditioning.cross_BSC, null_BSC])
    everywhere = torch.cat([conditioning.global_BG, conditioning.global_BG])

    def guided(x_BDL: Tensor, t_B: Tensor) -> Tensor:
        v, v0 = dit(torch.cat([x_BDL, x_BDL]), torch.cat([t_B, t_B]), cross, everywhere).chunk(2)
        return v0 + scale * (v - v0)

    return guided


def drop_conditioning(
    conditioning: Conditioning, share: float, generator: torch.Generator | None
) -> Conditioning:
    """Zero all tokens of about `share` of the batch, so that the model learns "nothing"."""
    device = generator.device if generator else conditioning.cross_BSC.device
    chance_B = torch.rand(len(conditioning.cross_BSC), generator=generator, device=device)
    keep_B11 = (chance_B >= share).to(conditioning.cross_BSC)[:, None, None]
    return Conditioning(cross_BSC=conditioning.cross_BSC * keep_B11, global_BG=conditioning.global_BG)
