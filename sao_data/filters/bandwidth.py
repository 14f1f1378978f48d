"""Reject clips whose file holds nothing above a frequency (`narrow_band`): MP3 low-passes, upsampled files.

Up to where a file reaches is measured against the noise of 16 bits (measures.SourceMeasures.bandwidth_hz): a
recording's own noise lies above that up to half its rate. A file that was once at 22.05 or 32 kHz ends at 11
or 16. The paper's subset of high fidelity wants energy in high frequencies (3.1) and gives no number; the
threshold is ours. Tones made by a program are narrow too.
"""

from __future__ import annotations

from dataclasses import dataclass

from sao_data.errors import UsageError
from sao_data.plugins import Knob
from sao_data.records import Clip, Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How far up a file must reach."""

    min_hz: int = 15_000  # ours: libsndfile's MP3 and Vorbis reach 19 kHz, files once at 24 kHz end at 12

    def __post_init__(self) -> None:
        if self.min_hz < 1:
            raise UsageError(f"filter bandwidth: min_hz {self.min_hz}: want at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth:
    """Looks at the effective bandwidth."""

    config: Config

    def check(self, clip: Clip, recording: Recording) -> tuple[str, str] | None:
        """Reject the clip if its file has sound, and none at `min_hz` or above."""
        reached = clip.source.bandwidth_hz
        if reached is None or reached >= self.config.min_hz:
            return None
        return "narrow_band", f"measured {reached} < {self.config.min_hz} Hz"


def _reached(clip: Clip, recording: Recording) -> float | None:
    return clip.source.bandwidth_hz


KNOBS = (Knob(field="min_hz", unit="Hz", keeps="at least", value=_reached),)


def build(config: Config) -> Bandwidth:
    """Make the filter."""
    return Bandwidth(config=config)
