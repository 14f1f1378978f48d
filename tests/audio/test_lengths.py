"""How long a file is: by its bytes, whatever stands before it; less than it declares is not passed over."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest

from sao_data.audio import AudioConfig
from sao_data.audio.containers.guarded import Guarded
from sao_data.audio.containers.mpeg import count_frames
from tests.audio.test_convert import decoded, reason
from tests.made import (
    RATE,
    Floats,
    aiff_bytes,
    encode,
    flac_bytes,
    mp3_bytes,
    muxed_bytes,
    noise,
    ogg_bytes,
    silence,
    to_pcm,
    wav_bytes,
)

Encode = Callable[[Floats], bytes]


def sndfile(container: str, codec: str = "PCM_16") -> Encode:
    return lambda audio: encode(audio, RATE, container=container, codec=codec)


def muxed(container: str, codec: str, rate: int = RATE, **options: str) -> Encode:
    return lambda audio: muxed_bytes(audio, rate, container=container, codec=codec, **options)


FAST = {"movflags": "faststart"}
# Containers whose headers say how long they are, and what may come of half of one.
DECLARED: dict[str, Encode] = {
    "wav": wav_bytes, "aiff": aiff_bytes, "flac": flac_bytes, "mp3": mp3_bytes, "vorbis": ogg_bytes,
    "opus": muxed("ogg", "libopus", 48_000), "ogg flac": muxed("ogg", "flac"),
    "w64": sndfile("W64"), "rf64": sndfile("RF64"), "au": sndfile("AU"), "caf": sndfile("CAF"),
    "aifc": sndfile("AIFF", "FLOAT"), "caf alac": sndfile("CAF", "ALAC_16"),
    "ffmpeg alac": muxed("caf", "alac"),
    "m4a aac": muxed("mp4", "aac", **FAST), "m4a alac": muxed("mp4", "alac", **FAST),
    "mov": muxed("mov", "pcm_s16le", **FAST), "3gp": muxed("3gp", "aac", **FAST),
    "fragmented": muxed("mp4", "aac", movflags="frag_keyframe+empty_moov"),
    "mkv flac": muxed("matroska", "flac"), "mkv opus": muxed("matroska", "libopus", 48_000),
    "webm": muxed("webm", "libopus", 48_000), "mkv ac3": muxed("matroska", "ac3"),
    "wma": muxed("asf", "wmav2"),
    "wavpack": muxed("wv", "wavpack"), "tta": muxed("tta", "tta"),
}  # fmt: skip
UNDECLARED: dict[str, Encode] = {
    "aac": muxed("adts", "aac"),
    "ac3": muxed("ac3", "ac3"),
    "bare mp3": muxed("mp3", "libmp3lame", write_xing="0"),
}
ID3 = b"ID3\x04\x00\x00" + bytes((0, 0, 0x40 >> 1, 0)) + b"TXXX" + bytes(4_092)
ID3_FOOTER = b"ID3\x04\x00\x10" + bytes((0, 0, 0x20, 0)) + bytes(4_096) + b"3DI\x04\x00\x10\x00\x00\x20\x00"
APE = b"APETAGEX" + struct.pack("<IIII", 2_000, 4_096, 0, 0xA0000000) + bytes(8) + bytes(4_096)
TAGS = {
    "ID3": ID3,
    "footer": ID3_FOOTER,
    "APE": APE,
    "ID3 twice": ID3 + ID3,
    "both": ID3 + APE,
    "zeros": ID3 + bytes(77),
}


def test_the_tags_of_this_table_have_the_size_they_state() -> None:
    assert len(ID3) == 10 + 4_096
    assert len(APE) == 32 + 4_096


@pytest.mark.parametrize("name", DECLARED)
def test_half_a_file_is_not_taken_for_a_whole_one(name: str) -> None:
    data = DECLARED[name](noise(seed=7, seconds=2))
    assert reason(data[: len(data) // 2]) in ("truncated", "corrupt")


@pytest.mark.parametrize("name", [*DECLARED, *UNDECLARED])
def test_whatever_stands_before_a_file_changes_nothing(name: str) -> None:
    data = (DECLARED | UNDECLARED)[name](noise(seed=8, seconds=0.5))
    bare, pcm = decoded(data)
    for kind, tag in TAGS.items():
        tagged, same = decoded(tag + data)
        assert (tagged.container, tagged.num_frames) == (bare.container, bare.num_frames), kind
        assert np.array_equal(same, pcm), kind


ID3V1 = b"TAG" + b"Ada".ljust(125, b"x")
BEHIND = {"ID3v1": ID3V1, "APE": APE[32:] + APE[:20] + b"\0\0\0\x80" + bytes(8), "junk": bytes(4_096)}


@pytest.mark.parametrize("name", [*DECLARED, *UNDECLARED])
def test_tags_behind_a_file_are_not_audio(name: str) -> None:
    data = (DECLARED | UNDECLARED)[name](noise(seed=8, seconds=0.5))
    bare, pcm = decoded(data)
    for kind, tag in BEHIND.items():
        if kind != "junk" or name == "w64":  # whose other chunks stand there
            source, same = decoded(data + tag)
            assert (source.num_frames, source.notes) == (bare.num_frames, ()), kind
            assert source.decoder != bare.decoder or np.array_equal(same, pcm), kind


@pytest.mark.parametrize(
    ("name", "field", "code", "values"),
    [
        ("wav", b"data", "<I", (0, 0xFFFF_FFFF, 0x7FFF_FFFF)),
        ("aiff", b"SSND", ">I", (0, 0xFFFF_FFFF)),
        ("au", b".snd", ">4xI", (0xFFFF_FFFF,)),
        ("caf", b"data", ">q", (-1,)),
        ("w64", b"data", "<12xq", (0, 24, -1)),
    ],
)
def test_a_length_that_a_streaming_writer_left_open(name, field, code, values) -> None:
    whole = DECLARED[name](noise(seed=9))
    at = whole.rindex(field, 0, 5_000) + 4
    for value in values:
        data = bytearray(whole)
        data[at : at + struct.calcsize(code)] = _patched(data, at, code, value)
        source, pcm = decoded(bytes(data))
        assert (source.num_frames, source.notes) == (RATE, ()), value
        assert np.array_equal(pcm, to_pcm(noise(seed=9))), value


def _patched(data: bytearray, at: int, code: str, value: int) -> bytes:
    """The bytes of a field, its last part replaced."""
    number = struct.pack(code[0] + code[-1], value & (1 << 32) - 1 if code[-1] == "I" else value)
    return bytes(data[at : at + struct.calcsize(code) - len(number)]) + number


def _xing(count: int) -> bytes:
    data = bytearray(mp3_bytes(noise(seed=3, seconds=10)))
    at = next(data.index(tag) for tag in (b"Xing", b"Info") if tag in data)
    struct.pack_into(">I", data, at + 8, count)
    return bytes(data)


def _mp3(seed: int, seconds: int) -> bytes:
    return UNDECLARED["bare mp3"](noise(seed=seed, seconds=seconds))


@pytest.mark.parametrize(
    ("parts", "seconds"),
    [
        ([lambda: _mp3(1, 10)], 10),
        ([lambda: _xing(0)], 10),
        ([lambda: _xing(0xFFFF_FFFF)], 10),
        ([lambda: _xing(50)], 10),
        ([lambda: _xing(50), lambda: _xing(60)], 20),
        ([lambda: mp3_bytes(noise(seed=2, seconds=3))] * 3, 9),
        ([lambda: _mp3(1, 3), lambda: _mp3(2, 4)], 7),
        ([lambda: ID3, lambda: _mp3(1, 3), lambda: ID3, lambda: mp3_bytes(noise(seed=2, seconds=4))], 7),
    ],
)
def test_mp3s_are_as_long_as_their_frames(parts: list[Callable[[], bytes]], seconds: int) -> None:
    data = b"".join(part() for part in parts)
    source, _ = decoded(data)
    assert abs(source.num_frames - seconds * RATE) <= 3 * 2_304
    assert count_frames(Guarded(io.BytesIO(data))) == pytest.approx(seconds * RATE, abs=4 * 2_304)


def test_a_variable_bitrate_without_a_header_is_read_to_the_end() -> None:
    # Noise at a high rate, then quiet at a low one: an estimate by the first frames is far too short.
    loud = _bare(noise(seed=4, seconds=2), 320_000)
    source, _ = decoded(loud + _bare(noise(seed=5, seconds=18, level=1e-3), 32_000))
    assert source.num_frames == pytest.approx(20 * RATE, abs=3 * 2_304)


def _bare(audio: Floats, bit_rate: int) -> bytes:
    return muxed_bytes(
        audio, container="mp3", codec="libmp3lame", bit_rate=bit_rate, write_xing="0", id3v2_version="0"
    )


def test_a_hole_in_a_bare_mp3_costs_the_hole_only() -> None:
    data = bytearray(UNDECLARED["bare mp3"](noise(seed=6, seconds=10)))
    data[len(data) // 3 : len(data) // 3 + 3_000] = bytes(3_000)
    source, _ = decoded(bytes(data))
    assert 9.4 * RATE < source.num_frames <= 10 * RATE + 2_304


def test_the_delay_of_an_encoder_is_cut_as_its_header_says() -> None:
    source, _ = decoded(mp3_bytes(noise(seed=7, seconds=2)))
    assert source.num_frames == 2 * RATE


def test_an_ogg_without_its_last_page_says_so() -> None:
    data = ogg_bytes(noise(seed=8, seconds=4))
    source, _ = decoded(data[: data.rindex(b"OggS")])
    assert source.notes == ("The stream has no end page: it may have been cut off.",)


@pytest.mark.parametrize(
    "name", ["wav", "flac", "mp3", "w64", "au", "caf", "m4a aac", "mkv flac", "wma", "wavpack"]
)
def test_what_declares_too_much_is_too_long_before_it_is_decoded(name: str) -> None:
    class Never:
        def write(self, pcm: object) -> None:
            raise AssertionError("decoded")

        def discard(self) -> None: ...

    from sao_data.audio import AudioRejected
    from sao_data.audio.convert import normalise

    data = DECLARED[name](noise(seed=9, seconds=4))
    with pytest.raises(AudioRejected, match=r"too_long: declares 4 s; allowed are 2 s"):
        normalise(io.BytesIO(data), AudioConfig(max_seconds=2), Never)


def test_what_stands_behind_the_end_of_an_ogg_does_not_cut_it() -> None:
    data = ogg_bytes(noise(seed=8, seconds=30))
    source, _ = decoded(data + b"OggS\0\0" + bytes(10))
    assert source.num_frames == 30 * RATE
    assert source.notes == (f"1 of {data.count(b'OggS') + 1} Ogg pages damaged and left out.",)


def test_silence_is_dense_and_allowed() -> None:
    data = flac_bytes(to_pcm(silence(seconds=60)))
    assert 60 * RATE * 2 / len(data) > 300
    assert decoded(data)[0].num_frames == 60 * RATE


def test_more_samples_than_a_byte_may_stand_for_are_too_long(monkeypatch) -> None:
    data = bytearray(flac_bytes(to_pcm(silence(seconds=60))))
    data[21:26] = bytes((data[21] & 0xF0, 0, 0, 0, 0))  # no length is declared
    monkeypatch.setattr("sao_data.audio.convert._FREE_SAMPLES", 100_000)
    assert reason(bytes(data), AudioConfig(max_samples_per_byte=100)) == "too_long"
    assert decoded(bytes(data), AudioConfig(max_samples_per_byte=1_000))[0].num_frames == 60 * RATE
