"""A number of seconds as one token (paper 2.2): where a crop starts, or how long the whole recording is.

B batch   C width   F frequencies
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from sao_model.precision import in_float32


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Defaults are the released model's (model_config.json, "number")."""

    width: int = 768  # "cond_dim"
    max_seconds: int = 512  # "max_val"; longer is heard as this
    num_frequencies: int = 128


class Seconds(nn.Module):
    """Learned Fourier features of seconds / max_seconds, then one linear layer."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.frequencies = nn.Parameter(torch.randn(config.num_frequencies))
        self.linear = nn.Linear(1 + 2 * config.num_frequencies, config.width)

    def forward(self, seconds_B: Tensor) -> Tensor:
        """Tokens (B, 1, C)."""
        return cast("Tensor", self.linear(self._features(seconds_B)))[:, None]

    @in_float32
    def _features(self, seconds_B: Tensor) -> Tensor:
        most = self.config.max_seconds
        u_B1 = (seconds_B.to(self.frequencies).clamp(0, most) / most)[:, None]
        angle_BF = u_B1 * self.frequencies * 2 * math.pi
        return torch.cat([u_B1, angle_BF.sin(), angle_BF.cos()], dim=-1)  # sine first, unlike the timestep


def build(config: Config) -> Seconds:
    """Make a conditioner with random weights."""
    return Seconds(config)
