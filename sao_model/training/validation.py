"""Validation: fixed windows of authors that are not trained on, and what the weights make of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from sao_data.dataset.reader import Dataset
from sao_data.errors import UsageError
from sao_data.loading.stream import Stream, StreamConfig, StreamedSample
from sao_model.training.ema import Ema

if TYPE_CHECKING:
    from sao_model.training.loop import Loop, Pace

log = logging.getLogger(__name__)

_QUIET = 0.03  # peak, -30 dBFS, below which a window counts as silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Which windows; pace.validate_every says how often."""

    series: tuple[str, ...] = ("validation",)
    num_windows: int = 16  # all processes together
    seed: int = 0  # of which windows, apart from the training's

    def __post_init__(self) -> None:
        if self.num_windows < 1:
            raise UsageError(f"validation.num_windows: {self.num_windows}; want at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """This process's part of the windows; every process has as many."""

    samples: tuple[StreamedSample, ...]
    is_trained_on: bool  # the dataset has no such series: they are the first ones of the training's

    def is_heard(self) -> Tensor:
        """Which of them count, (B,): a distance relative to silence means nothing."""
        return torch.tensor([float(np.abs(sample.audio).max()) >= _QUIET for sample in self.samples])

    def heard(self) -> tuple[StreamedSample, ...]:
        """Those that count."""
        return tuple(s for s, is_heard in zip(self.samples, self.is_heard(), strict=True) if is_heard)


def windows(
    dataset: Dataset, stream: StreamConfig, config: Config, pace: Pace, accelerator: Accelerator
) -> Windows:
    """The windows, the same at every call, whatever the number of processes; where
    they are to be validated on and there are none, it is said."""
    sizes = {series: 0 for series in (*config.series, *stream.series)}
    for shard in dataset.shards():
        if shard.series in sizes:
            sizes[shard.series] += shard.num_samples
    has_own = sum(sizes[series] for series in config.series) >= accelerator.num_processes
    chosen = config.series if has_own else stream.series
    if pace.validate_every and not has_own:
        log.warning(
            "%s: no samples in the series %s: nothing is validated (manifest: [split])",
            dataset.storage.url,
            ", ".join(config.series),
        )
    num = min(config.num_windows, sum(sizes[series] for series in chosen))
    world = accelerator.num_processes
    num = max(num // world, 1) * world
    still = replace(stream, series=chosen, seed=config.seed, flip=0.0, num_threads=0)
    with Stream(dataset, still, batch_size=num, rank=accelerator.process_index, world_size=world) as drawn:
        batch = next(drawn)
    return Windows(samples=batch.samples, is_trained_on=not has_own)


def tell(
    held: Windows, measure: Callable[[], dict[str, Tensor]], average: Ema | None, here: Loop, step: int
) -> None:
    """Log what `measure` gives of each window, (B,), for the averaged weights and for those as trained: the
    mean over the windows of all processes that are heard."""
    if held.is_trained_on:
        return
    with here.timed("validation"):
        if average:
            with average.applied():
                here.journal.tell(step, "ema", _means(measure(), held, here))
        here.journal.tell(step, "raw", _means(measure(), held, here))


def _means(values: dict[str, Tensor], held: Windows, here: Loop) -> dict[str, float]:
    is_heard_B = held.is_heard()
    sums = {name: (value.detach().cpu() * is_heard_B).sum() for name, value in values.items()}
    every = here.journal.means({**sums, "": is_heard_B.float().sum()})
    num = max(every.pop(""), 1e-9)
    return {name: value / num for name, value in every.items()}
