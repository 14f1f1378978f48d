"""What tuning says: thresholds weighed, words counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedThreshold:
    """What one threshold would drop."""

    threshold: float
    is_configured: bool
    is_default: bool
    num_dropped: int  # clips
    seconds_dropped: float
    num_kept_dropped: int  # of those that are in the dataset now


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramBar:
    """Clips whose value is from `low` on and below `high`; the last bar holds its upper end as well."""

    low: float
    high: float
    num_clips: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NearClip:
    """A sound close to a threshold."""

    id: str  # of the clip
    title: str
    value: float
    page: str
    is_kept: bool  # in the dataset now


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedKnob:
    """One threshold of one filter, weighed."""

    filter: str
    field: str
    unit: str
    keeps: str  # "at least" or "at most"
    configured: tuple[float, ...]  # where the filter is in the manifest, as often as it is
    default: float
    num_clips: int  # measured, with a value
    seconds: float
    num_without: int  # without a value: kept at every threshold
    tried: tuple[TriedThreshold, ...]
    bars: tuple[HistogramBar, ...]
    near: float  # the threshold that the sounds below are near to: the configured one, else the default
    just_kept: tuple[NearClip, ...]  # nearest first, one clip of a recording
    just_dropped: tuple[NearClip, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedWord:
    """A word by which a filter decides, and how much is of it."""

    word: str  # '' = not known
    num_clips: int
    seconds: float
    num_kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedWords:
    """A filter over words, and what there is of each; most first."""

    filter: str
    configured: tuple[dict[str, Any], ...]
    words: tuple[CountedWord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Every filter asked about."""

    num_clips: int
    num_kept: int
    seconds: float
    knobs: tuple[TunedKnob, ...]
    words: tuple[TunedWords, ...]
    notes: tuple[str, ...]
