"""A moving average of the weights (decay 0.9999, power 3/4: SAT's values): the model to keep."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sao_model.training import sharding

_COUNT = "num_updates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Early averages are short: the decay grows as 1 - n^-power up to beta."""

    beta: float = 0.9999
    power: float = 0.75
    update_after: int = 1  # updates that only copy, as SAT sets it
    device: Literal["", "cpu"] = ""  # where averages lie: '' beside the weights; cpu: a copy at every step


class Ema:
    """Float32 averages of the trainable parameters of a module; divided among processes as these are."""

    def __init__(self, module: nn.Module, config: Config | None = None) -> None:
        self.config = config or Config()
        self.num_updates = 0
        self._module = module
        self.averages = {name: self._here(p, copy=True) for name, p in sharding.trained(module)}

    @property
    def decay(self) -> float:
        """Weight of the old average in the latest update."""
        age = self.num_updates - self.config.update_after - 1
        if age <= 0:
            return 0.0
        return min(1 - float((1 + age) ** -self.config.power), self.config.beta)

    @torch.no_grad()
    def update(self) -> None:
        """Take in the module's weights after an optimiser step."""
        self.num_updates += 1
        weights = [self._here(p) for _, p in sharding.trained(self._module)]
        torch._foreach_lerp_(list(self.averages.values()), weights, 1 - self.decay)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """The module with the averages as weights; its own come back on leaving."""
        own = {name: sharding.local(p.detach()).clone() for name, p in sharding.trained(self._module)}
        self._overwrite(self.averages)
        try:
            yield
        finally:
            self._overwrite(own)

    def state_dict(self) -> dict[str, Tensor]:
        """Tensors for a checkpoint, the number of updates among them; divided ones are so still."""
        named = dict(sharding.trained(self._module))
        averages = {name: sharding.like(average, named[name]) for name, average in self.averages.items()}
        return {**averages, _COUNT: torch.tensor(self.num_updates)}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a checkpoint's whole tensors; the names must be the same."""
        assert set(state) == {*self.averages, _COUNT}, set(state) ^ {*self.averages, _COUNT}
        self.num_updates = int(state[_COUNT])
        named = dict(sharding.trained(self._module))
        for name, average in self.averages.items():
            sharding.put(sharding.like(average, named[name]), state[name])

    @torch.no_grad()
    def _overwrite(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in sharding.trained(self._module):
            sharding.local(parameter).copy_(values[name])

    def _here(self, parameter: Tensor, *, copy: bool = False) -> Tensor:
        """This process's part of a parameter, float32, where averages lie."""
        part = sharding.local(parameter.detach())
        return part.to(self.config.device or part.device, torch.float32, copy=copy)
