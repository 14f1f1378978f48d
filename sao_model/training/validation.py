"""Validation: fixed windows of authors that are not trained on, and what the weights make of them."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from sao_data.errors import UsageError
from sao_data.loading.source import TrainingSource
from sao_data.loading.stream import StreamConfig, StreamedSample, open_stream
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
    """This process's part of the windows. Every process has as many: what is missing is filled up, and does
    not count."""

    samples: tuple[StreamedSample, ...]
    num: int  # of them, those that are not filled up
    is_trained_on: bool  # the dataset has no such series: they are the first ones of the training's

    def is_heard(self) -> Tensor:
        """Which of them count, (B,): a distance relative to silence means nothing."""
        peaks = (np.abs(s.audio).max() if s.peak is None else s.peak for s in self.samples)
        loud = [float(peak) >= _QUIET for peak in peaks]
        return torch.tensor([is_loud and at < self.num for at, is_loud in enumerate(loud)])

    def heard(self) -> tuple[StreamedSample, ...]:
        """Those that count."""
        return tuple(s for s, is_heard in zip(self.samples, self.is_heard(), strict=True) if is_heard)


def windows(
    dataset: TrainingSource, stream: StreamConfig, config: Config, pace: Pace, accelerator: Accelerator
) -> Windows:
    """The windows, the same at every call, whatever the number of processes; where
    they are to be validated on and there are none, it is said."""
    own = [shard for shard in dataset.shards() if shard.series in config.series and shard.num_samples]
    if pace.validate_every and not own:
        log.warning(
            "%s: no samples in the series %s: nothing is validated (manifest: [split])",
            dataset.storage.url,
            ", ".join(config.series),
        )
    series = config.series if own else stream.series
    still = replace(stream, series=series, seed=config.seed, flip=0.0, num_threads=0)
    with open_stream(dataset, still, batch_size=1) as drawn:
        num = min(config.num_windows, drawn.num_samples)
    with open_stream(dataset, still, batch_size=num) as drawn:
        samples = next(drawn).samples
    rank, world = accelerator.process_index, accelerator.num_processes
    mine = samples[rank::world]
    filled = mine + samples[:1] * (math.ceil(num / world) - len(mine))
    return Windows(samples=filled, num=len(mine), is_trained_on=not own)


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
    sums = {name: value.detach().cpu()[is_heard_B].sum() for name, value in values.items()}
    every = here.journal.means({**sums, "": is_heard_B.float().sum()})
    num = max(every.pop(""), 1e-9)
    return {name: value / num for name, value in every.items()}
