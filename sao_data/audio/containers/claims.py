"""What headers claim, to be compared with what came: a decoder that stops early does not always say so.

Formats: RIFF/RF64 (EBU Tech 3306), AIFF-C (Apple 1991), FLAC STREAMINFO, and the Xing, Info and VBRI
headers as LAME and Fraunhofer write them. An estimate from a bitrate is no claim.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace

from sao_data.audio import flac
from sao_data.audio.containers import lengths, mpeg, oggpages
from sao_data.audio.containers.around import after_tags
from sao_data.audio.containers.guarded import Guarded
from sao_data.audio.containers.lengths import iff_chunks, share
from sao_data.audio.rejected import AudioRejected

_MPEG_DELAY = 2_304  # frames that decoders trim from what a Xing header counts: encoder delay and padding
_UNKNOWN_SIZE = 0x7FFF_0000  # chunk sizes from here on are what streaming writers put in: unknown
_UNKNOWN_COUNT = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What the header states exactly, to be compared with what was decoded."""

    num_frames: int | None = None  # None: not stated
    num_seconds: float | None = None  # by the container's own clock, which may count a codec's delay
    share_present: float = 1.0  # of the declared data bytes, those the file has
    is_chained: bool = False  # a second stream follows the first, at whose end soundfile stops
    frames_present: int = 0  # in the bytes, counted without decoding; 0: not counted
    is_cut: bool = False  # it ends in the middle, and nothing says how much is missing
    has_no_end: bool = False  # it ends where a stream may be cut or a recorder was stopped
    num_pages: int = 0  # of an Ogg file
    num_damaged: int = 0  # pages whose checksum is wrong


def claims_of(file: Guarded, container: str) -> Claims:
    """Read what the header states exactly; AudioRejected where it states a rate or channel count of zero."""
    if container == "wav":
        return _riff_claims(file)
    if container == "aiff":
        return _aiff_claims(file)
    if container == "flac":
        return Claims(num_frames=flac.total_frames(file.read_at(0, 64)))
    if container == "mp3":
        return _mpeg_claims(file)
    if container == "ogg":
        return _ogg_claims(file)
    if container in _LENGTHS:
        length = _LENGTHS[container](file)
        return Claims(
            num_frames=length.num_frames, num_seconds=length.num_seconds, share_present=length.share_present
        )
    return Claims()


def _ogg_claims(file: Guarded) -> Claims:
    pages = oggpages.scan(file)
    return Claims(
        is_chained=pages.is_chained,
        is_cut=pages.is_cut and not pages.has_end,
        has_no_end=not pages.has_end,
        num_pages=pages.num_pages,
        num_damaged=pages.num_damaged,
    )


def _mpeg_claims(file: Guarded) -> Claims:
    """What a Xing header claims, what the bytes hold, and whether a second such header says that files were
    joined."""
    claims = _xing_claims(file)
    patterns = (re.compile(name + rb"\x00\x00\x00[\x01-\x0f]") for name in (b"Xing", b"Info"))
    is_chained = sum(1 for pattern in patterns for _ in file.find(pattern, context=8)) > 1
    return replace(claims, is_chained=is_chained, frames_present=mpeg.count_frames(file))


def _riff_claims(file: Guarded) -> Claims:
    order = ">" if file.read_at(0, 4) == b"RIFX" else "<"
    long_length = 0  # RF64 and BW64 state in a chunk of its own what 32 bits cannot
    for name, at, length in iff_chunks(file, order):
        if name == b"fmt ":
            head = file.read_at(at, 8)
            if len(head) == 8:
                _, channels, rate = struct.unpack(f"{order}HHI", head)
                _check_format(rate, channels)
        if name == b"ds64":
            (long_length,) = struct.unpack("<Q", file.read_at(at + 8, 8).ljust(8, b"\0"))
        if name == b"data" and length == _UNKNOWN_COUNT and long_length:
            return Claims(share_present=share(long_length, at, file))
        if name == b"data":
            return Claims(share_present=share(length, at, file, _UNKNOWN_SIZE))
    return Claims()


def _aiff_claims(file: Guarded) -> Claims:
    for name, at, length in iff_chunks(file, ">"):
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
            return Claims(share_present=share(length, at, file, _UNKNOWN_SIZE))
    return Claims()


def _check_format(rate: int, channels: int) -> None:
    if not rate:
        raise AudioRejected("bad_rate", "the header states no usable sample rate")
    if not channels:
        raise AudioRejected("bad_channels", "the header states 0 channels")


def _xing_claims(file: Guarded) -> Claims:
    """Frames stated by a Xing, Info or VBRI header in the first MPEG frame."""
    start = after_tags(file)
    head = file.read_at(start, 2_048)
    at = next((i for i in range(len(head)) if head[i] == 0xFF and mpeg.parse_header(head, i)), None)
    header = mpeg.parse_header(head, at) if at is not None else None
    if at is None or header is None:
        return Claims()
    tag = re.compile(rb"(Xing|Info)\x00\x00\x00[\x01-\x0f]").search(head, at, at + 64)
    if tag and head[tag.start() + 7] & 1:
        (count,) = struct.unpack_from(">I", head.ljust(tag.start() + 12, b"\0"), tag.start() + 8)
        return _counted(count, header.num_frames)
    if head[at + 36 : at + 40] == b"VBRI" and len(head) >= at + 54:
        (count,) = struct.unpack_from(">I", head, at + 50)
        return _counted(count, header.num_frames)
    return Claims()


def _counted(count: int, num_frames: int) -> Claims:
    known = 0 < count < _UNKNOWN_COUNT
    return Claims(num_frames=max(1, count * num_frames - _MPEG_DELAY) if known else None)


_LENGTHS = {
    "w64": lengths.of_w64, "au": lengths.of_au, "caf": lengths.of_caf, "dsf": lengths.of_dsf,
    "mp4": lengths.of_mp4, "asf": lengths.of_asf, "matroska": lengths.of_matroska,
}  # fmt: skip
