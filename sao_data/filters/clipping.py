"""Reject clips whose file was recorded or made too hot (`clipped`): plateaus at the signal's own extremes.

They are looked for where the decoder gives the file (audio/measuring/plateaus.py): a gain, a resampler or a
codec hides them from whoever looks at full scale. The threshold is ours: made files with 2 % of samples cut
are told from others with a precision and a recall of 0.99 (tests/audio/test_made_faults.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from sao_data.errors import UsageError
from sao_data.plugins import Knob
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
    """Looks at the share of samples on plateaus."""

    config: Config

    def check(self, clip: Clip, recording: Recording) -> tuple[str, str] | None:
        """Reject the clip if more than `max_share` of its samples are clipped."""
        share = clip.source.clipped_share
        if share <= self.config.max_share:
            return None
        return "clipped", f"measured {share:.3f} > {self.config.max_share:g} of samples on plateaus"


def _share(clip: Clip, recording: Recording) -> float:
    return clip.source.clipped_share


KNOBS = (Knob(field="max_share", unit="of samples", keeps="at most", value=_share, is_log=True),)


def build(config: Config) -> Clipping:
    """Make the filter."""
    return Clipping(config=config)
