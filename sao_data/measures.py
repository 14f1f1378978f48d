"""What is measured of a clip and of the file it came from.

Numbers are rounded before any threshold is applied (0.01 dB, 0.001 share): no verdict depends on a last bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sao_data.config import WHEN_SET
from sao_data.forms import Count, RecordingId


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMeasures:
    """The whole file as its decoder gave it, of the channels that are kept, at its own rate and before any
    other step: resampling, rounding and mixing hide what these show."""

    bits: int  # that the samples use, at most 24; 0: of a lossy codec, which has none
    clipped_share: float  # share of samples on plateaus at the signal's own extremes, whatever their level
    dc: tuple[float, ...]  # mean of each channel, 0.0001 of full scale
    bandwidth_hz: int | None  # above it is nothing but what 16 bits leave anyway; None: digital silence
    noise_floor_dbfs: (
        float | None
    )  # RMS that the quietest 5 % of 50 ms blocks stay under, digital zeros aside
    silence_start: float  # s before the first sample that 16 bits show, 0.001 s; the whole file if none is
    silence_end: float  # s after the last one, 0.001 s
    balance_db: float  # RMS of left over right, within +-99.99; mono: 0
    correlation: float | None  # of left and right, -1 to 1; None: mono, or a channel is silent
    side_share: float  # of the energy, in left minus right: 0 mono, 0.5 unrelated, 1 inverted
    is_dual_mono: bool  # stereo whose side lies 60 dB or more under its middle
    delay_ms: float  # by which right is left once more, later if above 0; 0: it is not


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """A clip as it is stored: 16-bit stereo at 44.1 kHz."""

    lufs: float | None  # integrated loudness (BS.1770-4); None: silent or shorter than 0.4 s
    loudness_range: float | None  # LU (EBU Tech 3342); None: silent or shorter than 3 s
    peak_dbfs: float | None  # sample peak; None: digital silence
    true_peak_dbfs: float | None  # between samples too (BS.1770-4, annex 2); None: sample peak below -3 dBFS
    silence_share: float  # share of 10 ms blocks whose peak is below -60 dBFS
    speech_share: float | None = None  # share of 32 ms windows with speech; None: audio.speech is off


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredClip:
    """One clip that was measured, in the dataset or not (measures.parquet): how it ended, what its file was,
    what its caption says, and every field of Measures and SourceMeasures."""

    id: str  # clip id: the recording's, for further clips with their number, "freesound:12345#1"
    recording_id: RecordingId
    clip: Count  # number within the recording
    num_frames: Count  # at 44,100 Hz
    recording_frames: Count  # of the whole recording, after end-trim
    kept: bool  # is it in a shard?
    stage: str  # where it was left out; '' if kept
    reason: str  # stable snake_case
    detail: str  # the measured value and the threshold
    rendition: str  # "original" or "preview"
    container: str  # of the file, as its decoder names it
    codec: str
    source_rate: Count  # Hz, of the file
    source_channels: Count  # of the file
    language: str  # of title and description, as in the sample's JSON; '' = not known
    machine_caption_by: str = field(default="", metadata=WHEN_SET)  # the model; '' = has no such caption
    year: str  # of the work, as the source states it
    tags: tuple[str, ...]  # caption field
    lufs: float | None
    loudness_range: float | None
    peak_dbfs: float | None
    true_peak_dbfs: float | None
    silence_share: float
    speech_share: float | None = field(default=None, metadata=WHEN_SET)
    bits: int
    clipped_share: float
    dc: tuple[float, ...]
    bandwidth_hz: int | None
    noise_floor_dbfs: float | None
    silence_start: float
    silence_end: float
    balance_db: float
    correlation: float | None
    side_share: float
    is_dual_mono: bool
    delay_ms: float


def lufs_text(lufs: float | None) -> str:
    """A loudness as the JSON of a sample has it."""
    return "" if lufs is None or math.isinf(lufs) else f"{lufs:.2f}"
