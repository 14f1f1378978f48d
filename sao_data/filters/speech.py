"""Reject clips of which more than a share is speech (`speech`): voices of persons.

For datasets of sounds and music in which nobody should be heard talking. The share is measured only where the
manifest says `audio.speech = true`, which needs the extra `speech` (sao_data/audio/measuring/speech.py);
without it the manifest is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from sao_data.errors import UsageError
from sao_data.plugins import Knob
from sao_data.records import Clip, Recording

NEEDS_SPEECH = True  # a manifest with this filter must switch the measure on


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How much speech a clip may hold."""

    max_share: float = 0.2  # 0 to 1; sneezes and engines reached 0.12, read sentences 0.8 to 1

    def __post_init__(self) -> None:
        if not 0.0 <= self.max_share <= 1.0:
            raise UsageError(f"filter speech: max_share {self.max_share}: want 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """Looks at the share of speech."""

    config: Config

    def check(self, clip: Clip, recording: Recording) -> tuple[str, str] | None:
        """Reject the clip if more than `max_share` of it is known to be speech."""
        share = clip.measures.speech_share
        if share is None or share <= self.config.max_share:
            return None
        return "speech", f"measured {share:.3f} > {self.config.max_share:g} of 32 ms windows with speech"


def _share(clip: Clip, recording: Recording) -> float | None:
    return clip.measures.speech_share


KNOBS = (Knob(field="max_share", unit="of 32 ms windows", keeps="at most", value=_share),)


def build(config: Config) -> Speech:
    """Make the filter."""
    return Speech(config=config)
