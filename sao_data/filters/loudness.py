"""Reject clips whose integrated loudness (BS.1770-4) lies outside a range (`too_quiet`, `too_loud`).

A clip without a loudness passes: BS.1770 gives none to a clip shorter than 0.4 s or wholly below its gate.
Those are what `min_seconds` and `silence` are for.
"""

from __future__ import annotations

from dataclasses import dataclass

from sao_data.plugins import Knob
from sao_data.records import Clip, Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The range that is kept, ends included."""

    min_lufs: float = -60.0
    max_lufs: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loudness:
    """Looks at the integrated loudness."""

    config: Config

    def check(self, clip: Clip, recording: Recording) -> tuple[str, str] | None:
        """Reject the clip if its loudness is known and outside the range."""
        lufs = clip.measures.lufs
        if lufs is None:
            return None
        if lufs < self.config.min_lufs:
            return "too_quiet", f"measured {lufs:.2f} < {self.config.min_lufs:g} LUFS"
        if lufs > self.config.max_lufs:
            return "too_loud", f"measured {lufs:.2f} > {self.config.max_lufs:g} LUFS"
        return None


def _lufs(clip: Clip, recording: Recording) -> float | None:
    return clip.measures.lufs


KNOBS = (
    Knob(field="min_lufs", unit="LUFS", keeps="at least", value=_lufs),
    Knob(field="max_lufs", unit="LUFS", keeps="at most", value=_lufs),
)


def build(config: Config) -> Loudness:
    """Make the filter."""
    return Loudness(config=config)
