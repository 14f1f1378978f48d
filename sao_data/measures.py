"""What is measured of a clip and of the file it came from.

Numbers are rounded before any threshold is applied (0.01 dB, 0.001 share): no verdict depends on a last bit.
"""

from __future__ import annotations

from dataclasses import dataclass


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
