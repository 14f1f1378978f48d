"""Decoding and conversion: what passes bit for bit, what is mended and said, what is rejected and why."""

from __future__ import annotations

import io
import re
import socket
import struct
from functools import partial

import numpy as np
import numpy.typing as npt
import pytest
import soxr

from sao_data.audio import AudioConfig, AudioRejected
from sao_data.audio.changes import sentences
from sao_data.audio.containers.sniff import container_of
from sao_data.audio.convert import Decoded, normalise
from sao_data.audio.downmix import mix_of
from sao_data.audio.stereo import Pcm, Stereo
from sao_data.errors import UsageError
from tests.made import (
    RATE,
    aiff_bytes,
    clipped,
    flac_bytes,
    m4a_bytes,
    mp3_bytes,
    noise,
    ogg_bytes,
    silence,
    to_pcm,
    tone,
    video_bytes,
    wav_bytes,
)  # fmt: skip

DEFAULT = AudioConfig()
OPUS_BYTES = partial(ogg_bytes, codec="OPUS")
HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:%d/x.ts\n#EXT-X-ENDLIST\n"


class Kept:
    """A sink that keeps the PCM."""

    def __init__(self) -> None:
        self.parts: list[Pcm] = []

    def write(self, pcm: Pcm) -> None:
        self.parts.append(pcm)

    def discard(self) -> None:
        self.parts.clear()

    @property
    def pcm(self) -> Pcm:
        return np.concatenate(self.parts)


def decoded(data: bytes, config: AudioConfig = DEFAULT) -> tuple[Decoded, Pcm]:
    source, sink = normalise(io.BytesIO(data), config, Kept)
    assert len(sink.pcm) == source.num_frames_out
    return source, sink.pcm


def said(source: Decoded) -> tuple[str, ...]:
    return sentences(source, num_trimmed=0, num_clips=1, max_seconds=600)


def reason(data: bytes, config: AudioConfig = DEFAULT) -> str:
    with pytest.raises(AudioRejected) as caught:
        decoded(data, config)
    return caught.value.reason


@pytest.mark.parametrize("encode", [wav_bytes, aiff_bytes, flac_bytes, m4a_bytes])
def test_16_bit_stereo_at_44_1_khz_passes_bit_for_bit(encode) -> None:
    audio = to_pcm(noise(seed=1, seconds=0.7)) / np.float32(32_768)
    source, pcm = decoded(encode(audio))
    assert np.array_equal(pcm, to_pcm(audio))
    assert source.num_clipped == 0


def test_24_bit_is_rounded_once() -> None:
    audio = noise(seed=2)
    _, pcm = decoded(wav_bytes(audio, codec="FLOAT"))
    assert np.array_equal(pcm, to_pcm(audio))


def test_mono_is_duplicated() -> None:
    audio = noise(seed=3, channels=1)
    source, pcm = decoded(wav_bytes(audio))
    assert source.num_channels == 1
    assert np.array_equal(pcm[:, 0], pcm[:, 1])
    assert np.array_equal(pcm[:, :1], to_pcm(audio))


def test_of_four_channels_the_first_two_are_kept() -> None:
    audio = noise(seed=4, channels=4)
    _, pcm = decoded(wav_bytes(audio))
    assert np.array_equal(pcm, to_pcm(audio[:, :2]))


def test_resampled_tone_keeps_pitch_and_level() -> None:
    source, pcm = decoded(wav_bytes(tone(1_000, seconds=1, rate=48_000), 48_000, codec="FLOAT"))
    inner = slice(2_000, -2_000)  # the filter's edges aside
    error = pcm[inner] / 32_768 - tone(1_000, seconds=1)[inner]
    assert (source.num_frames, len(pcm)) == (48_000, RATE)
    assert (
        20 * np.log10(np.abs(error).max() / 0.5) < -84
    )  # 16-bit rounding alone is -84 dB of a half-scale peak


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_result_does_not_depend_on_block_sizes(rate) -> None:
    audio = noise(seed=5, rate=rate, seconds=0.6)

    def convert(sizes: list[int]) -> Pcm:
        stereo, parts, start = Stereo(rate, mix_of((), 2)), [], 0
        while start < len(audio):
            size = sizes[len(parts) % len(sizes)]
            parts.append(stereo.push(audio[start : start + size]))
            start += size
        return np.concatenate([*parts, stereo.finish()])

    whole = convert([len(audio)])
    assert np.array_equal(whole, convert([1_152]))
    assert np.array_equal(whole, convert([7, 5_000, 333]))
    if rate != RATE:
        assert np.array_equal(whole, to_pcm(soxr.resample(audio, rate, RATE, quality="HQ")))


