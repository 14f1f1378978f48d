"""AdamW with an inverse learning-rate decay (paper 4; constants from the published configs)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

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
    moment_bits: Literal[32, 8] = 32  # 8: moments in a quarter of the memory (Dettmers et al. 2021)

    def __post_init__(self) -> None:
        if not 0 < self.lr <= _MOST or not 0 <= self.warmup < 1 or self.inv_gamma <= 0:
            raise UsageError(
                f"optimiser: lr {self.lr}, warmup {self.warmup} or inv_gamma {self.inv_gamma} out of range"
            )


def make(parameters: Iterable[nn.Parameter], config: Config) -> torch.optim.Optimizer:
    """The optimiser; its rate is set by `set_rate` before every step."""
    values: dict[str, Any] = {"lr": config.lr, "betas": config.betas, "weight_decay": config.weight_decay}
    if config.moment_bits == 32:
        return torch.optim.AdamW(parameters, **values)
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise UsageError(
            "optimiser.moment_bits = 8 needs bitsandbytes: `pip install 'sao[bits]'`, or leave it at 32"
        ) from error
    made: torch.optim.Optimizer = AdamW8bit(parameters, **values)
    return made


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
        f"{name}|{key}": torch.as_tensor(value).detach()  # bitsandbytes counts steps as a number
        for name, parameter in named.items()
        for key, value in optimiser.state.get(parameter, {}).items()
    }


@torch.no_grad()
def load_state(
    optimiser: torch.optim.Optimizer, named: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]
) -> None:
    """Continue from a checkpoint's moments, whole tensors; processes divide them as they do weights."""
    for name, parameter in named.items():
        if f"{name}|step" not in tensors:  # of an optimiser that had not stepped yet
            optimiser.state.pop(parameter, None)
            continue
        if f"{name}|{_MOMENTS[0]}" in tensors:
            entry: dict[str, Any] = {"step": tensors[f"{name}|step"].clone()}
            for key in _MOMENTS:
                entry[key] = torch.zeros_like(parameter)
                sharding.put(entry[key], tensors[f"{name}|{key}"])
        else:  # of 8 bits, or of 32 for a parameter that is small: as bitsandbytes names them
            own = {n.removeprefix(f"{name}|"): t for n, t in tensors.items() if n.startswith(f"{name}|")}
            entry = {key: value.to(parameter.device, copy=True) for key, value in own.items()}
            entry["step"] = int(own["step"])
        optimiser.state[parameter] = entry
