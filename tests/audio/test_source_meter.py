"""What is measured of a file as it was decoded: by theory, at every rate, block size and format."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest

from sao_data.audio import AudioConfig, convert
from sao_data.audio.measuring.source_meter import SourceMeter
from sao_data.audio.sinks import MeterSink
from sao_data.measures import SourceMeasures
from tests.made import (
    Floats,
    clipped,
    encode,
    flac_bytes,
    mp3_bytes,
    noise,
    ogg_bytes,
    silence,
    tone,
    wav_bytes,
)

RATES = (8_000, 22_050, 44_100, 48_000, 96_000)
ENCODERS = {
    "wav": wav_bytes,
    "flac": flac_bytes,
    "mp3": mp3_bytes,
    "vorbis": ogg_bytes,
}


def measured(data: bytes) -> SourceMeasures:
    """What the chain measures of a file."""
    return convert.normalise(io.BytesIO(data), AudioConfig(), MeterSink)[0].measures


def fed(audio: Floats, rate: int = 44_100, codec: str = "pcm_16", size: int = 65_536) -> SourceMeasures:
    """What the meter alone measures."""
    meter = SourceMeter(rate, audio.shape[1], (0, 1), codec)
    for start in range(0, len(audio), size):
        meter.feed(audio[start : start + size])
    return meter.finish()


def quantised(audio: npt.NDArray[np.floating], bits: int) -> Floats:
    scale = 2.0 ** (bits - 1)
    return np.clip(np.rint(audio * scale) / scale, -1, 1 - 1 / scale).astype(np.float32)


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("rate", RATES)
def test_a_clipped_tone_is_told_at_every_rate_level_and_format(rate: int, kind: str) -> None:
    if kind == "mp3" and rate > 48_000:
        pytest.skip("MP3 ends at 48 kHz")
    audio = clipped(220, seconds=1.0, rate=rate)  # 12 dB over: flat for 0.84 of the time
    audio[:, 0] = np.maximum(audio[:, 0], -0.7)  # a lower floor than its ceiling
    for gain in (0.977, 0.25):  # -0.2 dB, -12 dB
        share = measured(ENCODERS[kind](audio * np.float32(gain), rate)).clipped_share
        assert share == pytest.approx(0.85, abs=0.02 if kind in ("wav", "flac") else 0.2)


def pulse(rate: int) -> Floats:
    wave = np.where(np.arange(2 * rate) % (rate // 200) < rate // 600, 0.7, -0.7)
    return np.repeat(wave[:, None], 2, axis=1).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
def test_what_is_round_or_meant_so_is_not_clipped(rate: int) -> None:
    slow, fast = tone(50, rate=rate, level=0.9), tone(rate / 32, rate=rate, level=0.9)
    triangle = np.abs(np.arange(rate) % (rate // 40) / (rate // 80) - 1).astype(np.float32) * 1.6 - 0.8
    plain = {
        "a slow sine": slow,
        "one in step with the rate": fast,
        "noise": np.clip(noise(3, rate=rate, level=0.2), -0.99, 0.99),
        "8 bits": quantised(slow, 8),
        "few steps of 8 bits": quantised(slow * 0.1, 8),
        "a low sound": quantised(slow * 2.0**-9, 16),
        "a pulse wave": pulse(rate),
        "a triangle": np.repeat(triangle[:, None], 2, axis=1),
        "silence": silence(rate=rate),
    }
    assert {name: fed(audio, rate).clipped_share for name, audio in plain.items()} == dict.fromkeys(
        plain, 0.0
    )


def test_synthetic_waves_that_fade_or_saturate_are_not_clipped() -> None:
    fade = np.linspace(1, 0.1, 44_100, dtype=np.float32)[:, None]
    assert fed(pulse(22_050)[:44_100] * fade).clipped_share == 0.0
    assert fed(np.tanh(tone(220, level=3.0)) * np.float32(0.9)).clipped_share == 0.0


def test_bits_in_use() -> None:
    audio = noise(1, level=0.2)
    for bits in (8, 12, 16, 20, 24):
        codec = "PCM_24" if bits > 16 else "PCM_16"
        assert measured(wav_bytes(quantised(audio, bits), codec=codec)).bits == bits
    assert measured(wav_bytes(audio, codec="FLOAT")).bits == 24
    assert measured(ogg_bytes(audio)).bits == 0


def test_dc_balance_edges_and_noise_floor() -> None:
    audio = np.concatenate([silence(0.25), noise(1, seconds=2, level=0.05) * [1, 0.1], silence(0.5)])
    audio[11_025:-22_050] += np.float32(0.02)
    found = fed(audio.astype(np.float32))
    assert found.dc == pytest.approx((0.0145, 0.0145), abs=2e-4)
    assert (found.silence_start, found.silence_end) == (0.25, 0.5)
    assert found.noise_floor_dbfs == pytest.approx(10 * np.log10((0.0505 * 0.05 + 0.0008) / 2), abs=1)
    level = 10 * np.log10((0.05**2 + 0.02**2) / (0.005**2 + 0.02**2))
    assert found.balance_db == pytest.approx(level, abs=0.2)
    assert fed(silence(1)) == SourceMeasures(
        bits=1, clipped_share=0.0, dc=(0.0, 0.0), bandwidth_hz=None, noise_floor_dbfs=None, silence_start=1.0,
        silence_end=1.0, balance_db=0.0, correlation=None, side_share=0.0, is_dual_mono=True, delay_ms=0.0,
    )  # fmt: skip


def stereo(left: npt.NDArray[np.floating], right: npt.NDArray[np.floating]) -> Floats:
    return np.stack([left, right], axis=1).astype(np.float32)


def test_how_the_channels_go_together() -> None:
    one, other = noise(1, seconds=2, level=0.1).T
    found = {
        "equal": fed(stereo(one, one)),
        "inverted": fed(stereo(one, -one)),
        "unrelated": fed(stereo(one, other)),
        "dead": fed(stereo(one, 0 * one)),
        "mono": fed(one[:, None]),
        "late": fed(stereo(one, np.roll(one, 20))),
        "late and inverted": fed(stereo(np.roll(one, 441), -one)),
    }
    facts = {name: (round(m.correlation or 0, 1), m.is_dual_mono, m.delay_ms) for name, m in found.items()}
    assert facts == {
        "equal": (1, True, 0), "inverted": (-1, False, 0), "unrelated": (0, False, 0), "dead": (0, False, 0),
        "mono": (0, False, 0), "late": (0, False, 0.45), "late and inverted": (0, False, -10),
    }  # fmt: skip
    assert found["dead"].balance_db == 99.99
    assert all(type(m.is_dual_mono) is bool for m in found.values())  # NumPy's does not pass the child's JSON
    shares = [found[name].side_share for name in ("equal", "unrelated", "inverted")]
    assert shares == pytest.approx([0, 0.5, 1], abs=0.01)


@pytest.mark.parametrize("kind", ["wav", "mp3", "vorbis"])
def test_a_low_pass_and_an_upsampled_file_show_in_the_bandwidth(kind: str) -> None:
    import soxr

    for old in (8_000, 22_050, 32_000):
        audio = soxr.resample(noise(1, seconds=2, rate=old, level=0.1), old, 44_100, quality="VHQ")
        found = measured(ENCODERS[kind](audio)).bandwidth_hz
        assert found == pytest.approx(old / 2, abs=700)  # a codec's bands leak
    found = measured(ENCODERS[kind](noise(1, seconds=2, level=0.1))).bandwidth_hz
    assert found is not None
    assert found > 15_500


def test_nothing_depends_on_the_size_of_blocks() -> None:
    audio = np.concatenate([noise(1, seconds=3, level=0.1), clipped(seconds=1)])
    first = fed(audio)
    assert all(fed(audio, size=size) == first for size in (65_537, 1_000, 200_000))


def test_any_rate_and_length_can_be_measured() -> None:
    for rate, num_frames in ((1_000, 1), (768_000, 65_537), (8_000, 2_047), (44_100, 65_536)):
        found = fed(noise(2, seconds=num_frames / rate, rate=rate), rate)
        assert found.bandwidth_hz is None if num_frames == 1 else found.bandwidth_hz


def test_encode_is_what_the_chain_decodes() -> None:
    data = encode(tone(seconds=0.5), container="WAV", codec="PCM_U8")
    assert measured(data).bits == 8
