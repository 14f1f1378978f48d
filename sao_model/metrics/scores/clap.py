"""CLAP score: cosine of the angle between a clip and its prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sao_model.metrics import intervals
from sao_model.metrics.embedded import EmbeddedSet, ScoreRow
from sao_model.metrics.intervals import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How sure."""

    num_resamples: int = intervals.NUM_RESAMPLES  # of the clips, for the interval


class PromptScore:
    """The mean over clips that have a prompt."""

    needs: ClassVar[frozenset[str]] = frozenset({"texts"})

    def __init__(self, config: Config) -> None:
        self._config = config

    def measure(self, measured: EmbeddedSet, reference: EmbeddedSet | None) -> list[ScoreRow]:
        found = _cosines(measured)
        if not found:
            return []
        left = len(measured.keys) - len(found)
        notes = (f"{left} of {len(measured.keys)} clips have no prompt: left out",) if left else ()
        estimate = intervals.of_mean(list(found.values()), num_resamples=self._config.num_resamples)
        return [_row(estimate, notes, found)]

    def difference(
        self, first: EmbeddedSet, second: EmbeddedSet, reference: EmbeddedSet | None
    ) -> list[ScoreRow]:
        one, other = _cosines(first), _cosines(second)
        keys = [key for key in one if key in other]
        if not keys:
            return []
        return [_row(intervals.of_difference([one[k] for k in keys], [other[k] for k in keys]))]


def build(config: Config) -> PromptScore:
    return PromptScore(config)


def _cosines(clips: EmbeddedSet) -> dict[str, float]:
    found = {}
    for key, text, clip in zip(clips.keys, clips.texts, clips.clips_ND, strict=True):
        if len(text):
            found[key] = float(text @ clip / (np.linalg.norm(text) * np.linalg.norm(clip)))
    return found


def _row(estimate: Estimate, notes: tuple[str, ...] = (), by_key: dict[str, float] | None = None) -> ScoreRow:
    return ScoreRow(
        name="clap", estimate=estimate, better="higher", unit="cosine", notes=notes, by_key=by_key or {}
    )
