"""Cutting: clips tile the recording; timing follows the recording."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sao_data.audio.segments import Cut, clips, seconds_start, seconds_total
from sao_data.config import parse
from sao_data.errors import UsageError
from sao_data.records import SAMPLE_RATE


@given(num_frames=st.integers(0, 10**9), max_seconds=st.integers(20, 4_000))
def test_clips_tile_the_recording(num_frames, max_seconds) -> None:
    cut = Cut(max_seconds=max_seconds)
    end = 0
    for start, length in clips(num_frames, cut):
        assert start == end
        assert 0 < length <= cut.max_frames
        end = start + length
        assert length == cut.max_frames or end == num_frames
    assert end == num_frames


def test_a_recording_of_the_longest_length_is_one_clip() -> None:
    frames = 600 * SAMPLE_RATE
    assert list(clips(frames, Cut())) == [(0, frames)]
    assert list(clips(frames + 1, Cut())) == [(0, frames), (frames, 1)]


def test_a_cut_of_no_length_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"cut\.max_seconds: 0 is too short; want at least 1"):
        parse(Cut, {"max_seconds": 0}, where="m.toml")


@given(frames=st.integers(0, 10**9))
def test_timing_rounds_start_down_and_total_up(frames) -> None:
    assert seconds_start(frames) == math.floor(frames / SAMPLE_RATE)
    assert seconds_total(frames) == min(512, math.ceil(frames / SAMPLE_RATE))
