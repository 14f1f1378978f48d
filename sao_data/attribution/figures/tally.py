"""Distributions of what is in a dataset, counted from the catalogue and the measured clips.

Bins lie between fixed numbers, so that two datasets can be held against each other. Time is summed in frames:
no order of rows changes a digit. Nobody's name is in it: tags that are an author's name are passed over.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sao_data.attribution.plain import one_line
from sao_data.measures import MeasuredClip
from sao_data.records import SAMPLE_RATE, CatalogueRow

MOST_TAGS = 50
_YEAR = re.compile(r"(1[89]|20)\d\d")
_LONGEST = 60  # characters of a word


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Values from `low` on and below `high`; None: without end."""

    low: float | None
    high: float | None
    count: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """How one measure is spread over the clips or the recordings of a dataset."""

    name: str
    title: str
    unit: str
    of: str  # "clip" or "recording": what is counted
    meaning: str
    count: int  # with a value
    without: int  # without one
    low: float  # 5 % lie below
    median: float
    high: float  # 5 % lie above
    bins: tuple[Bin, ...]  # from the first to the last that holds anything


@dataclass(frozen=True, slots=True, kw_only=True)
class WordCount:
    """How much of a dataset a word holds for."""

    word: str  # '' = not known
    recordings: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """All distributions of a dataset; without measures only what the catalogue has."""

    is_measured: bool  # False: made before measures were published
    sources: tuple[WordCount, ...]
    distributions: tuple[Distribution, ...]
    source_rates: tuple[WordCount, ...]  # Hz
    codecs: tuple[WordCount, ...]
    languages: tuple[WordCount, ...]
    machine_captions: tuple[WordCount, ...]  # by the model that wrote them
    tags: tuple[WordCount, ...]  # the most used
    num_tags: int  # different ones
    years: tuple[WordCount, ...]  # in order; '' = none stated


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measure:
    name: str
    title: str
    unit: str
    meaning: str
    edges: tuple[float, ...]
    value: Callable[[MeasuredClip], float | None]
    of: str = "clip"


def statistics_of(rows: Iterable[CatalogueRow], measured: Iterable[MeasuredClip] | None) -> Statistics:
    """Count what is kept; `measured`: None for a dataset that has no such table."""
    sources, people = _Words(), set[str]()
    for row in rows:
        people.add(one_line(row.author).casefold())
        if row.kept:
            sources.add(row.id, (row.source,), round((row.seconds or 0.0) * SAMPLE_RATE))
    clips = sorted((row for row in measured or () if row.kept), key=lambda row: row.id)
    found = {name: _Words() for name in ("rates", "codecs", "languages", "machines", "tags", "years")}
    for clip in clips:
        said = {
            "rates": (f"{clip.source_rate}",),
            "codecs": ("/".join(part for part in (clip.container, clip.codec) if part),),
            "languages": (clip.language,),
            "machines": (clip.machine_caption_by,) if clip.machine_caption_by else (),
            "tags": _tags(clip, people),
            "years": (clip.year if _YEAR.fullmatch(clip.year) else "",),
        }
        for name, words in said.items():
            found[name].add(clip.recording_id, words, clip.num_frames)
    counted = (_distribution(each, clips) for each in _MEASURES)
    tags = found["tags"].counts()
    return Statistics(
        is_measured=measured is not None,
        sources=sources.counts(),
        distributions=tuple(each for each in counted if each),
        source_rates=found["rates"].counts(),
        codecs=found["codecs"].counts(),
        languages=found["languages"].counts(),
        machine_captions=found["machines"].counts(),
        tags=tags[:MOST_TAGS],
        num_tags=len(tags),
        years=tuple(sorted(found["years"].counts(), key=lambda each: each.word)),
    )


@dataclass(slots=True, kw_only=True)
class _Words:
    """Recordings and frames by word; the clips of a recording come one after the other."""

    last: str = ""
    seen: set[str] = field(default_factory=set)
    nums: dict[str, list[int]] = field(default_factory=dict)

    def add(self, recording_id: str, words: Iterable[str], frames: int) -> None:
        if recording_id != self.last:
            self.last, self.seen = recording_id, set()
        for word in dict.fromkeys(words):
            nums = self.nums.setdefault(word, [0, 0])
            nums[0] += word not in self.seen
            nums[1] += frames
            self.seen.add(word)

    def counts(self) -> tuple[WordCount, ...]:
        """Most recordings first, of as many the longest."""
        ordered = sorted(self.nums.items(), key=lambda item: (-item[1][0], -item[1][1], item[0]))
        return tuple(
            WordCount(word=word, recordings=num, seconds=_seconds(frames)) for word, (num, frames) in ordered
        )


