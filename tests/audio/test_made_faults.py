"""Clipping, bandwidth and channel faults on made files of five rates and three formats: who is called what.

The sounds are tones, chords, music, voices and drums; white noise and broadband hiss, whose plateaus a codec
turns into noise, are not among those that are clipped and encoded (audio/measuring/plateaus.py says why).
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import soxr
from scipy.ndimage import maximum_filter1d, uniform_filter1d
from scipy.signal import lfilter

from sao_data.audio import AudioConfig, convert
from sao_data.audio.sinks import MeterSink
from sao_data.filters import bandwidth, channel_faults, clipping
from sao_data.measures import SourceMeasures
from tests.filters.test_filters import RECORDING, clip
from tests.made import flac_bytes, mp3_bytes, ogg_bytes, wav_bytes

RATES = (8_000, 22_050, 44_100, 48_000, 96_000)
Wave = npt.NDArray[np.float64]
Random = np.random.Generator
SECONDS = 1.2


def tones(random: Random, rate: int, num: int = 1) -> Wave:
    at = np.arange(round(SECONDS * rate)) / rate
    hz = random.uniform(60, 0.02 * rate + 100, num)
    return sum(np.sin(2 * np.pi * f * at + random.uniform(0, 6)) for f in hz) / num


def chord(random: Random, rate: int) -> Wave:
    return tones(random, rate, 4)


def music(random: Random, rate: int) -> Wave:
    at = np.arange(round(SECONDS * rate)) / rate
    wave = np.zeros(len(at))
    for hz in random.uniform(60, 500, 5):
        decay = np.exp(-2 * (at * random.uniform(0.8, 2) % 1))
        for overtone in range(1, 5):
            wave += decay / overtone * np.sin(2 * np.pi * hz * overtone * at + random.uniform(0, 6))
    return wave


def voice(random: Random, rate: int) -> Wave:
    at = np.arange(round(SECONDS * rate)) / rate
    phase = np.cumsum(random.uniform(90, 220) * 2 ** (0.2 * np.sin(4 * at))) / rate
    wave = (np.diff(np.floor(phase), prepend=0) > 0).astype(float)
    for hz, width in ((600, 90), (1_100, 110)):
        r = np.exp(-np.pi * width / rate)
        wave = lfilter([1 - r], [1, -2 * r * np.cos(2 * np.pi * hz / rate), r * r], wave)
    return wave


def drum(random: Random, rate: int) -> Wave:
    at = np.arange(round(SECONDS * rate)) / rate % 0.4
    pitch = random.uniform(50, 90)
    return np.sin(2 * np.pi * pitch * at * (1 + 2 * np.exp(-30 * at))) * np.exp(-6 * at)


SOUNDS: tuple[Callable[[Random, int], Wave], ...] = (tones, chord, music, voice, drum)
ENCODERS = {"wav": wav_bytes, "flac": flac_bytes, "mp3": mp3_bytes, "vorbis": ogg_bytes}


def sound(random: Random, number: int, rate: int) -> Wave:
    """(frames, 2): one of the sounds, up to 1, with a microphone's noise in each channel."""
    wave = SOUNDS[number % len(SOUNDS)](random, rate)
    wave = wave / np.abs(wave).max()
    both = np.stack([wave, wave * random.uniform(0.5, 1)], axis=1)
    return both + 10 ** (-66 / 20) * random.standard_normal(both.shape)


def limited(wave: Wave, rate: int) -> Wave:
    """Loud with nothing cut: the gain follows the largest sample within 5 ms, smoothed."""
    width = rate // 200
    most = np.maximum(1, maximum_filter1d(np.abs(wave).max(axis=1), 2 * width + 1))
    return wave / uniform_filter1d(maximum_filter1d(most, width), width)[:, None]


def measured(wave: Wave, rate: int, kind: str) -> SourceMeasures:
    data = ENCODERS[kind](wave.astype(np.float32), rate)
    return convert.normalise(io.BytesIO(data), AudioConfig(), MeterSink)[0].measures


def made(number: int, random: Random) -> tuple[int, str]:
    rate = RATES[number % 5]
    kinds = [kind for kind in ENCODERS if kind != "mp3" or rate <= 48_000]
    return rate, kinds[random.integers(len(kinds))]


