"""Frame headers: every seek point is a place where decoding gives exactly the samples from there on."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from sao_data.audio import flac
from sao_data.audio.containers.guarded import Guarded
from tests.made import RATE, flac_bytes, noise, to_pcm, tone


def decode_from(data: bytes, byte: int) -> np.ndarray:
    """Decode raw FLAC frames from an offset, given STREAMINFO alone."""
    context = av.CodecContext.create("flac", "r")
    context.extradata = data[8:42]
    packets = context.parse(data[byte:])
    while flushed := context.parse():  # the parser holds frames back until it sees the next headers
        packets += flushed
    frames = [frame for packet in packets for frame in context.decode(packet)]
    return np.concatenate([frame.to_ndarray().reshape(-1, 2) for frame in frames])


@pytest.mark.parametrize("audio", [noise(seed=1, seconds=21.5), tone(seconds=21.5)], ids=["noise", "tone"])
def test_decoding_from_each_seek_point_gives_the_rest(audio) -> None:
    data = flac_bytes(audio)
    points = flac.seek_points(Guarded(io.BytesIO(data)))
    assert [point.frame for point in points] == [4_096 * (second * RATE // 4_096) for second in (0, 10, 20)]
    for point in points:
        assert np.array_equal(decode_from(data, point.byte), to_pcm(audio)[point.frame :])


def test_scan_counts_all_frames() -> None:
    scan = flac.scan(Guarded(io.BytesIO(flac_bytes(noise(seed=2, seconds=3.21)))))
    assert scan.num_frames == round(3.21 * RATE)
    assert scan.rates == (RATE,)
    assert scan.channels == (2,)
    assert not scan.contradicts(scan.num_frames, RATE)
    assert scan.contradicts(scan.num_frames - 1, RATE)
    assert scan.contradicts(scan.num_frames, 48_000)


def test_a_header_with_a_wrong_checksum_is_none() -> None:
    data = bytearray(flac_bytes(tone()))
    at = flac.seek_points(Guarded(io.BytesIO(data)))[0].byte
    assert flac.parse_header(data, at) is not None
    data[at + 2] ^= 0x10
    assert flac.parse_header(data, at) is None


def test_streaminfo_states_the_length() -> None:
    assert flac.total_frames(flac_bytes(tone(seconds=2))[:64]) == 2 * RATE
    assert flac.total_frames(b"RIFF" + bytes(60)) is None


@pytest.mark.parametrize("window", [1_000, 4_097])
def test_scanning_finds_what_lies_across_windows(window, monkeypatch) -> None:
    data = flac_bytes(noise(seed=3))
    whole = flac.scan(Guarded(io.BytesIO(data)))
    monkeypatch.setattr("sao_data.audio.containers.guarded._WINDOW", window)
    assert flac.scan(Guarded(io.BytesIO(data))) == whole
