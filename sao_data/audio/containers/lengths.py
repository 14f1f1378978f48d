"""Lengths that containers other than RIFF, AIFF, FLAC and MP3 declare, to be compared with what is there.

Formats: Wave64 and DSF 1.01 (Sony), AU (Sun), CAF 1.0 (Apple), Matroska (RFC 9559), ASF 1.20.03 (Microsoft),
ISO base media (14496-12). Writers that cannot go back leave 0 or all ones for what they do not know.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from sao_data.audio.containers.guarded import Guarded

_MOST_CHUNKS = 1_000
_UNKNOWN_32 = 0x7FFF_0000  # sizes from here on are what streaming writers put in: unknown
_UNKNOWN_64 = 1 << 62
# What stands behind the four letters of a Wave64 chunk's name: of "list", and of all others.
_GUIDS = (bytes.fromhex("2f91cf11a5d628db04c10000"), bytes.fromhex("f3acd3118cd100c04f8edb8a"))
_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_STREAM_PROPERTIES = bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365")
_BROADCAST = 1  # flag of ASF: sizes and lengths are not known
SEGMENT, _INFO, _TRACKS, _TRACK, _CLUSTER = 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0x1F43B675
_SCALE, _DURATION = 0x2AD7B1, 0x4489


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """What a header says of the length of its audio."""

    share_present: float = 1.0  # of the declared bytes, those that the file has
    num_frames: int | None = None
    num_seconds: float | None = None  # where the container's clock is not the audio's


def share(declared: int, at: int, file: Guarded, unknown: int = _UNKNOWN_64) -> float:
    """Share of the declared bytes from an offset on that the file has; 1 where it declares none."""
    if not 0 < declared < unknown:
        return 1.0
    return min(1.0, max(0, file.size() - at) / declared)


def iff_chunks(file: Guarded, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, data offset and declared size of each RIFF ("<") or IFF (">") chunk."""
    at, size = 12, file.size()
    for _ in range(_MOST_CHUNKS):
        head = file.read_at(at, 8)
        if len(head) < 8:
            return
        name, length = struct.unpack(f"{order}4sI", head)
        yield name, at + 8, length
        at += 8 + length + (length & 1)
        if at >= size:
            return


def w64_chunks(file: Guarded) -> Iterator[tuple[bytes, int, int]]:
    """Name, data offset and size of each chunk of a Wave64 file."""
    at = 40
    for _ in range(_MOST_CHUNKS):
        head = file.read_at(at, 24)
        if len(head) < 24 or head[4:16] not in _GUIDS:
            return
        size = int.from_bytes(head[16:], "little")  # counts these 24 bytes
        yield head[:4], at + 24, max(0, size - 24)
        at += max(24, size) + 7 & ~7


def caf_chunks(file: Guarded) -> Iterator[tuple[bytes, int, int]]:
    """Name, data offset and size of each chunk of a CAF file; -1: to its end."""
    at = 8
    for _ in range(_MOST_CHUNKS):
        head = file.read_at(at, 12)
        if len(head) < 12:
            return
        name, size = struct.unpack(">4sq", head)
        yield name, at + 12, size
        if size < 0:
            return
        at += 12 + size


def of_w64(file: Guarded) -> Length:
    """The size of the data chunk."""
    found = next(((at, size) for name, at, size in w64_chunks(file) if name == b"data"), None)
    return Length(share_present=share(found[1], found[0], file)) if found else Length()


def of_au(file: Guarded) -> Length:
    """The size beside the magic number."""
    head = file.read_at(0, 12)
    if len(head) < 12:
        return Length()
    offset, size = struct.unpack(">II", head[4:])
    return Length(share_present=share(size, offset, file, _UNKNOWN_32))


def of_caf(file: Guarded) -> Length:
    """The size of the data, and the frames that a packet table says are valid."""
    present, num_frames = 1.0, None
    for name, at, size in caf_chunks(file):
        if name == b"data":
            present = share(size, at, file)
        if name == b"pakt" and len(head := file.read_at(at, 16)) == 16:
            num_frames = struct.unpack(">qq", head)[1]
    return Length(share_present=present, num_frames=num_frames if num_frames and num_frames > 0 else None)


