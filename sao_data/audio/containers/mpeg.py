"""MPEG audio and ADTS frame headers (ISO 11172-3, 13818-3, 13818-7): what tells such a stream from anything
else.
"""

from __future__ import annotations

from dataclasses import dataclass

from sao_data.audio.containers.around import after_tags
from sao_data.audio.containers.guarded import Guarded

_WINDOW = 1 << 20  # bytes held at once
_HEAD = 1 << 16  # bytes searched for the first frame
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


def count_frames(file: Guarded) -> int:
    """Audio frames in the MPEG frames of a file, holes left out; 0 where no frame says how long it is.

    Counted as the first frame's kind: what a decoder may give, whatever any header promises or leaves out.
    """
    found = _first(file)
    if found is None:
        return 0
    at, first = found
    sizes = _sizes(first)
    count, follows = 0, False  # does a frame end here?
    base, window = at, file.read_at(at, _WINDOW)
    at = 0
    while True:
        if at + _WINDOW // 2 > len(window) == _WINDOW:
            base, window, at = base + at, file.read_at(base + at, _WINDOW), 0
        if at + 4 > len(window):
            return count * first.num_frames
        if follows:
            most = _WINDOW // 2 if len(window) == _WINDOW else len(window) - 3
            num, at = _run(window, at, most, first, sizes)
            if num:
                count += num
                continue
        length = _length(window, at, first, sizes)
        if length and (follows or _length(window, at + length, first, sizes)):
            count, at, follows = count + 1, at + length, True
            continue
        follows = False
        at = window.find(b"\xff", at + 1)
        if at < 0:
            at = len(window)
            if len(window) == _WINDOW:
                base, window, at = base + at, file.read_at(base + at, _WINDOW), 0


def _first(file: Guarded) -> tuple[int, MpegHeader] | None:
    """Offset and header of the first frame that another of its kind follows."""
    start = after_tags(file)
    head = file.read_at(start, _HEAD)
    at = head.find(b"\xff")
    while at >= 0:
        header = parse_header(head, at)
        if header and header.num_bytes and header.kind[0] == "mp3":
            following = parse_header(head, at + header.num_bytes)
            if following and following.kind == header.kind:
                return start + at, header
        at = head.find(b"\xff", at + 1)
    return None


def _sizes(first: MpegHeader) -> tuple[int, ...]:
    """Bytes of a frame of this kind by the third byte of its header; 0: no such frame."""
    headers = (parse_header(bytes((0xFF, first.kind[1], third, 0, 0, 0)), 0) for third in range(256))
    return tuple(header.num_bytes if header and header.kind == first.kind else 0 for header in headers)


def _run(data: bytes, at: int, most: int, first: MpegHeader, sizes: tuple[int, ...]) -> tuple[int, int]:
    """Frames of this kind that begin before `most`, one behind the other, and the offset behind them."""
    second, num = first.kind[1], 0
    while at < most and data[at] == 0xFF and data[at + 1] & 0xFE == second and (size := sizes[data[at + 2]]):
        num, at = num + 1, at + size
    return num, at


def _length(data: bytes, at: int, first: MpegHeader, sizes: tuple[int, ...]) -> int:
    """Bytes of the frame at an offset, 0 if there is none of this kind."""
    if at + 3 > len(data) or data[at] != 0xFF or data[at + 1] & 0xFE != first.kind[1]:
        return 0
    return sizes[data[at + 2]]


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
