"""Tags as containers hold them: names and texts, of a bounded part of the file; nonsense gives nothing.

Formats: Vorbis comments (xiph.org v-comment; RFC 7845, 5.2; RFC 9639, 8.6), RIFF INFO, AIFF, CAF, ISO base
media and QuickTime (`ilst`, `udta`), ASF, Matroska (RFC 9559), APEv2, XMP (ISO 16684-1).
"""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterator

from sao_data.audio.containers import id3, lengths
from sao_data.audio.containers.guarded import Guarded
from sao_data.audio.containers.id3 import MOST_BYTES, Pair

_MOST_ITEMS = 2_000
_DEPTH = 6
_PARENTS = (b"moov", b"udta", b"meta", b"ilst", b"trak")
_ITEMS = (b"cprt", b"auth", b"perf", b"\xa9ART", b"\xa9cpy")
_ASF_DESCRIPTION = bytes.fromhex("3326b2758e66cf11a6d900aa0062ce6c")
_ASF_EXTENDED = bytes.fromhex("40a4d0d207e3d21197f000a0c95ea850")
_LEVELS = (lengths.SEGMENT, 0x1254C367, 0x7373, 0x67C8)  # Segment, Tags, Tag, SimpleTag
_NAME, _STRING = 0x45A3, 0x4487
_XMP = (b"<x:xmpmeta", b"<rdf:RDF")
_XMP_NAMES = "dc:rights|dc:creator|xmpRights:UsageTerms|xmpRights:WebStatement|cc:license"
_XMP_FIELD = re.compile(rf'<({_XMP_NAMES})\b([^<>]{{0,999}})>|\b({_XMP_NAMES})="([^"<>]{{0,999}})"')
_XMP_RESOURCE = re.compile(r'rdf:resource="([^"]*)"')
_MOST_FIELDS, _MOST_XMP = 64, 4_000  # of a packet; characters of a field
_MARKUP = re.compile(r"<[^>]*>")


def flac(file: Guarded) -> Iterator[Pair]:
    """The Vorbis comment among a FLAC file's metadata blocks."""
    at = 4
    for _ in range(128):
        head = file.read_at(at, 4)
        if len(head) < 4:
            return
        size = int.from_bytes(head[1:], "big")
        if head[0] & 0x7F == 4:
            yield from comments(file.read_at(at + 4, min(size, MOST_BYTES)))
        at += 4 + size
        if head[0] & 0x80:
            return


def ogg(file: Guarded) -> Iterator[Pair]:
    """The comments in the second packet of the first stream."""
    packet = _second_packet(file)
    for magic in (b"\x03vorbis", b"OpusTags"):
        if packet.startswith(magic):
            yield from comments(packet[len(magic) :])
    if packet[:1] in (b"\x04", b"\x84"):  # FLAC
        yield from comments(packet[4:])


def comments(data: bytes) -> Iterator[Pair]:
    """Vorbis comments: NAME=text."""
    at = 4 + int.from_bytes(data[:4], "little")
    count = int.from_bytes(data[at : at + 4], "little")
    at += 4
    for _ in range(min(count, _MOST_ITEMS)):
        if at + 4 > len(data):
            return
        size = int.from_bytes(data[at : at + 4], "little")
        name, _, text = data[at + 4 : at + 4 + size].partition(b"=")
        yield f"comment {_utf8(name[:64]).upper()}", _utf8(text)
        at += 4 + size


def riff(file: Guarded) -> Iterator[Pair]:
    """LIST INFO and ID3 chunks of WAV and RF64."""
    order = ">" if file.read_at(0, 4) == b"RIFX" else "<"
    for name, at, size in lengths.iff_chunks(file, order):
        yield from _riff_chunk(file, name, at, size)


def w64(file: Guarded) -> Iterator[Pair]:
    """The same in Wave64."""
    for name, at, size in lengths.w64_chunks(file):
        yield from _riff_chunk(file, name, at, size)


def aiff(file: Guarded) -> Iterator[Pair]:
    """Copyright, author and ID3 chunks."""
    for name, at, size in lengths.iff_chunks(file, ">"):
        if name in (b"(c) ", b"AUTH"):
            yield f"AIFF {name.decode().strip()}", id3.text_of(file.read_at(at, min(size, MOST_BYTES)))
        if name in (b"ID3 ", b"id3 "):
            yield from id3.version_2(file, at)


