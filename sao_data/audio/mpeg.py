"""MPEG audio and ADTS frame headers (ISO 11172-3, 13818-3, 13818-7): what tells such a stream from anything
else.
"""

from __future__ import annotations

from dataclasses import dataclass

from sao_data.audio.guarded import Guarded

_RATES = (44_100, 48_000, 32_000)
_BITRATES = {  # kbit/s by (is MPEG 1, layer); index 0 is "free format"
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MpegHeader:
    """The part of an MPEG audio frame header that stays the same in a stream, and the frame's length."""

    kind: tuple[str, int, int]  # ("mp3" | "aac", version bits, sample rate index)
    num_bytes: int  # 0: free format
    num_frames: int  # audio frames


def parse_header(data: bytes, at: int) -> MpegHeader | None:
    """Parse an MPEG layer 1-3 or ADTS frame header, or None."""
    if at + 6 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    second, third = data[at + 1], data[at + 2]
    version, layer = (second >> 3) & 3, 4 - ((second >> 1) & 3)  # version 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
    if layer == 4:
        return _adts_header(data, at)
    rate_index, bitrate_index = (third >> 2) & 3, third >> 4
    if version == 1 or rate_index == 3 or bitrate_index == 15:
        return None
    rate = _RATES[rate_index] >> (0, 1, 1, 2)[(3, 2, 1, 0).index(version)]
    bits = _BITRATES[version == 3, layer][bitrate_index] * 1_000
    padding = (third >> 1) & 1
    if layer == 1:
        num_bytes, num_frames = (12 * bits // rate + padding) * 4, 384
    else:
        num_frames = 576 if layer == 3 and version != 3 else 1_152
        num_bytes = num_frames // 8 * bits // rate + padding
    return MpegHeader(
        kind=("mp3", second & 0xFE, rate_index), num_bytes=num_bytes if bits else 0, num_frames=num_frames
    )


def _adts_header(data: bytes, at: int) -> MpegHeader | None:
    rate_index = (data[at + 2] >> 2) & 15
    num_bytes = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    if data[at + 1] & 0xF6 != 0xF0 or rate_index > 12 or num_bytes < 7:
        return None
    return MpegHeader(kind=("aac", data[at + 1] & 0xFE, rate_index), num_bytes=num_bytes, num_frames=1_024)


def after_id3(file: Guarded, size: int) -> int:
    """Offset behind any ID3v2 tags; one that claims to be longer than the file is skipped alone."""
    at = 0
    for _ in range(16):
        head = file.read_at(at, 10)
        if head[:3] != b"ID3" or len(head) < 10:
            break
        length = 0
        for byte in head[6:10]:
            length = length << 7 | byte & 0x7F
        at += 10 + (length if at + 10 + length < size else 0)
    return at


def kind_of(head: bytes, size: int, need: int = 3) -> str:
    """ "mp3" or "aac" if a run of `need` matching frames (or of all frames to the end) begins in the head."""
    first = parse_header(head, 0)
    if first:  # a lone frame, or a free-format one, is believed at the very start only
        return first.kind[0]
    at = head.find(b"\xff", 1)
    while at >= 0:
        if _run_length(head, at, size, need) >= need:
            header = parse_header(head, at)
            assert header, at  # a run begins with a frame
            return header.kind[0]
        at = head.find(b"\xff", at + 1)
    return ""


def _run_length(head: bytes, at: int, size: int, need: int) -> int:
    """Frames that follow one another from `at`, counting up to `need`."""
    first = header = parse_header(head, at)
    count = 0
    while header and first and header.kind == first.kind and header.num_bytes and count < need:
        count += 1
        at += header.num_bytes
        if at >= size and count > 1:
            return need
        header = parse_header(head, at)
    return count
