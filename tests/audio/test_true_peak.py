"""The true peak against 48 times oversampled waves, and the loudness range against its definition."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soxr

from sao_data.audio.loudness_meter import Meter
from sao_data.audio.measuring.true_peak import TruePeak
from sao_data.measures import Measures
from tests.made import RATE, Floats, clipped, noise, silence, to_pcm, tone, wav_bytes

FFMPEG = shutil.which("ffmpeg")


def true_peak(audio: Floats, size: int = 88_200) -> float | None:
    meter, pcm = TruePeak(), to_pcm(audio)
    for start in range(0, len(pcm), size):
        meter.feed(pcm[start : start + size])
    return meter.decibels()


def faded(audio: Floats) -> Floats:
    """Without the jumps at the ends, of which each interpolator makes something else."""
    ramp = np.minimum(1, np.arange(len(audio), dtype=np.float32) / 500)
    return audio * ramp[:, None] * ramp[::-1, None]


def reference(audio: Floats) -> float:
    padded = np.pad(to_pcm(audio) / 32_768, ((2_000, 2_000), (0, 0)))
    return 20 * np.log10(np.abs(soxr.resample(padded, RATE, 48 * RATE, quality="VHQ")).max())


def low_passed(audio: Floats) -> Floats:
    return soxr.resample(soxr.resample(audio, RATE, 36_000), 36_000, RATE)[: len(audio)]


@pytest.mark.parametrize(
    "audio",
    [
        faded(tone(RATE / 4 - 3, seconds=0.3, level=0.999)),
        faded(tone(18_000, seconds=0.3, level=0.9)),
        faded(np.repeat(0.99 * np.cos(np.pi / 2 * np.arange(13_000) + 0.7)[:, None], 2, axis=1)),
        clipped(997, seconds=0.3),
        low_passed(noise(1, seconds=0.3, level=0.25)),
    ],
)
def test_it_equals_48_times_oversampling(audio: Floats) -> None:
    assert true_peak(audio) == pytest.approx(reference(audio), abs=0.05)
    assert true_peak(audio, size=1_000) == true_peak(audio)


def test_it_is_measured_near_full_scale_only() -> None:
    assert true_peak(tone(level=0.70)) is None
    assert true_peak(tone(level=0.72)) == pytest.approx(20 * np.log10(0.72), abs=0.01)
    assert true_peak(silence()) is None


def measured(audio: Floats) -> Measures:
    meter = Meter()
    meter.feed(to_pcm(audio))
    return meter.finish()


@pytest.mark.parametrize(
    ("levels", "expected"),
    [((-20, -30), 10), ((-20, -15), 5), ((-40, -20), 20), ((-50, -35, -20, -35, -50), 15)],
)
def test_loudness_range_of_the_standard_s_test_signals(levels, expected) -> None:
    # EBU Tech 3342, table 1, tests 1 to 4: 1 kHz in both channels, 20 s each, +-1 LU
    audio = np.concatenate([tone(1_000, seconds=20, level=10 ** (level / 20)) for level in levels])
    assert measured(audio).loudness_range == pytest.approx(expected, abs=1)


def test_loudness_range_needs_three_seconds_of_sound() -> None:
    assert measured(tone(seconds=2.9)).loudness_range is None
    assert measured(tone(seconds=3)).loudness_range == 0.0
    assert measured(silence(5)).loudness_range is None


@pytest.mark.skipif(FFMPEG is None, reason="needs ffmpeg, which is not here")
@pytest.mark.parametrize(
    "audio",
    [
        soxr.resample(noise(1, seconds=2, rate=16_000, level=0.25), 16_000, RATE),
        tone(5_000, 1.0, level=0.95),
        clipped(997, seconds=0.3),
    ],
)
def test_below_8_khz_it_is_what_ffmpeg_finds(audio: Floats, tmp_path: Path) -> None:
    """FFmpeg takes the largest of four times as many samples: above that it stays too low."""
    path = tmp_path / "made.wav"
    path.write_bytes(wav_bytes(faded(audio)))
    graph = "ebur128=peak=true:metadata=1,ametadata=print:file=-"
    command = [str(FFMPEG), "-v", "error", "-i", str(path), "-af", graph, "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    peaks = [float(number) for number in re.findall(r"true_peaks_ch\d=([\d.]+)", said)]
    assert true_peak(faded(audio)) == pytest.approx(20 * np.log10(max(peaks)), abs=0.05)