def clipped_or_not(number: int) -> tuple[bool, bool]:
    """Is it, and is it called so? Half are: by 4 dB or more, 2 % of samples at least, at two levels, then
    lowered by up to 12 dB."""
    random = np.random.default_rng((1, number))
    rate, kind = made(number, random)
    wave, gain = sound(random, number // 5, rate), 10 ** (-random.uniform(0.2, 12) / 20)
    is_clipped = random.random() < 0.5
    if is_clipped:
        wave, floor = wave * 10 ** (random.uniform(4, 20) / 20), -random.uniform(0.7, 1)
        while np.mean((wave > 1) | (wave < floor)) < 0.02:
            wave = wave * 1.2
        wave = np.clip(wave, floor, 1)
    elif random.random() < 0.4:
        wave = limited(2.5 * wave, rate)
    else:
        wave = wave / np.abs(wave).max()
    check = clipping.build(clipping.Config()).check
    share = measured(wave * gain, rate, kind).clipped_share
    return is_clipped, check(clip(clipped_share=share), RECORDING) is not None


def narrow_or_not(number: int) -> tuple[bool, bool]:
    """Half are: upsampled from 8 to 24 kHz. The others reach half of their rate, 15 kHz in lossy ones."""
    random = np.random.default_rng((2, number))
    rate = (44_100, 48_000, 96_000)[number % 3]
    kind = ("wav", "flac", "mp3" if rate <= 48_000 else "vorbis", "vorbis")[random.integers(4)]
    is_narrow = random.random() < 0.5
    old = int(random.choice([8_000, 11_025, 16_000, 22_050, 24_000])) if is_narrow else rate
    wave = 0.5 * soxr.resample(sound(random, number, old), old, rate, quality="VHQ")
    check = bandwidth.build(bandwidth.Config(min_hz=14_000)).check
    found = measured(wave, rate, kind).bandwidth_hz
    return is_narrow, check(clip(bandwidth_hz=found), RECORDING) is not None


def faulty_or_not(number: int) -> tuple[bool, bool]:
    """Half are: a channel dead (with noise 72 dB down), inverted, or the other one late by 0.2 to 8 ms; the
    latter two not in Vorbis, whose coupling makes unrelated channels of them (correlation -0.1)."""
    random = np.random.default_rng((3, number))
    rate, kind = made(number, random)
    wave = 0.3 * sound(random, number // 5, rate)
    wave += 0.01 * random.standard_normal((len(wave), 1))  # a room
    fault = random.choice(["dead", "inverted", "late", "", "", ""])
    one = wave[:, 0]
    if fault in ("inverted", "late") and kind == "vorbis":
        kind = "flac"
    if fault == "dead":
        wave = np.stack([one, 10 ** (-72 / 20) * random.standard_normal(len(one))], axis=1)
    elif fault == "inverted":
        wave = np.stack([one, -one], axis=1)
    elif fault == "late":
        wave = np.stack([one, np.roll(one, max(2, round(random.uniform(2e-4, 8e-3) * rate)))], axis=1)
    else:
        other = lfilter([1, random.uniform(-0.5, 0.5), 0.3], [1], sound(random, number, rate)[:, 0])
        wave = np.stack([one, random.uniform(0, 0.7) * one + 0.2 * other / np.abs(other).max()], axis=1)
    found = measured(wave[:, ::-1] if random.random() < 0.5 else wave, rate, kind)
    check = channel_faults.build(channel_faults.Config()).check
    facts = {"balance_db": found.balance_db, "correlation": found.correlation, "delay_ms": found.delay_ms}
    return bool(fault), check(clip(**facts), RECORDING) is not None


TASKS = (clipped_or_not, narrow_or_not, faulty_or_not)


def precision_and_recall(task: Callable[[int], tuple[bool, bool]], numbers: range) -> tuple[float, float]:
    counts = Counter(task(number) for number in numbers)
    right, false, missed = counts[True, True], counts[False, True], counts[True, False]
    return right / max(1, right + false), right / max(1, right + missed)


@pytest.mark.parametrize("task", TASKS)
def test_a_sample_of_the_made_files_is_told(task) -> None:
    precision, recall = precision_and_recall(task, range(0, 500, 37))
    assert precision == 1
    assert recall >= 0.85


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_five_hundred_made_files_are_told(task) -> None:
    precision, recall = precision_and_recall(task, range(500))
    assert precision >= 0.98
    assert recall >= 0.98
