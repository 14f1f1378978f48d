"""Reject clips that are longer than wanted (`too_long`)."""

from __future__ import annotations

from dataclasses import dataclass

from sao_data.errors import UsageError
from sao_data.plugins import Knob
from sao_data.records import SAMPLE_RATE, Clip, Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The longest clip that is kept."""

    seconds: float = 600.0  # clips are cut at cut.max_seconds, by default 600: then this rejects none

    def __post_init__(self) -> None:
        if self.seconds < 0:
            raise UsageError(f"filter max_seconds: seconds {self.seconds}: want 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxSeconds:
    """Compares frames, so that no rounding decides."""

    config: Config

    def check(self, clip: Clip, recording: Recording) -> tuple[str, str] | None:
        """Reject the clip if it has more frames than `seconds` at 44.1 kHz."""
        most = round(self.config.seconds * SAMPLE_RATE)
        if clip.num_frames <= most:
            return None
        seconds = clip.num_frames / SAMPLE_RATE
        measured = f"measured {seconds:.3f} s ({clip.num_frames} frames)"
        return "too_long", f"{measured} > {self.config.seconds:g} s ({most} frames)"


def _seconds(clip: Clip, recording: Recording) -> float:
    return clip.num_frames / SAMPLE_RATE


KNOBS = (Knob(field="seconds", unit="s", keeps="at most", value=_seconds, is_log=True),)


def build(config: Config) -> MaxSeconds:
    """Make the filter."""
    return MaxSeconds(config=config)
