"""A window of a FLAC member, decoded from as few of its bytes as hold it.

libsndfile seeks by reading here and there and decoding what it finds; and the Python binding seeks once
more behind every read. Here the frame that holds a window's beginning is looked for by the frame headers
alone, which state their number (RFC 9639, 9.1.5) and are protected by a CRC-8; the decoder is given
STREAMINFO and the frames from there on, as one short file that it reads once. What it decodes is as
checked as ever: every frame ends in a CRC-16. It works where a stream is as our ingest writes it (16-bit
stereo, one block size); None says that it is not, or that a header misled: the whole member is then
decoded the usual way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import soundfile

from sao_data.audio import flac
from sao_data.loading.crop import Crop, Floats
from sao_data.loading.member_bytes import Joined, MemberBytes
from sao_data.records import NUM_CHANNELS, SAMPLE_RATE, SeekPoint

_STREAMINFO_END = 42  # bytes: "fLaC", a block header, 34 bytes
_HEADER = 16  # bytes of a frame header at most
_FIRST_READ = 512  # bytes: in ours the first frame begins at 86
_MOST_BYTES = 4 + 1  # of a frame, for each of its audio frames (16 bits, two channels)
_MAX_PROBES = 24  # mostly two or three; then the frames up to the window are decoded in vain
_MAX_METADATA = 1 << 20  # bytes before the first frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Where a stream's frames lie, and what a decoder has to know of it first."""

    head: bytes  # "fLaC" and STREAMINFO, said to be the last block of metadata
    first: SeekPoint  # a frame at or before what is looked for
    end: SeekPoint  # frames and bytes of the whole stream, or of a later point
    block: int  # audio frames in a FLAC frame
    pattern: re.Pattern[bytes]  # how its frame headers begin


def streaminfo(num_frames: int, block: int) -> bytes:
    """The beginning of a 16-bit stereo stream at 44.1 kHz; frame sizes and MD5 unknown (RFC 9639, 8.2)."""
    rate, depth = SAMPLE_RATE << 44, 15 << 36
    facts = rate | (NUM_CHANNELS - 1) << 41 | depth | num_frames
    sizes = block.to_bytes(2, "big") * 2 + bytes(6)
    return b"fLaC\x80\x00\x00\x22" + sizes + facts.to_bytes(8, "big") + bytes(16)


def whole_stretch(data: MemberBytes) -> Stretch | None:
    """All frames of a member that begins with its own metadata."""
    head = data.read_at(0, _FIRST_READ)
    num_frames = flac.total_frames(head)
    at = _audio_offset(data, head)
    if num_frames is None or at is None:
        return None
    first, end = SeekPoint(frame=0, byte=at), SeekPoint(frame=num_frames, byte=data.size)
    return stretch(data, first, end, num_frames, b"fLaC\x80" + head[5:_STREAMINFO_END])


def stretch(
    data: MemberBytes, first: SeekPoint, end: SeekPoint, num_frames: int, head: bytes = b""
) -> Stretch | None:
    """The frames between two known ones of a stream of `num_frames`; without its `head`, one is made."""
    start = data.read_at(first.byte, _HEADER)
    header = flac.parse_header(start, 0)
    if header is None or header.is_variable or header.number * header.num_frames != first.frame:
        return None
    own = streaminfo(num_frames, header.num_frames)
    head = head or own
    if head[8:12] != own[8:12] or head[18:26] != own[18:26]:  # block sizes; rate, channels, depth, length
        return None
    pattern = re.compile(
        re.escape(start[:3]) + b"[\x18\x88\x98\xa8]", re.DOTALL
    )  # 16 bits; how channels are coded
    return Stretch(head=head, first=first, end=end, block=header.num_frames, pattern=pattern)


def find(data: MemberBytes, given: Stretch, target: int) -> SeekPoint:
    """A frame before which `target` does not lie, nearly always the one that holds it; by interpolation."""
    low, high = given.first, given.end
    size = given.block * _MOST_BYTES + _HEADER  # a frame begins in any such stretch
    for probe in range(_MAX_PROBES):
        if target < low.frame + given.block or high.byte - low.byte <= _HEADER:
            break
        num_frames, num_bytes = high.frame - low.frame, high.byte - low.byte
        ahead = (target - low.frame - given.block * 9 // 8) * num_bytes // num_frames
        if probe > 3 and probe % 2:
            ahead = num_bytes // 2  # loud beside silent: what lies between is not even
        at = min(max(low.byte + 1, low.byte + ahead), high.byte - 1)
        found = _frames(data.read_at(at, min(size, high.byte - at) + _HEADER), given, low, high)
        before = [point for point in found if point[0] <= target]
        behind = [point for point in found if point[0] > target]
        if before:
            low = SeekPoint(frame=before[-1][0], byte=at + before[-1][1])
        if behind:
            high = SeekPoint(frame=behind[0][0], byte=at + behind[0][1])
        elif not before:
            high = SeekPoint(frame=high.frame, byte=at)  # no frame begins in between
    return low


def decode(data: MemberBytes, given: Stretch, crop: Crop, out_CT: Floats) -> bool:
    """Decode a window into `out_CT` (channels, frames); False where not all of it came."""
    point = find(data, given, crop.start)
    skipped = crop.start - point.frame
    with _Forward(Joined(given.head, data, point.byte), "r") as file:
        sound_TC = file.read(skipped + crop.num_frames, dtype="float32", always_2d=True)[skipped:]
    if sound_TC.shape != (crop.num_frames, NUM_CHANNELS):
        return False
    np.copyto(out_CT[:, : crop.num_frames], sound_TC.T)
    return True


def _frames(data: bytes, given: Stretch, low: SeekPoint, high: SeekPoint) -> list[tuple[int, int]]:
    """(first audio frame, offset) of the frame headers in some bytes that fit between two points."""
    found = []
    for match in given.pattern.finditer(data):
        header = flac.parse_header(data, match.start())
        if header and header.num_frames == given.block:
            frame = header.number * given.block
            if low.frame < frame < high.frame:
                found.append((frame, match.start()))
    return found


def _audio_offset(data: MemberBytes, head: bytes) -> int | None:
    """Offset of the first frame, behind the blocks of metadata."""
    at = 4
    while at < _MAX_METADATA:
        block = head[at : at + 4] if at + 4 <= len(head) else data.read_at(at, 4)
        if len(block) < 4:
            return None
        at += 4 + int.from_bytes(block[1:], "big")
        if block[0] & 0x80:
            return at
    return None


class _Forward(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read once, from its beginning: soundfile then does not seek behind each read."""

    def seekable(self) -> bool:
        return False
