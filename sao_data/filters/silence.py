"""Reject clips that are silent throughout (`silent`) or for the most part (`too_silent`).

Silence is measured in blocks of 10 ms whose peak is below -60 dBFS (records.Measures): the level below which
Stable Audio's own data loader passes an item over.
"""

from __future__ import annotations

from dataclasses import dataclass

from sao_data.errors import UsageError
from sao_data.plugins import Knob
from sao_data.records import Clip, Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How much silence a clip may hold."""

    max_share: float = 0.9  # of its blocks, 0 to 1; a wholly silent clip is rejected even at 1

    def __post_init__(self) -> None:
        if not 0.0 <= self.max_share <= 1.0:
            raise UsageError(f"filter silence: max_share {self.max_share}: want 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Looks at the share of silent blocks."""

    config: Config

    def check(self, clip: Clip, recording: Recording) -> tuple[str, str] | None:
        """Reject the clip if every block, or more than `max_share` of them, is silent."""
        share = clip.measures.silence_share
        if clip.measures.peak_dbfs is None or share >= 1:
            peak = clip.measures.peak_dbfs
            return (
                "silent",
                "measured no signal" if peak is None else f"measured peak {peak:.2f} < -60 dBFS throughout",
            )
        if share > self.config.max_share:
            return (
                "too_silent",
                f"measured {share:.3f} > {self.config.max_share:g} of 10 ms blocks below -60 dBFS",
            )
        return None


def _share(clip: Clip, recording: Recording) -> float:
    return clip.measures.silence_share


KNOBS = (Knob(field="max_share", unit="of 10 ms blocks", keeps="at most", value=_share),)


def build(config: Config) -> Silence:
    """Make the filter."""
    return Silence(config=config)