def caf(file: Guarded) -> Iterator[Pair]:
    """The information chunk: pairs of strings."""
    for name, at, size in lengths.caf_chunks(file):
        if name == b"info":
            parts = file.read_at(at + 4, max(0, min(size - 4, MOST_BYTES))).split(b"\0")[: 2 * _MOST_ITEMS]
            for key, text in zip(parts[::2], parts[1::2], strict=False):
                yield f"CAF {_utf8(key[:64])}", _utf8(text)


def mp4(file: Guarded, at: int = 0, end: int | None = None, depth: int = 0) -> Iterator[Pair]:
    """Items of `ilst`, and what 3GP and QuickTime put into `udta`."""
    end = file.size() if end is None else end
    for _ in range(_MOST_ITEMS):
        head = file.read_at(at, 16)
        size, name, start = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:
            size, start = int.from_bytes(head[8:16], "big"), 16
        if len(head) < 8 or at >= end or size < start:
            return
        if name in _PARENTS and depth < _DEPTH:
            # A version stands in front of what `meta` holds, but not in QuickTime.
            is_full = name == b"meta" and file.read_at(at + start + 4, 4) != b"hdlr"
            yield from mp4(file, at + start + 4 * is_full, min(end, at + size), depth + 1)
        elif name in _ITEMS or name == b"----":
            yield from _item(name, file.read_at(at + start, min(size - start, MOST_BYTES)))
        at += size


def asf(file: Guarded) -> Iterator[Pair]:
    """Content description, plain and extended."""
    for guid, data in lengths.asf_objects(file, MOST_BYTES):
        if guid == _ASF_DESCRIPTION:
            sizes = [int.from_bytes(data[n : n + 2], "little") for n in range(0, 10, 2)]
            at = 10 + sizes[0]
            for name, size in (("author", sizes[1]), ("copyright", sizes[2])):
                yield f"ASF {name}", _utf16(data[at : at + size])
                at += size
        if guid == _ASF_EXTENDED:
            yield from _asf_extended(data)


def matroska(file: Guarded, level: int = 0, at: int = 0, end: int | None = None) -> Iterator[Pair]:
    """Simple tags, four levels down."""
    found: dict[int, str] = {}
    for name, start, size in lengths.elements(file, at, end):
        if level < len(_LEVELS) and name == _LEVELS[level]:
            yield from matroska(file, level + 1, start, start + size)
        elif level == len(_LEVELS) and name in (_NAME, _STRING):
            found[name] = _utf8(file.read_at(start, min(size, MOST_BYTES)))
    if found:
        yield f"Matroska {found.get(_NAME, '')[:64].upper()}", found.get(_STRING, "")


def dsf(file: Guarded) -> Iterator[Pair]:
    """The ID3v2 tag to which the header points."""
    yield from id3.version_2(file, int.from_bytes(file.read_at(20, 8), "little"))


def ape(file: Guarded) -> Iterator[Pair]:
    """APEv2 at the end, before an ID3v1 tag, or in front."""
    for at in (file.size() - 32, file.size() - 160, 0):
        head = file.read_at(max(0, at), 32)
        if head[:8] == b"APETAGEX" and len(head) == 32:
            size = int.from_bytes(head[12:16], "little")
            start = 32 if at == 0 else max(0, at + 32 - size)
            yield from _ape_items(file.read_at(start, min(size, MOST_BYTES)))
            return


def xmp(file: Guarded) -> Iterator[Pair]:
    """An XMP packet in the first or last mebibyte, wherever the format keeps it."""
    for start in sorted({0, max(0, file.size() - MOST_BYTES)}):
        data = file.read_at(start, MOST_BYTES)
        found = [at for at in map(data.find, _XMP) if at >= 0]
        if found:
            packet = data[min(found) : min(found) + (MOST_BYTES >> 2)].decode("utf-8", "replace")
            for match in itertools.islice(_XMP_FIELD.finditer(packet), _MOST_FIELDS):
                text = _xmp_text(packet, match) if match[1] else match[4]
                yield f"XMP {match[1] or match[3]}", html.unescape(text)
            return


