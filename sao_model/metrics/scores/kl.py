"""Kullback-Leibler divergence of what a tagger hears in a clip and in the recording it is a version of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sao_model.metrics import divergence, intervals
from sao_model.metrics.embedded import EmbeddedSet, ScoreRow
from sao_model.metrics.intervals import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How sure."""

    num_resamples: int = intervals.NUM_RESAMPLES  # of the pairs, for the interval


class DivergenceScore:
    """The mean over pairs; a clip without its recording is left out, and counted."""

    needs: ClassVar[frozenset[str]] = frozenset({"reference", "logits"})

    def __init__(self, config: Config) -> None:
        self._config = config

    def measure(self, measured: EmbeddedSet, reference: EmbeddedSet | None) -> list[ScoreRow]:
        found = _divergences(measured, reference)
        if not found:
            return []
        left = len(measured.keys) - len(found)
        notes = (f"{left} of {len(measured.keys)} clips have no recording here: left out",) if left else ()
        estimate = intervals.of_mean(list(found.values()), num_resamples=self._config.num_resamples)
        return [_row(estimate, notes, found)]

    def difference(
        self, first: EmbeddedSet, second: EmbeddedSet, reference: EmbeddedSet | None
    ) -> list[ScoreRow]:
        one, other = _divergences(first, reference), _divergences(second, reference)
        keys = [key for key in one if key in other]
        if not keys:
            return []
        return [_row(intervals.of_difference([one[k] for k in keys], [other[k] for k in keys]))]


def build(config: Config) -> DivergenceScore:
    return DivergenceScore(config)


def _divergences(measured: EmbeddedSet, reference: EmbeddedSet | None) -> dict[str, float]:
    """In nats, by key."""
    assert reference is not None
    place = {key: n for n, key in enumerate(reference.keys)}
    paired = [n for n, group in enumerate(measured.groups) if group in place]
    if not paired:
        return {}
    own = np.stack([divergence.probabilities(measured.logits[n]) for n in paired])
    wanted = np.stack([divergence.probabilities(reference.logits[place[measured.groups[n]]]) for n in paired])
    values = divergence.divergences(own, wanted)
    return {measured.keys[n]: float(value) for n, value in zip(paired, values, strict=True)}


def _row(estimate: Estimate, notes: tuple[str, ...] = (), by_key: dict[str, float] | None = None) -> ScoreRow:
    return ScoreRow(
        name="kl", estimate=estimate, better="lower", unit="nats", notes=notes, by_key=by_key or {}
    )
