"""Windows lie in their clips, zeros stand only where a recording ends, timing follows the recording."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sao_data.loading.crop import choose
from sao_data.records import SAMPLE_RATE
from tests.streams_made import sample

MINUTE = 60 * SAMPLE_RATE


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 300), st.integers(0, 300), st.integers(0, 99))
def test_a_window_lies_in_its_clip(window: int, num: int, start: int, after: int, seed: int) -> None:
    clip = sample(num_frames=num, start_frame=start, recording_frames=start + num + after)
    crop = choose(clip, window, "random", rng(seed))
    assert crop.num_frames == min(window, num)
    assert 0 <= crop.start <= num - crop.num_frames
    assert crop.is_padded_inside == (num < window and after > 0)


def test_every_start_is_as_likely_and_both_ends_are_reached() -> None:
    dice = rng()
    starts = [choose(sample(num_frames=14), 10, "random", dice).start for _ in range(5_000)]
    counts = np.bincount(starts, minlength=5)
    assert len(counts) == 5
    assert np.abs(counts / 1_000 - 1).max() < 0.15  # standard deviation 28


def test_crop_start_takes_the_beginning_and_leaves_the_generator_as_random_does() -> None:
    one, other = rng(), rng()
    long = sample(num_frames=1_000)
    assert choose(long, 10, "start", one).start == 0
    choose(long, 10, "random", other)
    assert one.random() == other.random()


@pytest.mark.parametrize(
    ("start_frame", "recording_frames", "seconds_start", "seconds_total"),
    [
        (0, MINUTE, 0, 60),
        (0, MINUTE + 1, 0, 61),  # the total is rounded up
        (SAMPLE_RATE - 1, MINUTE, 0, 60),  # the start is rounded down
        (SAMPLE_RATE, MINUTE, 1, 60),
        (10 * MINUTE, 11 * MINUTE, 600, 512),  # the total is clamped, the start says where it is
    ],
)
def test_timing_follows_the_recording(
    start_frame: int, recording_frames: int, seconds_start: int, seconds_total: int
) -> None:
    clip = sample(start_frame=start_frame, num_frames=MINUTE, recording_frames=recording_frames)
    crop = choose(clip, MINUTE, "random", rng())
    assert (crop.seconds_start, crop.seconds_total) == (seconds_start, seconds_total)


def test_the_crops_place_in_the_clip_counts_towards_its_start() -> None:
    clip = sample(start_frame=10 * MINUTE, num_frames=2 * MINUTE, recording_frames=20 * MINUTE)
    crop = choose(clip, SAMPLE_RATE, "random", rng(5))
    assert crop.start > SAMPLE_RATE
    assert crop.seconds_start == (10 * MINUTE + crop.start) // SAMPLE_RATE
