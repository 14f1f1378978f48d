"""Kernel audio distance to the reference, times 100: unbiased, so that few clips are enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sao_model.metrics import intervals, kernel
from sao_model.metrics.embedded import EmbeddedSet, ScoreRow
from sao_model.metrics.intervals import Estimate, Indices

LEAST = 3  # clips: a jackknife leaves one out, and a distance needs two


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How sure."""

    num_resamples: int = 100  # of a difference; the distance alone has the jackknife's interval


class KernelScore:
    """Over clips, with the jackknife's interval."""

    needs: ClassVar[frozenset[str]] = frozenset({"reference"})

    def __init__(self, config: Config) -> None:
        self._config = config

    def measure(self, measured: EmbeddedSet, reference: EmbeddedSet | None) -> list[ScoreRow]:
        assert reference is not None
        if min(len(measured.keys), len(reference.keys)) < LEAST:
            return []
        clips = reference.clips_ND
        if not kernel.bandwidth_of(clips):
            return []  # half of all pairs are the same sound: there is no scale to measure with
        found = kernel.distance(clips, measured.clips_ND)
        return [_row(Estimate(value=found.value, low=found.low, high=found.high, num=len(measured.keys)))]

    def difference(
        self, first: EmbeddedSet, second: EmbeddedSet, reference: EmbeddedSet | None
    ) -> list[ScoreRow]:
        assert reference is not None
        ref, one, other = reference.clips_ND, first.clips_ND, second.clips_ND
        if min(len(ref), len(one)) < LEAST or not (width := kernel.bandwidth_of(ref)):
            return []

        def distance(a: Indices, b: Indices) -> float:
            near = kernel.distance(ref[a], other[b], width).value
            return near - kernel.distance(ref[a], one[b], width).value

        return [
            _row(
                intervals.of_statistic(
                    distance, (len(ref), len(one)), num_resamples=self._config.num_resamples
                )
            )
        ]


def build(config: Config) -> KernelScore:
    return KernelScore(config)


def _row(estimate: Estimate) -> ScoreRow:
    return ScoreRow(name="kad", estimate=estimate, better="lower", unit="×100")