def test_samples_beyond_full_scale_are_turned_down_or_clipped_as_configured() -> None:
    audio = tone(level=1.5)
    data = wav_bytes(audio, codec="FLOAT")
    source, pcm = decoded(data, AudioConfig(overshoot="clip"))
    assert source.num_clipped == np.count_nonzero(np.abs(np.rint(audio * 32_768)) > 32_768) > 0
    assert (pcm.min(), pcm.max()) == (-32_768, 32_767)
    source, pcm = decoded(data)
    peak = np.abs(audio).max()
    assert (source.num_clipped, source.gain) == (0, pytest.approx(32_767 / 32_768 / peak))
    assert np.array_equal(pcm, np.rint(audio * np.float32(source.gain) * 32_768).astype(np.int16))
    assert np.abs(pcm.astype(int)).max() == 32_767


@pytest.mark.parametrize(("rate", "is_loud"), [(48_000, True), (48_000, False), (44_100, True)])
def test_what_resampling_raises_above_full_scale_turns_the_recording_down_once(rate, is_loud) -> None:
    square = np.sign(tone(441, rate=rate, seconds=0.5, level=1.0)) * np.float32(0.999 if is_loud else 0.7)
    source, pcm = decoded(wav_bytes(square, rate))
    ideal = soxr.resample(square, rate, RATE, quality="HQ")
    rises = rate != RATE and is_loud
    assert (source.gain < 1, source.num_clipped) == (rises, 0)
    assert np.abs(pcm / 32_768 - source.gain * ideal).max() <= 1.5 / 32_768
    lowered = [line for line in said(source) if line.startswith("Turned down by ")]
    assert (
        lowered == [f"Turned down by {-20 * np.log10(source.gain):.2f} dB: it rose above full scale."] * rises
    )


