"""Precision, recall, density and coverage: does what is made lie among the reference, and reach all of it?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from sao_data.errors import UsageError
from sao_model.metrics import coverage
from sao_model.metrics.embedded import EmbeddedSet, ScoreRow
from sao_model.metrics.intervals import Estimate

_NOTE = "these four without interval: clips drawn again are copies of one another, and neighbours are counted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How near is near."""

    neighbours: int = coverage.NEIGHBOURS  # k: a clip's ball reaches to its k-th neighbour


class CoverageScore:
    """Four shares over clips."""

    needs: ClassVar[frozenset[str]] = frozenset({"reference"})

    def __init__(self, config: Config) -> None:
        self._config = config

    def measure(self, measured: EmbeddedSet, reference: EmbeddedSet | None) -> list[ScoreRow]:
        assert reference is not None
        if min(len(measured.keys), len(reference.keys)) <= self._config.neighbours:
            return []
        found = self._shares(measured, reference)
        return [_row(name, value, len(measured.keys)) for name, value in found.items()]

    def difference(
        self, first: EmbeddedSet, second: EmbeddedSet, reference: EmbeddedSet | None
    ) -> list[ScoreRow]:
        assert reference is not None
        if min(len(first.keys), len(reference.keys)) <= self._config.neighbours:
            return []
        one, other = self._shares(first, reference), self._shares(second, reference)
        return [_row(name, other[name] - one[name], len(first.keys)) for name in one]

    def _shares(self, measured: EmbeddedSet, reference: EmbeddedSet) -> dict[str, float]:
        return asdict(coverage.coverage(reference.clips_ND, measured.clips_ND, self._config.neighbours))


def build(config: Config) -> CoverageScore:
    if config.neighbours < 1:
        raise UsageError(f"prdc.neighbours: {config.neighbours}; give 1 or more")
    return CoverageScore(config)


def _row(name: str, value: float, num: int) -> ScoreRow:
    estimate = Estimate(value=value, low=np.nan, high=np.nan, num=num)
    return ScoreRow(
        name=name, estimate=estimate, better="higher", unit="share", notes=(_NOTE,) * (name == "precision")
    )