def _xmp_text(packet: str, match: re.Match[str]) -> str:
    """What an element refers to, or what stands in it without the markup."""
    resource = _XMP_RESOURCE.search(match[2])
    if resource or match[2].endswith("/"):
        return resource[1] if resource else ""
    end = packet.find(f"</{match[1]}>", match.end(), match.end() + _MOST_XMP)
    return _MARKUP.sub(" ", packet[match.end() : end]) if end >= 0 else ""


def _riff_chunk(file: Guarded, name: bytes, at: int, size: int) -> Iterator[Pair]:
    if name in (b"id3 ", b"ID3 "):
        yield from id3.version_2(file, at)
    if name.upper() != b"LIST" or file.read_at(at, 4) != b"INFO":
        return
    data = file.read_at(at + 4, max(0, min(size - 4, MOST_BYTES)))
    place = 0
    for _ in range(_MOST_ITEMS):
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        if place + 8 > len(data):
            return
        text = data[place + 8 : place + 8 + length].split(b"\0")[0]
        yield f"RIFF {_utf8(data[place : place + 4])}", id3.text_of(text)
        place += 8 + length + (length & 1)


def _item(name: bytes, data: bytes) -> Iterator[Pair]:
    """One item: `data` boxes in `ilst`, bare strings in `udta`."""
    label = "MP4 " + name.decode("latin-1")
    if name == b"----":
        key = re.search(rb"name\0{4}([^\0]{1,64}?)\0\0\0.data", data, re.DOTALL)
        label = "MP4 " + _utf8(key[1] if key else b"")
    found = data.find(b"data")
    if found >= 4:
        yield label, _utf8(data[found + 12 : found - 4 + int.from_bytes(data[found - 4 : found], "big")])
    elif name in (b"cprt", b"auth", b"perf"):  # 3GP: version, flags, language
        yield label, _utf16(data[6:]) if data[6:8] in (b"\xfe\xff", b"\xff\xfe") else _utf8(data[6:])
    else:  # QuickTime: length, language
        yield label, _utf8(data[4 : 4 + int.from_bytes(data[:2], "big")])


def _asf_extended(data: bytes) -> Iterator[Pair]:
    count, at = int.from_bytes(data[:2], "little"), 2
    for _ in range(min(count, _MOST_ITEMS)):
        size = int.from_bytes(data[at : at + 2], "little")
        name = _utf16(data[at + 2 : at + 2 + size])
        at += 2 + size
        kind, length = (int.from_bytes(data[at + n : at + n + 2], "little") for n in (0, 2))
        if kind == 0:
            yield f"ASF {name[:64]}", _utf16(data[at + 4 : at + 4 + length])
        at += 4 + length


def _ape_items(data: bytes) -> Iterator[Pair]:
    at = 0
    for _ in range(_MOST_ITEMS):
        size = int.from_bytes(data[at : at + 4], "little")
        end = data.find(b"\0", at + 8, at + 8 + 256)
        if end < 0:
            return
        yield f"APE {_utf8(data[at + 8 : end])}", _utf8(data[end + 1 : end + 1 + size])
        at = end + 1 + size


def _second_packet(file: Guarded) -> bytes:
    """The second packet of the first stream, as far as a mebibyte of pages holds it."""
    at, packets, serial = 0, [bytearray()], b""
    for _ in range(_MOST_ITEMS):
        head = file.read_at(at, 27)
        if head[:4] != b"OggS" or len(head) < 27:
            break
        table = file.read_at(at + 27, head[26])
        body = file.read_at(at + 27 + len(table), sum(table))
        at += 27 + len(table) + len(body)
        serial = serial or head[14:18]
        if head[14:18] != serial:
            continue
        place = 0
        for size in table:
            packets[-1] += body[place : place + size]
            place += size
            if size < 255:
                packets.append(bytearray())
            if len(packets) > 2 or len(packets[-1]) > MOST_BYTES:
                return bytes(packets[1]) if len(packets) > 1 else b""
    return b""


def _utf8(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _utf16(data: bytes) -> str:
    return data.decode("utf-16" if data[:2] in (b"\xfe\xff", b"\xff\xfe") else "utf-16-le", "replace")
