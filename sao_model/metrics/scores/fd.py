"""Fréchet distance to the reference: how alike the two sets are in mean and covariance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from sao_model.metrics import frechet, intervals
from sao_model.metrics.embedded import Doubles, EmbeddedSet, ScoreRow
from sao_model.metrics.intervals import Indices


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Of what, and how sure."""

    over: Literal["clips", "windows"] = "clips"  # the paper's distance is over all windows of all clips
    num_resamples: int = 100  # of the clips, for the interval


class FrechetScore:
    """The distance, with an interval over clips."""

    needs: ClassVar[frozenset[str]] = frozenset({"reference"})

    def __init__(self, config: Config) -> None:
        self._config = config

    def measure(self, measured: EmbeddedSet, reference: EmbeddedSet | None) -> list[ScoreRow]:
        assert reference is not None
        if min(len(measured.keys), len(reference.keys)) < 2:
            return []
        one, other = self._parts(reference), self._parts(measured)

        def distance(a: Indices, b: Indices) -> float:
            return frechet.distance(frechet.fit(_picked(one, a)), frechet.fit(_picked(other, b)))

        estimate = intervals.of_statistic(
            distance, (len(one), len(other)), num_resamples=self._config.num_resamples
        )
        bounded = replace(estimate, low=max(estimate.low, 0.0), high=max(estimate.high, 0.0))
        return [self._row(bounded, self._notes(one, other))]

    def difference(
        self, first: EmbeddedSet, second: EmbeddedSet, reference: EmbeddedSet | None
    ) -> list[ScoreRow]:
        assert reference is not None
        if min(len(first.keys), len(reference.keys)) < 2:
            return []
        ref, one, other = self._parts(reference), self._parts(first), self._parts(second)

        def distance(a: Indices, b: Indices) -> float:
            normal = frechet.fit(_picked(ref, a))
            near = frechet.distance(normal, frechet.fit(_picked(other, b)))
            return near - frechet.distance(normal, frechet.fit(_picked(one, b)))

        estimate = intervals.of_statistic(
            distance, (len(ref), len(one)), num_resamples=self._config.num_resamples
        )
        return [self._row(estimate, self._notes(ref, other))]

    def _parts(self, clips: EmbeddedSet) -> list[Doubles]:
        if self._config.over == "windows":
            return [each.astype(np.float64) for each in clips.windows]
        return list(clips.clips_ND[:, None])

    def _row(self, estimate: intervals.Estimate, notes: tuple[str, ...]) -> ScoreRow:
        if notes:
            estimate = replace(estimate, low=np.nan, high=np.nan)
        return ScoreRow(name="fd", estimate=estimate, better="lower", unit="", notes=notes)

    def _notes(self, one: list[Doubles], other: list[Doubles]) -> tuple[str, ...]:
        dimensions = one[0].shape[1]
        num = min(sum(map(len, one)), sum(map(len, other)))
        if num > dimensions:
            return ()
        return (
            f"{num} {self._config.over} are too few for a covariance of {dimensions} dimensions: mostly "
            "bias, without interval, comparable between sets of this size only; kad remains valid",
        )


def build(config: Config) -> FrechetScore:
    return FrechetScore(config)


def _picked(parts: list[Doubles], which: Indices) -> Doubles:
    return np.concatenate([parts[n] for n in which])
