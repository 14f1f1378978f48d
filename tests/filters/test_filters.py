"""Filters: one test per reason, one that passes, and the contract for every filter in the folder."""

from __future__ import annotations

import pickle

import pytest

from sao_data import plugins
from sao_data.filters import clipping, loudness, max_seconds, min_seconds, silence
from sao_data.records import AudioFile, Clip, Measures, Recording

RECORDING = Recording(id="made:1", source="made")


def clip(
    *,
    num_frames: int = 44_100,
    lufs: float | None = -20.0,
    peak: float | None = -3.0,
    silent: float = 0.0,
    clipped: float = 0.0,
) -> Clip:
    return Clip(
        recording_id="made:1",
        number=0,
        start_frame=0,
        num_frames=num_frames,
        recording_frames=num_frames,
        audio=AudioFile(recording_id="made:1", sha256="", num_bytes=1),
        measures=Measures(lufs=lufs, peak_dbfs=peak, silence_share=silent, clipped_share=clipped),
        changes=(),
        audio_sha256="",
        flac_sha256="",
        flac_bytes=1,
        blob_offset=0,
    )


@pytest.mark.parametrize("name", plugins.names("filters"))
def test_every_filter_builds_pickles_and_keeps_an_ordinary_clip(name: str) -> None:
    module = plugins.load("filters", name)
    built = pickle.loads(pickle.dumps(module.build(module.Config())))
    assert built.check(clip(), RECORDING) is None


def test_too_short() -> None:
    check = min_seconds.build(min_seconds.Config(seconds=0.5)).check
    assert check(clip(num_frames=22_050), RECORDING) is None
    assert check(clip(num_frames=22_049), RECORDING) == (
        "too_short",
        "measured 0.500 s (22049 frames) < 0.5 s (22050 frames)",
    )


def test_too_long() -> None:
    check = max_seconds.build(max_seconds.Config(seconds=2)).check
    assert check(clip(num_frames=88_200), RECORDING) is None
    assert check(clip(num_frames=88_201), RECORDING) == (
        "too_long",
        "measured 2.000 s (88201 frames) > 2 s (88200 frames)",
    )


def test_too_silent() -> None:
    check = silence.build(silence.Config(max_share=0.9)).check
    assert check(clip(silent=0.9), RECORDING) is None
    assert check(clip(silent=0.95), RECORDING) == (
        "too_silent",
        "measured 0.950 > 0.9 of 10 ms blocks below -60 dBFS",
    )


def test_silent() -> None:
    check = silence.build(silence.Config(max_share=1.0)).check
    assert check(clip(silent=1.0, peak=None, lufs=None), RECORDING) == ("silent", "measured no signal")
    assert check(clip(silent=1.0, peak=-71.5), RECORDING) == (
        "silent",
        "measured peak -71.50 < -60 dBFS throughout",
    )


def test_clipped() -> None:
    check = clipping.build(clipping.Config(max_share=0.01)).check
    assert check(clip(clipped=0.01), RECORDING) is None
    assert check(clip(clipped=0.02), RECORDING) == (
        "clipped",
        "measured 0.020 > 0.01 of samples at full scale",
    )


def test_too_quiet_and_too_loud() -> None:
    check = loudness.build(loudness.Config(min_lufs=-40.0, max_lufs=-6.0)).check
    assert check(clip(lufs=-40.0), RECORDING) is None
    assert check(clip(lufs=-6.0), RECORDING) is None
    assert check(clip(lufs=-40.01), RECORDING) == ("too_quiet", "measured -40.01 < -40 LUFS")
    assert check(clip(lufs=-5.5), RECORDING) == ("too_loud", "measured -5.50 > -6 LUFS")


def test_unknown_loudness_passes() -> None:
    assert loudness.build(loudness.Config()).check(clip(lufs=None), RECORDING) is None
