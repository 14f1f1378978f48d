"""What headers claim, to be compared with what came: a decoder that stops early does not always say so.

Formats: RIFF/RF64 (EBU Tech 3306), AIFF-C (Apple 1991), FLAC STREAMINFO, and the Xing, Info and VBRI
headers as LAME and Fraunhofer write them. An estimate from a bitrate is no claim.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sao_data.audio import flac, mpeg, oggpages
from sao_data.audio.guarded import Guarded
from sao_data.audio.rejected import AudioRejected

_MPEG_DELAY = 2_304  # frames that decoders trim from what a Xing header counts: encoder delay and padding
_UNKNOWN_SIZE = 0x7FFF_0000  # chunk sizes from here on are what streaming writers put in: unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What the header states exactly, to be compared with what was decoded."""

    num_frames: int | None = None  # None: not stated
    share_present: float = 1.0  # of the declared data bytes, those the file has
    is_chained: bool = False  # a second stream follows the first, at whose end soundfile stops
    num_pages: int = 0  # of an Ogg file
    num_damaged: int = 0  # pages whose checksum is wrong


def claims_of(file: Guarded, container: str) -> Claims:
    """Read what the header states exactly; AudioRejected where it states a rate or channel count of zero."""
    if container == "wav":
        return _riff_claims(file)
    if container == "aiff":
        return _aiff_claims(file)
    if container == "flac":
        return Claims(num_frames=flac.total_frames(file.read_at(mpeg.after_id3(file, file.size()), 64)))
    if container == "mp3":
        return _joined_claims(file)
    if container == "ogg":
        pages = oggpages.scan(file)
        return Claims(is_chained=pages.is_chained, num_pages=pages.num_pages, num_damaged=pages.num_damaged)
    return Claims()


def _joined_claims(file: Guarded) -> Claims:
    """Xing claims, and whether a second such header says that files were joined."""
    claims = _xing_claims(file)
    tags = file.find(re.compile(rb"(Xing|Info)\x00\x00\x00[\x01-\x0f]"), context=8)
    return replace(claims, is_chained=sum(1 for _ in tags) > 1)


def _chunks(file: Guarded, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, data offset and declared size of each RIFF or IFF chunk."""
    at, size = 12, file.size()
    for _ in range(1_000):
        head = file.read_at(at, 8)
        if len(head) < 8:
            return
        name, length = struct.unpack(f"{order}4sI", head)
        yield name, at + 8, length
        at += 8 + length + (length & 1)
        if at >= size:
            return


def _riff_claims(file: Guarded) -> Claims:
    order = ">" if file.read_at(0, 4) == b"RIFX" else "<"
    for name, at, length in _chunks(file, order):
        if name == b"fmt ":
            head = file.read_at(at, 8)
            if len(head) == 8:
                _, channels, rate = struct.unpack(f"{order}HHI", head)
                _check_format(rate, channels)
        if name == b"data":
            return Claims(share_present=_share(length, at, file))
    return Claims()


def _aiff_claims(file: Guarded) -> Claims:
    for name, at, length in _chunks(file, ">"):
        if name == b"COMM":
            head = file.read_at(at, 18)
            if len(head) == 18:
                (channels,), (exponent, mantissa) = (
                    struct.unpack(">H", head[:2]),
                    struct.unpack(">HQ", head[8:]),
                )
                # 80-bit extended: 1.0 Hz has exponent 0x3FFF, 2^31 Hz 0x401E.
                _check_format(int(0x3FFF <= exponent <= 0x401E and mantissa > 0), channels)
        if name == b"SSND":
            return Claims(share_present=_share(length, at, file))
    return Claims()


def _check_format(rate: int, channels: int) -> None:
    if not rate:
        raise AudioRejected("bad_rate", "the header states no usable sample rate")
    if not channels:
        raise AudioRejected("bad_channels", "the header states 0 channels")


def _share(length: int, at: int, file: Guarded) -> float:
    if not 0 < length < _UNKNOWN_SIZE:
        return 1.0
    return min(1.0, max(0, file.size() - at) / length)


def _xing_claims(file: Guarded) -> Claims:
    """Frames stated by a Xing, Info or VBRI header in the first MPEG frame."""
    start = mpeg.after_id3(file, file.size())
    head = file.read_at(start, 2_048)
    at = next((i for i in range(len(head)) if head[i] == 0xFF and mpeg.parse_header(head, i)), None)
    header = mpeg.parse_header(head, at) if at is not None else None
    if at is None or header is None:
        return Claims()
    tag = re.compile(rb"(Xing|Info)\x00\x00\x00[\x01-\x0f]").search(head, at, at + 64)
    if tag and head[tag.start() + 7] & 1:
        (count,) = struct.unpack_from(">I", head.ljust(tag.start() + 12, b"\0"), tag.start() + 8)
        return Claims(num_frames=max(0, count * header.num_frames - _MPEG_DELAY) or None)
    if head[at + 36 : at + 40] == b"VBRI" and len(head) >= at + 54:
        (count,) = struct.unpack_from(">I", head, at + 50)
        return Claims(num_frames=max(0, count * header.num_frames - _MPEG_DELAY) or None)
    return Claims()
