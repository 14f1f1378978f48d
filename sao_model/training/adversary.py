"""The other side of the codec's training: its discriminators, when they take part, and their own optimiser.

B batch   C channels   T samples
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from sao_model import adversarial, checkpoint, discriminator, opened
from sao_model.discriminator import Discriminator
from sao_model.training import optimiser, sharding, state
from sao_model.training.state import Learner

# Fields named like these modules would hide them from whoever reads the types of a nested table.
_Shape: TypeAlias = discriminator.Config
_Steps: TypeAlias = optimiser.Config

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The discriminators, and when they take part; where both their terms weigh 0 there are none."""

    discriminator: _Shape = field(default_factory=_Shape)
    optimiser: _Steps = field(
        default_factory=lambda: _Steps(lr=3e-4, betas=(0.8, 0.99), inv_gamma=200_000, warmup=0.999)
    )
    turns: Literal["alternating", "joint"] = "alternating"  # every second step (SAT), or both at every step
    start: int = 0  # steps of the codec alone, before they take part
    ramp: int = 0  # steps over which their terms grow to full weight


class Rates(Protocol):
    """What the training's config says of step sizes."""

    @property
    def optimiser(self) -> _Steps: ...
    @property
    def adversary(self) -> Config: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Whose step it is."""

    codec: bool
    judges: bool
    num_codec: int  # steps of the codec before
    num_judges: int  # of the discriminators
    weight: float  # of the discriminators' terms


class Judgement(nn.Module):
    """The discriminators' own loss, as one module."""

    def __init__(self, judges: Discriminator) -> None:
        super().__init__()
        self.judges = judges

    def forward(self, real_BCT: Tensor, fake_BCT: Tensor) -> Tensor:
        """Hinge loss: what is real above 1, what is made below -1."""
        return adversarial.discriminator_loss(self.judges(real_BCT), self.judges(fake_BCT))


def turn_of(config: Config, is_there: bool, step: int) -> Turn:
    """Whose step this is (1, 2, …): a function of the number alone, so there is nothing to resume."""
    late = step - config.start
    if not is_there or late <= 0:
        return Turn(codec=True, judges=False, num_codec=step - 1, num_judges=0, weight=0.0)
    weight = min(1.0, late / config.ramp) if config.ramp else 1.0
    if config.turns == "joint":
        return Turn(codec=True, judges=True, num_codec=step - 1, num_judges=late - 1, weight=weight)
    is_theirs, num_judges = late % 2 == 0, (late - 1) // 2
    return Turn(
        codec=not is_theirs,
        judges=is_theirs,
        num_codec=step - 1 - num_judges,
        num_judges=num_judges,
        weight=weight,
    )


@contextlib.contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """The module's weights collect no gradients meanwhile; gradients still pass through it."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


def set_rates(ours: Learner, theirs: Learner | None, turn: Turn, config: Rates) -> dict[str, float]:
    """Set the learning rates of those whose turn it is; return them for the log."""
    rates = {}
    if turn.codec:
        rates["rate"] = optimiser.set_rate(ours.optim, config.optimiser, turn.num_codec)
    if turn.judges and theirs:
        asked = config.adversary.optimiser
        rates["judges_rate"] = optimiser.set_rate(theirs.optim, asked, turn.num_judges)
    return rates


def make(
    config: Config, is_there: bool, seed: int, accelerator: Accelerator
) -> tuple[Learner | None, nn.Module]:
    """The discriminators, new from the seed, and their loss as it is wrapped for several processes."""
    if not is_there:
        return None, nn.Identity()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judges = Discriminator(config.discriminator)
    judges.to(accelerator.device)
    made = optimiser.make(judges.parameters(), config.optimiser)
    wrapped, optim = sharding.prepare(accelerator, Judgement(judges), made)
    return Learner(name="discriminator", module=judges, optim=optim), wrapped


def go_on_from(folder: str, theirs: Learner) -> None:
    """Stage 2 goes on with the discriminators of stage 1, where its checkpoint holds such."""
    start = opened.find(folder)
    if start.is_published or state.EXTRA not in checkpoint.describe(start.folder).extras:
        return
    if state.restore_weights(start.folder, theirs):
        log.info("discriminators go on from %s", start.folder)
    else:
        log.warning("%s: has no discriminators of this shape; new ones begin", start.folder)