def _tags(clip: MeasuredClip, people: set[str]) -> tuple[str, ...]:
    tags = (one_line(tag).casefold()[:_LONGEST] for tag in clip.tags)
    return tuple(tag for tag in tags if tag and tag not in people)


def _distribution(measure: _Measure, clips: Sequence[MeasuredClip]) -> Distribution | None:
    if measure.of == "recording":
        clips = list({clip.recording_id: clip for clip in reversed(clips)}.values())
    found = [(value, clip.num_frames) for clip in clips if (value := measure.value(clip)) is not None]
    if not found:
        return None
    values = sorted(value for value, _ in found)
    last = len(values) - 1
    return Distribution(
        name=measure.name,
        title=measure.title,
        unit=measure.unit,
        of=measure.of,
        meaning=measure.meaning,
        count=len(values),
        without=len(clips) - len(values),
        low=values[last // 20],
        median=values[last // 2],
        high=values[last - last // 20],
        bins=tuple(_bins(measure.edges, found)),
    )


def _bins(edges: Sequence[float], found: Sequence[tuple[float, int]]) -> list[Bin]:
    """The last edge itself belongs to the bin below it."""
    nums = [[0, 0] for _ in range(len(edges) + 1)]
    for value, frames in found:
        place = bisect.bisect_right(edges, value) - (value == edges[-1])
        nums[place][0] += 1
        nums[place][1] += frames
    ends = [None, *edges, None]
    filled = [place for place, (num, _) in enumerate(nums) if num]
    return [
        Bin(low=ends[place], high=ends[place + 1], count=nums[place][0], seconds=_seconds(nums[place][1]))
        for place in range(filled[0], filled[-1] + 1)
    ]


def _seconds(frames: int) -> float:
    return round(frames / SAMPLE_RATE, 3)


def _peak(clip: MeasuredClip) -> float | None:
    return clip.peak_dbfs if clip.true_peak_dbfs is None else clip.true_peak_dbfs


def _kilohertz(clip: MeasuredClip) -> float | None:
    return None if clip.bandwidth_hz is None else round(clip.bandwidth_hz / 1000, 1)


def _even(first: int, last: int, step: int) -> tuple[float, ...]:
    return tuple(range(first, last + 1, step))


_LENGTHS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600)
_MEASURES = (
    _Measure(
        name="duration",
        title="Length",
        unit="s",
        meaning="of the whole recording, after any cut of silence at its end",
        edges=_LENGTHS,
        value=lambda clip: round(clip.recording_frames / SAMPLE_RATE, 3),
        of="recording",
    ),
    _Measure(
        name="loudness",
        title="Loudness",
        unit="LUFS",
        meaning="integrated (BS.1770-4); silence and what is shorter than 0.4 s has none",
        edges=_even(-70, 0, 2),
        value=lambda clip: clip.lufs,
    ),
    _Measure(
        name="loudness_range",
        title="Loudness range",
        unit="LU",
        meaning="how far soft and loud parts lie apart (EBU Tech 3342); what is shorter than 3 s has none",
        edges=_even(0, 40, 2),
        value=lambda clip: clip.loudness_range,
    ),
    _Measure(
        name="true_peak",
        title="Peak",
        unit="dBTP",
        meaning="true peak (BS.1770-4, annex 2); where the sample peak is below -3 dBFS, that",
        edges=_even(-60, 6, 2),
        value=_peak,
    ),
    _Measure(
        name="silence_share",
        title="Silence",
        unit="%",
        meaning="of blocks of 10 ms whose peak is below -60 dBFS",
        edges=_even(0, 100, 5),
        value=lambda clip: round(100 * clip.silence_share, 1),
    ),
    _Measure(
        name="bandwidth",
        title="Bandwidth of the files",
        unit="kHz",
        meaning="up to where the original file holds sound, half its rate at most",
        edges=_even(0, 24, 2),
        value=_kilohertz,
        of="recording",
    ),
)
