"""A moving average of the weights (decay 0.9999, power 3/4: SAT's values): the model to keep."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_COUNT = "num_updates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Early averages are short: the decay grows as 1 - n^-power up to beta."""

    beta: float = 0.9999
    power: float = 0.75
    update_after: int = 1  # updates that only copy, as SAT sets it


class Ema:
    """Float32 averages of the trainable parameters of a module."""

    def __init__(self, module: nn.Module, config: Config | None = None) -> None:
        self.config = config or Config()
        self.num_updates = 0
        self.averages = {name: p.detach().float().clone() for name, p in _trained(module)}

    @property
    def decay(self) -> float:
        """Weight of the old average in the latest update."""
        age = self.num_updates - self.config.update_after - 1
        if age <= 0:
            return 0.0
        return min(1 - float((1 + age) ** -self.config.power), self.config.beta)

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take in the module's weights after an optimiser step."""
        self.num_updates += 1
        weight = 1 - self.decay
        for name, parameter in _trained(module):
            self.averages[name].lerp_(parameter.detach().float(), weight)

    @torch.no_grad()
    def copy_to(self, module: nn.Module) -> None:
        """Overwrite the module's weights by the averages."""
        for name, parameter in _trained(module):
            parameter.copy_(self.averages[name])

    @contextlib.contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """The module with the averages as weights; its own come back on leaving."""
        own = {name: p.detach().clone() for name, p in _trained(module)}
        self.copy_to(module)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in _trained(module):
                    parameter.copy_(own[name])

    def state_dict(self) -> dict[str, Tensor]:
        """Tensors for a checkpoint, the number of updates among them."""
        return {**self.averages, _COUNT: torch.tensor(self.num_updates)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a checkpoint; the names must be the same."""
        assert set(state) == {*self.averages, _COUNT}, set(state) ^ {*self.averages, _COUNT}
        self.num_updates = int(state[_COUNT])
        for name, average in self.averages.items():
            average.copy_(state[name])


def _trained(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, p) for name, p in module.named_parameters() if p.requires_grad)
