"""Reject clips that were recorded too hot (`clipped`): runs of samples stuck at full scale."""

from __future__ import annotations

from dataclasses import dataclass

from sao_data.errors import UsageError
from sao_data.records import Clip, Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How much clipping a clip may hold."""

    max_share: float = 0.01  # of its samples, 0 to 1

    def __post_init__(self) -> None:
        if not 0.0 <= self.max_share <= 1.0:
            raise UsageError(f"filter clipping: max_share {self.max_share}: want 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clipping:
    """Looks at the share of samples in runs of three or more at full scale."""

    config: Config

    def check(self, clip: Clip, recording: Recording) -> tuple[str, str] | None:
        """Reject the clip if more than `max_share` of its samples are clipped."""
        share = clip.measures.clipped_share
        if share <= self.config.max_share:
            return None
        return "clipped", f"measured {share:.3f} > {self.config.max_share:g} of samples at full scale"


def build(config: Config) -> Clipping:
    """Make the filter."""
    return Clipping(config=config)
