"""Reject clips that are too short to learn from (`too_short`)."""

from __future__ import annotations

from dataclasses import dataclass

from sao_data.errors import UsageError
from sao_data.plugins import Knob
from sao_data.records import SAMPLE_RATE, Clip, Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The shortest clip that is kept."""

    seconds: float = 0.5

    def __post_init__(self) -> None:
        if self.seconds < 0:
            raise UsageError(f"filter min_seconds: seconds {self.seconds}: want 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class MinSeconds:
    """Compares frames, so that no rounding decides."""

    config: Config

    def check(self, clip: Clip, recording: Recording) -> tuple[str, str] | None:
        """Reject the clip if it has fewer frames than `seconds` at 44.1 kHz."""
        least = round(self.config.seconds * SAMPLE_RATE)
        if clip.num_frames >= least:
            return None
        seconds = clip.num_frames / SAMPLE_RATE
        measured = f"measured {seconds:.3f} s ({clip.num_frames} frames)"
        return "too_short", f"{measured} < {self.config.seconds:g} s ({least} frames)"


def _seconds(clip: Clip, recording: Recording) -> float:
    return clip.num_frames / SAMPLE_RATE


KNOBS = (Knob(field="seconds", unit="s", keeps="at least", value=_seconds, is_log=True),)


def build(config: Config) -> MinSeconds:
    """Make the filter."""
    return MinSeconds(config=config)
