"""The meter against pyloudnorm and against theory."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pyloudnorm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sao_data.audio.loudness_meter import Meter
from sao_data.measures import Measures
from tests.made import RATE, noise, silence, to_pcm, tone

Pcm = npt.NDArray[np.int16]


def measure(pcm: Pcm, size: int = 10_000) -> Measures:
    meter = Meter()
    for start in range(0, len(pcm), size):
        meter.feed(pcm[start : start + size])
    return meter.finish()


def exact_loudness(pcm: Pcm) -> float | None:
    """Loudness before rounding."""
    meter = Meter()
    meter.feed(pcm)
    meter.finish()
    return meter._loudness.integrated()


def swelling(seed: int, num_frames: int) -> Pcm:
    """Noise whose level jumps over 80 dB, so that both gates have work to do."""
    levels = 10 ** np.random.default_rng(seed).uniform(-4, 0, num_frames // 5_000 + 1)
    audio = noise(seed, num_frames / RATE + 1, level=0.3)[:num_frames]
    return to_pcm(audio * np.repeat(levels, 5_000)[:num_frames, None].astype(np.float32))


@pytest.mark.parametrize("num_frames", [17_640, 19_900, 22_049, 22_051, 44_100, 88_201, 156_555, 574_077])
def test_loudness_equals_pyloudnorm(num_frames) -> None:
    stereo = swelling(num_frames, num_frames)
    for pcm in (stereo, np.repeat(stereo[:, :1], 2, axis=1)):  # what is the same twice is filtered once
        expected = pyloudnorm.Meter(RATE).integrated_loudness(pcm / 32_768)
        ours = exact_loudness(pcm)
        assert ours is not None
        assert abs(ours - expected) < 1e-6


def test_full_scale_sine_reads_0_lufs() -> None:
    # BS.1770-4: a 997 Hz sine at 0 dBFS in one channel reads -3.01 LKFS; in both, 0.
    lufs = measure(to_pcm(tone(997, seconds=5, level=1.0))).lufs
    assert lufs == pytest.approx(0.0, abs=0.06)  # pyloudnorm's filter is 0.05 LU off the standard's


@pytest.mark.parametrize("pcm", [to_pcm(tone(seconds=0.39)), to_pcm(silence(2)), to_pcm(silence(0))])
def test_too_short_or_silent_has_no_loudness(pcm) -> None:
    assert measure(pcm).lufs is None


def test_peak_is_in_decibels_and_none_for_digital_silence() -> None:
    assert measure(to_pcm(tone(level=0.5))).peak_dbfs == round(20 * math.log10(0.5), 2)
    assert measure(to_pcm(silence())).peak_dbfs is None
    assert measure(np.full((10, 2), -32_768, np.int16)).peak_dbfs == 0.0


def test_silence_share_counts_10_ms_blocks_below_minus_60_dbfs() -> None:
    half = np.concatenate([to_pcm(tone(seconds=1)), np.full((RATE, 2), 32, np.int16)])
    assert measure(half).silence_share == 0.5
    assert measure(np.full((RATE, 2), 33, np.int16)).silence_share == 0.0
    one_channel = np.zeros((RATE, 2), np.int16)
    one_channel[:, 1] = 100
    assert measure(one_channel).silence_share == 0.0


@settings(max_examples=15)
@given(
    seed=st.integers(0, 9),
    num_frames=st.integers(1, 200_000),
    sizes=st.lists(st.integers(1, 90_000), min_size=1),
)
def test_measures_do_not_depend_on_block_sizes(seed, num_frames, sizes) -> None:
    pcm = swelling(seed, num_frames)
    meter, start, turn = Meter(), 0, 0
    while start < num_frames:
        size = max(sizes[turn % len(sizes)], num_frames // 50)
        meter.feed(pcm[start : start + size])
        start, turn = start + size, turn + 1
    assert meter.finish() == measure(pcm)
