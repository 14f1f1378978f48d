"""FLAC frame headers (RFC 9639, 9.1): where decoding can start, and what a stream really holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sao_data.audio.containers.guarded import Guarded
from sao_data.records import SAMPLE_RATE, SeekPoint

SEEK_FRAMES = 10 * SAMPLE_RATE  # a seek point every 10 s: at most 10 s are decoded in vain

_SYNC = re.compile(rb"\xff[\xf8\xf9]")  # 14 bits of ones and a zero, reserved bit 0, blocking strategy
_MAX_HEADER = 16  # bytes
_RATES = (0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
_MAX_GAP = 64  # frames that may be missing before a header is taken for a false one


def _crc8_table() -> bytes:
    table = bytearray()
    for value in range(256):
        for _ in range(8):
            value = (value << 1) ^ (0x107 if value & 0x80 else 0)
        table.append(value)
    return bytes(table)


_CRC8 = _crc8_table()  # polynomial x^8 + x^2 + x + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameHeader:
    """One frame's header; `number` counts frames, or samples where the block size varies."""

    is_variable: bool
    number: int
    num_frames: int  # audio frames in this block
    sample_rate: int  # Hz; 0 = as STREAMINFO says
    num_channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What the frame headers of a stream add up to."""

    num_frames: int
    rates: tuple[int, ...]
    channels: tuple[int, ...]

    def contradicts(self, num_frames: int, sample_rate: int) -> bool:
        """Do the headers tell of more frames, or of other formats, than a decoder did?"""
        mixed = len(self.channels) > 1 or any(rate not in (0, sample_rate) for rate in self.rates)
        return self.num_frames > num_frames or mixed


def parse_header(data: bytes, at: int) -> FrameHeader | None:
    """Parse the frame header at an offset, or None if there is none (reserved values, wrong CRC-8)."""
    if len(data) < at + 6 or data[at] != 0xFF or data[at + 1] & 0xFE != 0xF8:
        return None
    size_code, rate_code = data[at + 2] >> 4, data[at + 2] & 15
    channel_code, depth_code = data[at + 3] >> 4, (data[at + 3] >> 1) & 7
    if not size_code or rate_code == 15 or channel_code > 10 or depth_code == 3 or data[at + 3] & 1:
        return None
    number, end = _coded_number(data, at + 4)
    num_size, num_rate = {6: 1, 7: 2}.get(size_code, 0), {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    crc_at = end + num_size + num_rate
    if number is None or crc_at >= len(data) or _crc8(data[at:crc_at]) != data[crc_at]:
        return None
    rate_value = int.from_bytes(data[end + num_size : crc_at], "big")
    return FrameHeader(
        is_variable=bool(data[at + 1] & 1),
        number=number,
        num_frames=_block_size(size_code, int.from_bytes(data[end : end + num_size], "big")),
        sample_rate=rate_value * {12: 1_000, 13: 1, 14: 10}[rate_code] if num_rate else _RATES[rate_code],
        num_channels=channel_code + 1 if channel_code < 8 else 2,
    )


def total_frames(head: bytes) -> int | None:
    """Audio frames that STREAMINFO states, from a file's first 42 bytes; None if it states none."""
    if len(head) < 42 or head[:4] != b"fLaC" or head[4] & 0x7F:
        return None
    return int.from_bytes(head[21:26], "big") & 0xF_FFFF_FFFF or None


def scan(file: Guarded) -> Scan:
    """Walk the frame headers of a file, without decoding."""
    num_frames, block, expected = 0, 0, None
    rates: set[int] = set()
    channels: set[int] = set()
    for _, data in file.find(_SYNC, context=_MAX_HEADER):
        header = parse_header(data, 0)
        if header is None:
            continue
        block = block or header.num_frames
        step = header.num_frames if header.is_variable else 1
        if expected is not None and not expected <= header.number < expected + _MAX_GAP * step:
            continue
        expected = header.number + step
        num_frames = header.num_frames + header.number * (1 if header.is_variable else block)
        rates.add(header.sample_rate)
        channels.add(header.num_channels)
    return Scan(num_frames=num_frames, rates=tuple(sorted(rates)), channels=tuple(sorted(channels)))


def seek_points(file: Guarded, places: Sequence[int] = ()) -> tuple[SeekPoint, ...]:
    """Find the frames that hold seconds 0, 10, 20, … of a FLAC of fixed block size (libsndfile's are).

    `places`: where writes began. Each frame is a write of its own, so the frames wanted are known; should one
    not be there, the whole file is looked through.
    """
    if places and (points := _points_among(file, places)):
        return points
    found: list[SeekPoint] = []
    block, number, target = 0, 0, 0
    for offset, data in file.find(_SYNC, start=_audio_offset(file), context=_MAX_HEADER):
        header = parse_header(data, 0)
        if header is None or header.is_variable or header.number != number:
            continue  # the sync pattern inside a frame; CRC-8 and the expected number tell
        block = block or header.num_frames
        start, number = number * block, number + 1
        if start <= target < start + header.num_frames:
            found.append(SeekPoint(frame=start, byte=offset))
            target += SEEK_FRAMES
    return tuple(found)


def _points_among(file: Guarded, places: Sequence[int]) -> tuple[SeekPoint, ...]:
    """The same, where every place from the first frame on is a frame's; () if one is not."""
    first = _audio_offset(file)
    frames = sorted({place for place in places if place >= first})
    found: list[SeekPoint] = []
    block = 0
    while not block or len(found) * SEEK_FRAMES // block < len(frames):
        number = len(found) * SEEK_FRAMES // block if block else 0
        header = parse_header(file.read_at(frames[number], _MAX_HEADER), 0) if frames else None
        if header is None or header.is_variable or header.number != number:
            return ()
        block = block or header.num_frames
        if number * block + header.num_frames <= len(found) * SEEK_FRAMES:
            break  # a last frame that ends before the point
        found.append(SeekPoint(frame=number * block, byte=frames[number]))
    return tuple(found)


def _audio_offset(file: Guarded) -> int:
    """Offset of the first frame: behind "fLaC" and its metadata blocks."""
    at = 4
    while len(head := file.read_at(at, 4)) == 4:
        at += 4 + int.from_bytes(head[1:], "big")
        if head[0] & 0x80:
            break
    return at


def _coded_number(data: bytes, at: int) -> tuple[int | None, int]:
    """The frame or sample number (coded like UTF-8; None if malformed) and the offset behind it."""
    first = data[at]
    if first < 0x80:
        return first, at + 1
    length = next((n for n in range(2, 8) if first >> (7 - n) == (1 << (n + 1)) - 2), 0)
    rest = data[at + 1 : at + length]
    if not length or len(rest) != length - 1 or any(byte & 0xC0 != 0x80 for byte in rest):
        return None, at
    number = first & ((1 << (7 - length)) - 1) if length < 7 else 0
    for byte in rest:
        number = number << 6 | byte & 0x3F
    return number, at + length


def _block_size(code: int, value: int) -> int:
    if code in (6, 7):
        return value + 1
    if code == 1:
        return 192
    return 144 << code if code < 6 else 1 << code


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc = _CRC8[crc ^ byte]
    return crc
