"""The compiled loops against the same in NumPy, and where nothing that was compiled can be kept."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest

from sao_data.audio import flac
from sao_data.audio.containers.guarded import Guarded, Written
from sao_data.audio.downmix import mix_of
from sao_data.audio.kernels.compiled import compiled
from sao_data.audio.kernels.samples import RUN, add_up, crowd, find_extremes, take, to_pcm
from sao_data.audio.kernels.shapes import times
from sao_data.audio.stereo import Stereo
from tests.made import RATE, noise
from tests.made import to_pcm as rounded


def test_a_kernel_is_compiled_anew_where_none_can_be_kept() -> None:
    scope: dict[str, Callable[[int], int]] = {}
    exec("def double(x): return 2 * x", scope)  # a function without a file has no place for a cache
    assert compiled("int64(int64)")(scope["double"])(21) == 42


@pytest.mark.parametrize("num", [1, 127, 128, 129, 5_000])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_what_is_added_up_is_what_numpy_adds_up(num: int, channels: int) -> None:
    block = np.random.default_rng(num).normal(0, 0.3, (num, channels)).astype(np.float32)
    kept = np.array([0] if channels == 1 else [channels - 2, channels - 1])
    planar = np.empty((len(kept), num), np.float32)
    take(block, kept, planar)
    assert np.array_equal(planar, block[:, kept].T)
    left, right = planar[0].astype(float), planar[-1].astype(float)
    sums, levels = np.zeros(6), np.zeros(720, np.int64)
    add_up(planar, 50, sums, -150, 4, levels)
    expected = (left, right, left**2, left * right, right**2, (left - right) ** 2)
    assert sums == pytest.approx([part.sum() for part in expected], rel=1e-4, abs=1e-3)
    assert levels.sum() == num // 50
    found = np.empty((2, -(-num // RUN)), np.int32)
    find_extremes(planar[0].view(np.int32), found)
    runs = [planar[0, start : start + RUN] for start in range(0, num, RUN)]
    expected_runs = [[max(0.0, float((sign * run).max())) for run in runs] for sign in (1, -1)]
    assert found.view(np.float32).tolist() == expected_runs


def test_a_crowd_is_a_histogram_near_the_extreme() -> None:
    wave = noise(3, seconds=0.2, level=0.3)[:, 0].copy()
    peaks = np.empty((2, -(-len(wave) // RUN)), np.int32)
    find_extremes(wave.view(np.int32), peaks)
    for sign, of_runs in zip((1, -1), peaks.view(np.float32), strict=True):
        limit, top = np.float32(0.5 * of_runs.max()), np.float32(0.9 * of_runs.max())
        bins, place = np.zeros(4_096, np.int64), np.zeros(1, np.int64)
        turned = wave * np.float32(sign)
        num_top = crowd(wave, np.float32(sign), of_runs, limit, top, bins, place)
        assert (num_top, place[0]) == (np.count_nonzero(turned >= top), turned.argmax())
        near = turned[turned >= limit]
        assert np.array_equal(bins, np.bincount((near * 2_048).astype(int), minlength=4_096))


@pytest.mark.parametrize(
    ("wave", "expected"),
    [
        ([0, 0.5, 0], ([], [], 0, 0)),  # not above 0.8
        ([0, 1, 0], ([0.4], [0.8], 0, 1)),  # from 0.8 and 0.6 on up to 1, and down
        ([0, 1, 0, 0, 1, 1, 0], ([0.4, 1.4], [0.8, 1.8], 0, 1)),
        ([0, 1, 0.9, 1, 0], ([2.4], [2.8], 1, 2)),
        ([1, 1, 1], ([2], [2], 0, 0)),  # to the end
    ],
)
def test_times_above_two_levels_follow_the_lines_between_samples(wave, expected) -> None:
    long, wide, num_lows, num_highs = times(np.array(wave, np.float32), 0.8, 0.6)
    assert (long.tolist(), wide.tolist(), num_lows, num_highs) == (
        pytest.approx(expected[0], abs=1e-6), pytest.approx(expected[1], abs=1e-6), *expected[2:],
    )  # fmt: skip


def test_rounding_is_half_to_even_clamps_and_counts() -> None:
    steps = [0.5, 1.5, -0.5, -1.5, 32_767.4, 32_768, 32_768.4, 32_769, -32_768, -32_769, 1e9]
    for num_kept in (1, 2):
        samples = np.array(steps * 40, np.float32) / np.float32(32_768)
        pcm, beyond = np.empty(len(samples) * 2 // num_kept, np.int16), np.zeros(1, np.int64)
        largest = to_pcm(samples, samples.view(np.int32), pcm, beyond)
        ends = [32_767] * 4 + [-32_768] * 2 + [32_767]
        assert pcm.tolist() == np.repeat([0, 2, 0, -2, *ends] * 40, 2 // num_kept).tolist()
        assert beyond[0] == 3 * 40 * 2 // num_kept  # 32,769, -32,769 and 1e9
        assert largest == int(np.float32(1e9 / 32_768).view(np.int32))


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf, 3e38])
def test_no_number_that_is_not_finite_passes(value: float) -> None:
    block = np.zeros((300, 2), np.float32)
    block[200, 1] = value
    with pytest.raises(Exception, match="NaN or infinity"):
        Stereo(RATE, mix_of((), 2)).push(block)


def test_seek_points_come_from_where_frames_were_written_and_only_if_they_are_there() -> None:
    import soundfile

    target = io.BytesIO()
    written = Written(target)
    with soundfile.SoundFile(written, "w", RATE, 2, "PCM_16", format="FLAC") as file:
        file.write(rounded(noise(seed=4, seconds=21.5, level=0.1)))
    found = flac.seek_points(Guarded(target))
    assert len(found) == 3
    assert flac._points_among(Guarded(target), written.places) == found
    shifted = [place + 1 for place in written.places]
    assert flac._points_among(Guarded(target), shifted) == ()
    assert flac.seek_points(Guarded(target), shifted) == found
