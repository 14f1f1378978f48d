"""Left is left and right is right, whatever the container, the codec and the order of their channels."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from sao_data.audio import AudioConfig, AudioRejected
from sao_data.audio.changes import sentences
from sao_data.audio.downmix import mix_of
from tests.audio.test_convert import decoded
from tests.made import Floats, encode, muxed_bytes

RATE = 48_000
HZ = {
    "L": 500,
    "R": 1_000,
    "C": 1_500,
    "LFE": 40,
    "Ls": 2_000,
    "Rs": 2_500,
    "Cs": 3_000,
    "Lb": 3_500,
    "Rb": 4_000,
}


def tones(order: str) -> Floats:
    """Half a second, one tone a channel, in the order given."""
    time = np.arange(RATE // 2) / RATE
    return np.stack([0.3 * np.sin(2 * np.pi * HZ[name] * time) for name in order.split()], 1).astype(
        np.float32
    )


def heard(data: bytes) -> tuple[int, int]:
    """The loudest frequency left and right, to the nearest 20 Hz."""
    _, pcm = decoded(data)
    spectrum = np.abs(np.fft.rfft(pcm[4_000:17_230] * np.hanning(13_230)[:, None], axis=0))
    left, right = spectrum.argmax(axis=0) * 44_100 / 13_230
    return round(left / 20) * 20, round(right / 20) * 20


SMPTE = {3: "L R C", 4: "L R Ls Rs", 6: "L R C LFE Ls Rs", 8: "L R C LFE Lb Rb Ls Rs"}
XIPH = {
    3: "L C R", 4: "L R Ls Rs", 5: "L C R Ls Rs", 6: "L C R Ls Rs LFE", 7: "L C R Ls Rs Cs LFE",
    8: "L C R Ls Rs Lb Rb LFE",
}  # fmt: skip
# What libsndfile writes as it is given: the order in the file is that of the container or the codec.
STORED = [
    *((container, codec, SMPTE[n]) for n in SMPTE for container, codec in (
        ("WAV", "PCM_16"), ("WAVEX", "PCM_24"), ("RF64", "PCM_16"), ("W64", "PCM_16"), ("AIFF", "PCM_16"),
        ("AIFF", "FLOAT"), ("AU", "PCM_16"), ("CAF", "PCM_16"), ("FLAC", "PCM_16"),
    )),
    *(("OGG", codec, order) for order in XIPH.values() for codec in ("VORBIS", "OPUS")),
    ("CAF", "ALAC_16", "C L R"), ("CAF", "ALAC_16", "C L R Ls Rs LFE"),
]  # fmt: skip
# What FFmpeg writes, from its own order into that of the codec.
MUXED = [
    *((container, codec, layout) for layout in ("3.0", "quad", "5.1") for container, codec in (
        ("adts", "aac"), ("mp4", "aac"), ("matroska", "ac3"), ("matroska", "flac"), ("webm", "libopus"),
        ("mp4", "libopus"), ("wv", "wavpack"), ("mov", "pcm_s16be"), ("ogg", "libopus"), ("ogg", "flac"),
        ("matroska", "pcm_s16le"), ("ac3", "ac3"),
    )),
    *((container, "alac", layout) for layout in ("3.0", "5.1") for container in ("mp4", "caf")),
    ("wav", "pcm_s16le", "5.1(side)"), ("wav", "pcm_s16le", "7.1"), ("matroska", "flac", "7.1"),
    ("mp4", "aac", "7.1"), ("webm", "libopus", "7.1"), ("wv", "wavpack", "7.1"),
]  # fmt: skip
NATIVE = {"3.0": 3, "quad": 4, "5.1": 6, "5.1(side)": 6, "7.1": 8}


@pytest.mark.parametrize(("container", "codec", "order"), STORED)
def test_left_and_right_of_what_libsndfile_writes(container: str, codec: str, order: str) -> None:
    assert heard(encode(tones(order), RATE, container=container, codec=codec)) == (HZ["L"], HZ["R"])


@pytest.mark.parametrize(("container", "codec", "layout"), MUXED)
def test_left_and_right_of_what_ffmpeg_writes(container: str, codec: str, layout: str) -> None:
    data = muxed_bytes(
        tones(SMPTE[NATIVE[layout]]), RATE, container=container, codec=codec, layout=layout, bit_rate=448_000
    )
    assert heard(data) == (HZ["L"], HZ["R"])


@pytest.mark.parametrize("container", ["caf", "aiff"])
@pytest.mark.parametrize(
    ("layout", "order"),
    [
        (struct.pack(">III", 113 << 16 | 3, 0, 0), "L R C"),
        (struct.pack(">III", 114 << 16 | 3, 0, 0), "C L R"),
        (struct.pack(">III", 121 << 16 | 6, 0, 0), "L R C LFE Ls Rs"),
        (struct.pack(">III", 123 << 16 | 6, 0, 0), "L C R Ls Rs LFE"),
        (struct.pack(">III", 124 << 16 | 6, 0, 0), "C L R Ls Rs LFE"),
        (struct.pack(">III", 127 << 16 | 8, 0, 0), "C Ls Rs L R Lb Rb LFE"),
        (struct.pack(">III", 150 << 16 | 3, 0, 0), "L C R"),
        (struct.pack(">III", 0x10000, 7, 0), "L R C"),
        (struct.pack(">III", 0, 0, 3) + b"".join(struct.pack(">II12x", n, 0) for n in (3, 2, 1)), "C R L"),
        (struct.pack(">III", 0, 0, 9) + bytes(20), "L R C"),  # damaged
        (struct.pack(">III", 999 << 16 | 3, 0, 0), "L R C"),
    ],
)  # fmt: skip
def test_core_audio_says_in_what_order(container: str, layout: bytes, order: str) -> None:
    data = encode(tones(order), RATE, container=container.upper(), codec="PCM_16")
    at = data.index(b"data" if container == "caf" else b"SSND")
    size = struct.pack(
        ">4sq" if container == "caf" else ">4sI", b"chan" if container == "caf" else b"CHAN", len(layout)
    )
    assert heard(data[:at] + size + layout + data[at:]) == (HZ["L"], HZ["R"])


@pytest.mark.parametrize("rate", [0, 8_000, 16_000, 44_100, 48_000, 192_000])
def test_opus_is_decoded_at_48_khz_whatever_was_encoded(rate: int) -> None:
    data = bytearray(muxed_bytes(tones("L R"), RATE, container="ogg", codec="libopus"))
    at = data.index(b"OpusHead") + 12
    struct.pack_into("<I", data, at, rate)
    _mend_page(data)
    source, pcm = decoded(bytes(data))
    assert (source.sample_rate, source.num_frames, len(pcm)) == (48_000, RATE // 2, 22_050)


def _mend_page(data: bytearray) -> None:
    """Put the right checksum into the first Ogg page: CRC-32, most significant bit first, no inversion."""
    end = 27 + data[26] + sum(data[27 : 27 + data[26]])
    data[22:26] = bytes(4)
    crc = 0
    for byte in data[:end]:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x104C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    struct.pack_into("<I", data, 22, crc)


def test_the_changes_name_what_was_kept() -> None:
    cases = [
        ("L C R", "OGG", "VORBIS", {}, "3 channels mixed down to stereo (ITU-R BS.775)."),
        (
            SMPTE[6],
            "FLAC",
            "PCM_16",
            {},
            "6 channels mixed down to stereo (ITU-R BS.775, without the LFE channel).",
        ),
        (SMPTE[6], "FLAC", "PCM_16", {"downmix": "front"}, "Left and right of 6 channels kept."),
        (SMPTE[6], "AU", "PCM_16", {}, "The first two of 6 channels kept."),
    ]
    for order, container, codec, knobs, wanted in cases:
        source, _ = decoded(
            encode(tones(order), RATE, container=container, codec=codec), AudioConfig(**knobs)
        )
        changes = sentences(source, num_trimmed=0, num_clips=1, max_seconds=600)
        assert any(line.startswith(wanted) for line in changes), changes
    with pytest.raises(AudioRejected, match="6 channels, and nothing says which they are"):
        decoded(
            encode(tones(SMPTE[6]), RATE, container="AU", codec="PCM_16"),
            AudioConfig(unknown_layout="reject"),
        )


LOWER = 0.5**0.5
# Share of each channel left and right (ITU-R BS.775-3, annex 4, table 2; rears and sides are surrounds).
SHARES = {
    "L": (1, 0), "R": (0, 1), "C": (LOWER, LOWER), "LFE": (0, 0), "Ls": (LOWER, 0), "Rs": (0, LOWER),
    "Cs": (0.5, 0.5), "Lb": (LOWER, 0), "Rb": (0, LOWER),
}  # fmt: skip
MIXED = [
    *(("FLAC", "PCM_16", order) for order in (SMPTE[3], SMPTE[4], SMPTE[6], SMPTE[8], "L R C LFE Cs Ls Rs")),
    *(("OGG", codec, order) for num, order in XIPH.items() for codec in ("VORBIS", "OPUS")[: 1 + (num < 8)]),
    ("CAF", "ALAC_16", "C L R Ls Rs LFE"),
]


def shares(data: bytes, order: str) -> dict[str, tuple[float, float]]:
    """How much of each channel's tone comes out left and right."""
    source, pcm = decoded(data)
    at = np.arange(4_410, 17_640) / 44_100
    waves = np.concatenate(
        [[np.cos(2 * np.pi * HZ[n] * at), np.sin(2 * np.pi * HZ[n] * at)] for n in order.split()]
    )
    parts, *_ = np.linalg.lstsq(waves.T, pcm[4_410:17_640] / 32_768 / source.gain, rcond=None)
    size = np.hypot(parts[0::2], parts[1::2]) / 0.3
    return {
        name: (float(left), float(right)) for name, (left, right) in zip(order.split(), size, strict=True)
    }


@pytest.mark.parametrize(("container", "codec", "order"), MIXED)
def test_known_layouts_are_mixed_down_as_bs_775_has_it(container: str, codec: str, order: str) -> None:
    found = shares(encode(tones(order), RATE, container=container, codec=codec), order)
    assert {name: pytest.approx(SHARES[name], abs=0.05) for name in found} == found


@pytest.mark.parametrize("layout", ["3.0", "quad", "5.1", "5.1(side)", "7.1"])
def test_the_mask_of_a_wav_says_the_layout(layout: str) -> None:
    order = SMPTE[NATIVE[layout]]
    data = muxed_bytes(tones(order), RATE, container="wav", codec="pcm_s16le", layout=layout)
    found = shares(data, order)
    assert {name: pytest.approx(SHARES[name], abs=0.01) for name in found} == found


def test_ambisonics_become_the_sum_and_the_difference_of_w_and_y() -> None:
    block = np.array([[0.5, 0.25, 0.125, 0.1]], np.float32)
    mix = mix_of(("AMBI0", "AMBI1", "AMBI2", "AMBI3"), 4)
    assert mix.apply(block).tolist() == [[0.75, 0.25]]
    assert mix.words == "4 channels of ambisonics made stereo (W + Y left, W - Y right)."
