"""AdamW with an inverse learning-rate decay (paper 4; constants from the published configs)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sao_data.errors import UsageError
from sao_model.training import sharding

_MOST = 100.0  # of a learning rate; beyond it, float32 overflows in a step
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Step sizes; the defaults are the DiT's (model_config.json, "training")."""

    lr: float = 5e-5
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-3
    inv_gamma: float = 1e6  # steps after which the rate has fallen by 2^-power
    power: float = 0.5
    warmup: float = 0.99  # the rate grows as 1 - warmup^(step + 1)
    clip: float = 0.0  # largest norm of the gradient; 0 = none, as published

    def __post_init__(self) -> None:
        if not 0 < self.lr <= _MOST or not 0 <= self.warmup < 1 or self.inv_gamma <= 0:
            raise UsageError(
                f"optimiser: lr {self.lr}, warmup {self.warmup} or inv_gamma {self.inv_gamma} out of range"
            )


def make(parameters: Iterable[nn.Parameter], config: Config) -> torch.optim.AdamW:
    """The optimiser; its rate is set by `set_rate` before every step."""
    return torch.optim.AdamW(parameters, lr=config.lr, betas=config.betas, weight_decay=config.weight_decay)


def rate(config: Config, step: int) -> float:
    """Learning rate of a step (0, 1, …): lr (1 - warmup^(step+1)) (1 + step / inv_gamma)^-power."""
    decay = math.pow(1 + step / config.inv_gamma, -config.power)
    return config.lr * (1 - math.pow(config.warmup, step + 1)) * decay


def set_rate(optimiser: torch.optim.Optimizer, config: Config, step: int) -> float:
    """Set the rate for a step; a pure function of the step, so there is no scheduler to resume."""
    value = rate(config, step)
    for group in optimiser.param_groups:
        group["lr"] = value
    return value


def state(optimiser: torch.optim.Optimizer, named: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """Moments and step counts as tensors by parameter name, for a checkpoint without pickle."""
    return {
        f"{name}|{key}": value.detach()
        for name, parameter in named.items()
        for key, value in optimiser.state.get(parameter, {}).items()
    }


@torch.no_grad()
def load_state(
    optimiser: torch.optim.Optimizer, named: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]
) -> None:
    """Continue from a checkpoint's moments, whole tensors; processes divide them as they do weights."""
    for name, parameter in named.items():
        if f"{name}|step" not in tensors:
            continue  # of an optimiser that had not stepped yet
        entry = {"step": tensors[f"{name}|step"].clone()}
        for key in _MOMENTS:
            entry[key] = torch.zeros_like(parameter)
            sharding.put(entry[key], tensors[f"{name}|{key}"])
        optimiser.state[parameter] = entry