def of_dsf(file: Guarded) -> Length:
    """The size of the whole file."""
    head = file.read_at(0, 20)
    return Length(share_present=share(int.from_bytes(head[12:], "little"), 0, file))


def of_mp4(file: Guarded) -> Length:
    """The size of the media data; how long it plays the demuxer says."""
    at = 0
    for _ in range(_MOST_CHUNKS):
        head = file.read_at(at, 16)
        if len(head) < 8:
            break
        size, name, start = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:
            size, start = int.from_bytes(head[8:], "big"), 16
        if size < start:  # 0: to the end of the file
            break
        if name == b"mdat" and at + size > file.size():
            return Length(share_present=share(size - start, at + start, file))
        at += size
    return Length()


def asf_objects(file: Guarded, most: int) -> Iterator[tuple[bytes, bytes]]:
    """GUID and data, at most so many bytes of it, of each object in the header of an ASF file."""
    at, end = 30, int.from_bytes(file.read_at(16, 8), "little")
    for _ in range(_MOST_CHUNKS):
        head = file.read_at(at, 24)
        size = int.from_bytes(head[16:], "little")
        if at >= end or len(head) < 24 or size < 24:
            return
        yield head[:16], file.read_at(at + 24, min(size - 24, most))
        at += size


def of_asf(file: Guarded) -> Length:
    """The size of the file, and how long it plays unless another stream may play longer."""
    seconds, present, num_streams = 0.0, 1.0, 0
    for guid, data in asf_objects(file, 80):
        num_streams += guid == _STREAM_PROPERTIES
        if guid == _FILE_PROPERTIES and len(data) >= 68:
            declared, _, _, play, _, preroll, flags = struct.unpack_from("<6QI", data, 16)
            if not flags & _BROADCAST:
                present, seconds = share(declared, 0, file), play / 1e7 - preroll / 1e3
    return Length(share_present=present, num_seconds=seconds if num_streams == 1 and seconds > 0 else None)


def of_matroska(file: Guarded) -> Length:
    """The size of the segment, and its duration unless another track may last longer."""
    seconds, num_tracks, scale = 0.0, 0, 1_000_000
    segment = next(((at, size) for name, at, size in elements(file, 0) if name == SEGMENT), None)
    if segment is None:
        return Length()
    for parent, at, size in elements(file, segment[0]):
        if parent == _CLUSTER:
            break
        for name, place, length in elements(file, at, at + size):
            data = file.read_at(place, min(length, 8))
            num_tracks += (parent, name) == (_TRACKS, _TRACK)
            if (parent, name) == (_INFO, _SCALE):
                scale = int.from_bytes(data, "big")
            if (parent, name) == (_INFO, _DURATION) and len(data) in (4, 8):
                (seconds,) = struct.unpack(">f" if len(data) == 4 else ">d", data)
    alone = seconds * scale / 1e9 if seconds > 0 and num_tracks == 1 else None
    return Length(share_present=share(segment[1], segment[0], file), num_seconds=alone)


def elements(file: Guarded, at: int, end: int | None = None) -> Iterator[tuple[int, int, int]]:
    """Id, data offset and size of each EBML element (RFC 8794) from an offset to an end; one without a stated
    size is the last."""
    for _ in range(_MOST_CHUNKS):
        head = file.read_at(at, 12)
        if end is not None and at >= end:
            return
        id_length, size_at = _length(head, 0), 0
        if not id_length or len(head) < id_length + 1:
            return
        size_at = id_length
        size_length = _length(head, size_at)
        if not size_length or len(head) < size_at + size_length:
            return
        size = int.from_bytes(head[size_at : size_at + size_length], "big") & (1 << 7 * size_length) - 1
        unknown = size == (1 << 7 * size_length) - 1
        data = at + size_at + size_length
        yield int.from_bytes(head[:id_length], "big"), data, _UNKNOWN_64 if unknown else size
        if unknown:
            return
        at = data + size


def _length(head: bytes, at: int) -> int:
    """Bytes of the number that begins here: the leading zeros of its first byte, and one; 0 if none does."""
    return 9 - head[at].bit_length() if at < len(head) and head[at] else 0
