"""Randomness of a training: a function of (seed, purpose, position) alone.

The position of a sample is its place in the endless order of the stream. So neither the number of processes,
nor how a batch is divided among them, nor a resume enters; there is no generator to store.

    B batch   D latent channels   L latents
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from sao_data.config import digest

_PERIOD = 1 << 30  # points that a Sobol sequence has


def normal(shape: Sequence[int], *, seed: int, purpose: str, positions: Sequence[int]) -> Tensor:
    """Normal noise, (B, *shape) on the CPU, each item from its own position."""
    return torch.stack([torch.randn(*shape, generator=_generator(seed, purpose, at)) for at in positions])


def uniform(*, seed: int, purpose: str, positions: Sequence[int]) -> Tensor:
    """Numbers in [0, 1), (B,) on the CPU, each from its own position."""
    return torch.cat([torch.rand(1, generator=_generator(seed, purpose, at)) for at in positions])


class Times:
    """Training times in [0, 1]: independent, or evenly spread over the positions (scrambled Sobol: SAT)."""

    def __init__(self, kind: Literal["sobol", "uniform"], seed: int) -> None:
        self._kind, self._seed = kind, seed
        self._engine = SobolEngine(1, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
        self._next = 0  # point that the engine gives next

    def at(self, positions: Sequence[int]) -> Tensor:
        """The times of ascending positions, (B,)."""
        if self._kind == "uniform":
            return uniform(seed=self._seed, purpose="times", positions=positions)
        first = positions[0] % _PERIOD
        if first < self._next:
            self._engine.reset()  # type: ignore[no-untyped-call]
            self._next = 0
        if first > self._next:
            self._engine.fast_forward(first - self._next)  # type: ignore[no-untyped-call]
        num = positions[-1] - positions[0] + 1
        drawn = self._engine.draw(num)[:, 0]
        self._next = first + num
        return drawn[[position - positions[0] for position in positions]]


def _generator(seed: int, purpose: str, position: int) -> torch.Generator:
    mixed = int.from_bytes(bytes.fromhex(digest("noise", purpose, seed, position))[:8], "big") >> 1
    return torch.Generator().manual_seed(mixed)