@pytest.mark.parametrize(
    ("encode", "padding"),  # frames behind the end that FFmpeg leaves, too: up to a packet of AAC in MP4
    [(mp3_bytes, 0), (ogg_bytes, 0), (partial(m4a_bytes, codec="aac"), 1_024), (OPUS_BYTES, 0)],
    ids=["mp3", "vorbis", "aac", "opus"],
)
def test_what_encoders_put_before_and_behind_is_left_out(encode, padding) -> None:
    rate = 48_000
    audio = noise(seed=3, rate=rate, seconds=1.3, level=0.3)
    source, pcm = decoded(encode(audio, rate))
    ideal = soxr.resample(audio, rate, RATE, quality="HQ")[:, 0]
    ours = pcm[:, 0] / 32_768
    lags = np.arange(-2_400, 2_401)
    likeness = [float(np.dot(ours[4_000 + lag : 44_000 + lag], ideal[4_000:44_000])) for lag in lags]
    assert lags[int(np.argmax(likeness))] == 0
    assert 0 <= source.num_frames - len(audio) <= padding


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_non_finite_samples_are_rejected(value, rate) -> None:
    audio = noise(seed=6, rate=rate)
    audio[rate // 2, 1] = value
    assert reason(wav_bytes(audio, rate, codec="FLOAT")) == "non_finite"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty"),
        (b"tiny", "empty"),
        (wav_bytes(silence(0)), "empty"),
        (b"ID3\x03\x00\x00\x00\x00\x00\x40" + bytes(2_000), "empty"),
        (b"plain words, and no sound at all" * 40, "not_audio"),
        (b"<!DOCTYPE html><html><body>404</body></html>" * 40, "not_audio"),
        (b"{\"detail\": \"Not found.\"}" * 40, "not_audio"),
        (HLS % 1, "not_audio"),
        (b"GIF89a" + bytes(100), "not_audio"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not_audio"),
        (b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x00\x60MTrk" + bytes(90), "not_audio"),
        (b"PK\x03\x04" + mp3_bytes(tone()), "not_audio"),
        (b"FORM\x00\x00\x10\x00ILBMBMHD" + bytes(100), "not_audio"),
        (b"OFR \x00\x00\x00\x00" + bytes(100), "unsupported_codec"),
        (video_bytes(), "no_audio"),
        (m4a_bytes(tone()).replace(b"alac" + bytes(6), b"enca" + bytes(6), 1), "encrypted"),
        (wav_bytes(tone(rate=500), 500), "bad_rate"),
        (wav_bytes(tone(channels=65)), "bad_channels"),
        (b"fLaC" + bytes(200), "corrupt"),
        (b"RIFF\xff\x00\x00\x00WAVEdata" + bytes(50), "corrupt"),
    ],
)  # fmt: skip
def test_what_is_no_audio_is_rejected_with_its_reason(data, expected) -> None:
    assert reason(data) == expected


@pytest.mark.parametrize(("offset", "code", "expected"), [(24, "<I", "bad_rate"), (22, "<H", "bad_channels")])
def test_header_of_zero_rate_or_channels(offset, code, expected) -> None:
    data = bytearray(wav_bytes(tone()))
    struct.pack_into(code, data, offset, 0)
    assert reason(bytes(data)) == expected


def test_limits() -> None:
    data = wav_bytes(tone(seconds=2))
    assert reason(data, AudioConfig(max_seconds=1)) == "too_long"
    assert reason(data, AudioConfig(max_bytes=1_000)) == "too_large"
    assert reason(data, AudioConfig(max_sample_rate=44_000)) == "bad_rate"
    assert reason(data, AudioConfig(max_channels=1)) == "bad_channels"


@pytest.mark.parametrize("field", ["flac_compression", "min_decoded_share"])
@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_shares_out_of_range_are_refused(field, value) -> None:
    with pytest.raises(UsageError, match=field):
        AudioConfig(**{field: value})


@pytest.mark.parametrize("encode", [wav_bytes, aiff_bytes, flac_bytes, m4a_bytes, mp3_bytes])
def test_half_a_file_is_truncated_or_corrupt(encode) -> None:
    data = encode(noise(seed=7, seconds=2))
    assert reason(data[: len(data) // 2]) in ("truncated", "corrupt")


def test_a_file_short_of_little_is_kept_and_says_so() -> None:
    data = wav_bytes(noise(seed=8))
    source, _ = decoded(data[: len(data) * 98 // 100])
    assert source.notes == ("Only 98.0% of what the file declares is there.",)


@pytest.mark.parametrize("size", [0, 0xFFFF_FFFF])
def test_streamed_wav_without_a_length_is_read_whole(size) -> None:
    data = bytearray(wav_bytes(noise(seed=9)))
    struct.pack_into("<I", data, data.index(b"data") + 4, size)
    source, pcm = decoded(bytes(data))
    assert (source.num_frames, source.notes) == (RATE, ())
    assert np.array_equal(pcm, to_pcm(noise(seed=9)))


def test_flac_that_declares_too_little_is_not_cut_short() -> None:
    data = bytearray(flac_bytes(noise(seed=10)))
    data[22:26] = (10_000).to_bytes(4, "big")
    source, pcm = decoded(bytes(data))
    assert (source.num_frames, source.decoder) == (RATE, "pyav")
    assert np.array_equal(pcm, to_pcm(noise(seed=10)))


def test_flac_that_declares_weeks_is_not_decoded_to_find_out() -> None:
    data = bytearray(flac_bytes(tone()))
    data[21] |= 15
    data[22:26] = b"\xff\xff\xff\xff"
    assert reason(bytes(data)) == "too_long"


def test_damage_inside_a_lossless_file_is_corrupt() -> None:
    data = bytearray(flac_bytes(noise(seed=11, seconds=2)))
    data[len(data) // 2 : len(data) // 2 + 40_000] = bytes(40_000)
    assert reason(bytes(data)) in ("corrupt", "truncated")


def test_damage_inside_an_mp3_costs_the_damaged_part_only() -> None:
    data = bytearray(mp3_bytes(noise(seed=12, seconds=10)))
    data[len(data) // 2 : len(data) // 2 + 3_000] = bytes(3_000)
    source, _ = decoded(bytes(data))
    assert 0.95 * 10 * RATE < source.num_frames <= 10 * RATE + 2_304


def test_a_flipped_bit_in_flac_leaves_out_one_block_and_says_so() -> None:
    data = bytearray(flac_bytes(noise(seed=14, seconds=10)))
    data[len(data) // 2] ^= 4
    source, pcm = decoded(bytes(data))
    assert source.num_frames == 10 * RATE - 4_096
    assert source.notes == ("Only 99.1% of what the file declares is there.",)
    assert np.abs(pcm.astype(int)).max() < 0.6 * 32_768  # and nothing is played as noise


def test_a_damaged_ogg_page_is_said() -> None:
    data = bytearray(ogg_bytes(noise(seed=15, seconds=10)))
    data[len(data) // 2] ^= 4
    source, _ = decoded(bytes(data))
    assert len(source.notes) == 1
    assert re.fullmatch(r"1 of \d+ Ogg pages damaged and left out\.", source.notes[0])


def test_many_damaged_ogg_pages_are_corrupt() -> None:
    data = bytearray(ogg_bytes(noise(seed=16, seconds=10)))
    for at in range(10_000, len(data), 10_000):
        data[at] ^= 4
    assert reason(bytes(data)) == "corrupt"


def test_chained_ogg_is_read_to_the_end() -> None:
    data = ogg_bytes(tone(440, seconds=2)) + ogg_bytes(tone(880, seconds=2))
    source, _ = decoded(data)
    assert source.num_frames >= 3.9 * RATE


def test_joined_mp3s_are_read_to_the_end() -> None:
    source, _ = decoded(mp3_bytes(tone(440, seconds=2)) + mp3_bytes(tone(880, seconds=2)))
    assert source.num_frames >= 3.9 * RATE


def test_rate_that_changes_midway_is_rejected() -> None:
    data = ogg_bytes(tone(seconds=2)) + ogg_bytes(tone(seconds=2, rate=22_050), 22_050)
    assert reason(data) == "format_changes"


@pytest.mark.parametrize(
    ("data", "container"),
    [
        (wav_bytes(tone()), "wav"),
        (b"\x00" * 700 + mp3_bytes(tone()), "mp3"),
        (b"ID3\x03\x00\x00\x00\x00\x00\x0a" + bytes(10) + mp3_bytes(tone()), "mp3"),
        (b"ID3\x03\x00\x00\x00\x00\x00\x0a" + bytes(10) + flac_bytes(tone()), "flac"),
    ],
)
def test_containers_are_known_by_content(data, container) -> None:
    source, _ = decoded(data)
    assert source.container == container


def test_a_playlist_opens_no_connection() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.05)
        port = server.getsockname()[1]
        bait = [
            HLS % port,
            b"ffconcat version 1.0\nfile http://127.0.0.1:%d/x.mp3\n" % port,
            HLS % port + bytes(5_000),
        ]
        for data in bait:
            assert reason(data) == "not_audio"
        with pytest.raises(TimeoutError):
            server.accept()


class Ill(io.BytesIO):
    """A file on a disk that fails after a while."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 50_000:
            raise OSError(5, "Input/output error")
        return super().read(size)


@pytest.mark.parametrize("encode", [wav_bytes, flac_bytes, m4a_bytes])
def test_a_disk_error_is_transient_and_no_verdict(encode) -> None:
    with pytest.raises(OSError, match="Input/output error"):
        normalise(Ill(encode(noise(seed=13, seconds=3))), AudioConfig(), Kept)


def test_changes_are_said_in_order() -> None:
    data = wav_bytes(tone(rate=48_000, channels=1, level=1.2), 48_000, codec="FLOAT")
    source, _ = decoded(data, AudioConfig(overshoot="clip"))
    assert sentences(source, num_trimmed=7, num_clips=2, max_seconds=600) == (
        "Converted from WAV (32-bit float) to 16-bit FLAC.",
        "Mono duplicated to stereo.",
        "Resampled from 48000 Hz to 44100 Hz.",
        f"{source.num_clipped} samples beyond full scale clipped.",
        "7 frames of digital silence trimmed from the end.",
        "Cut into 2 clips of up to 600 s.",
    )


@pytest.mark.parametrize(
    ("data", "label"),
    [
        (flac_bytes(tone()), "FLAC"),
        (mp3_bytes(tone()), "MP3"),
        (ogg_bytes(tone()), "Ogg (Vorbis)"),
        (ogg_bytes(tone(rate=48_000), 48_000, "OPUS"), "Ogg (Opus)"),
        (m4a_bytes(tone(), codec="aac"), "MP4 (AAC)"),
        (aiff_bytes(clipped()), "AIFF (16-bit PCM)"),
    ],
)
def test_the_original_format_is_named(data: bytes, label: str) -> None:
    source, pcm = decoded(data)
    assert (
        sentences(source, num_trimmed=0, num_clips=1, max_seconds=600)[0]
        == f"Converted from {label} to 16-bit FLAC."
    )
    assert abs(len(pcm) - RATE) <= 2_304


def test_the_name_of_a_file_is_never_seen() -> None:
    # An audio file in a file object without a name, and the sniffer at work on it directly.
    from sao_data.audio.containers.guarded import Guarded

    assert container_of(Guarded(io.BytesIO(wav_bytes(tone()))), 1 << 20) == "wav"


def test_integer_formats_of_pyav_are_scaled_to_full_scale() -> None:
    import av

    from sao_data.audio.containers.frames import floats

    full: dict[str, npt.NDArray[np.generic]] = {
        "u8": np.array([[0, 255]], np.uint8),
        "s16": np.array([[-32_768, 32_767]], np.int16),
        "s32": np.array([[-(2**31), 2**31 - 1]], np.int32),
        "flt": np.array([[-1.0, 1.0]], np.float32),
    }
    for name, samples in full.items():
        frame = av.AudioFrame.from_ndarray(samples, format=name, layout="mono")
        assert np.allclose(floats(frame)[:, 0], [-1, 1], atol=0.01), name
