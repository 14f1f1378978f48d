"""ID3v2.2 to 2.4 and ID3v1: the few frames that speak of rights, whatever the rest of a tag is.

A tag may be unsynchronised, compressed, cut or nonsense: what cannot be read is passed over, never raised.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from sao_data.audio.containers.guarded import Guarded

Pair = tuple[str, str]  # the tag's name, what it says

MOST_BYTES = 1 << 20  # of a tag that are looked at; pictures come last as a rule
_MOST_FRAMES = 2_000
_MOST_INFLATED = 1 << 16  # bytes of one compressed frame
_OLD = {b"TCR": b"TCOP", b"TP1": b"TPE1", b"WCP": b"WCOP", b"TXX": b"TXXX"}  # names of version 2.2
_ENCODINGS = {0: "latin-1", 1: "utf-16", 2: "utf-16-be", 3: "utf-8"}


def version_2(file: Guarded, at: int) -> Iterator[Pair]:
    """Names and texts of the frames about rights in the tag at an offset, nothing if there is none."""
    head = file.read_at(at, 10)
    if head[:3] != b"ID3" or len(head) < 10 or head[3] not in (2, 3, 4):
        return
    version, flags = head[3], head[5]
    data = file.read_at(at + 10, min(_syncsafe(head[6:10]), MOST_BYTES))
    if flags & 0x80 and version < 4:
        data = data.replace(b"\xff\0", b"\xff")
    start = _extended(data, version) if flags & 0x40 and version > 2 else 0
    for name, body in _frames(data, start, version, bool(flags & 0x80)):
        yield from _said(_OLD.get(name, name), body)


def version_1(file: Guarded) -> Iterator[Pair]:
    """The artist in the last 128 bytes, cut at thirty characters as the format does."""
    tail = file.read_at(max(0, file.size() - 128), 128)
    if len(tail) == 128 and tail[:3] == b"TAG":
        yield "ID3v1 artist", text_of(tail[33:63].split(b"\0")[0])


def _extended(data: bytes, version: int) -> int:
    """Bytes of the extended header."""
    return 4 + int.from_bytes(data[:4], "big") if version == 3 else _syncsafe(data[:4])


def _frames(data: bytes, at: int, version: int, unsynchronised: bool) -> Iterator[tuple[bytes, bytes]]:
    width, header = (3, 6) if version == 2 else (4, 10)
    for _ in range(_MOST_FRAMES):
        name = data[at : at + width]
        if len(data) < at + header or not name.isalnum():
            return
        size = int.from_bytes(data[at + width : at + 2 * width], "big")
        if version == 4 and not _ends_well(data, at + header + size):  # else as iTunes wrote them
            size = _syncsafe(data[at + width : at + 2 * width])
        flags = int.from_bytes(data[at + 8 : at + 10], "big") if version > 2 else 0
        body = data[at + header : at + header + size]
        if name in _OLD or name in (b"TCOP", b"TPE1", b"WCOP", b"TXXX"):
            yield name, _plain(body, flags, version, unsynchronised)
        at += header + size


def _ends_well(data: bytes, end: int) -> bool:
    return end == len(data) or (end < len(data) and (data[end : end + 4].isalnum() or data[end] == 0))


def _plain(body: bytes, flags: int, version: int, unsynchronised: bool) -> bytes:
    """A frame's body without what its flags wrap it in; b'' if it is encrypted or does not inflate."""
    if version == 3:
        is_zip, is_secret, skip = flags & 0x80, flags & 0x40, (4 if flags & 0x80 else 0) + bool(flags & 0x20)
    else:
        is_zip, is_secret = flags & 0x08, flags & 0x04
        skip = bool(flags & 0x40) + (4 if flags & 0x01 else 0)
    if is_secret:
        return b""
    if version == 4 and (flags & 0x02 or unsynchronised):
        body = body.replace(b"\xff\0", b"\xff")
    body = body[skip:]
    if not is_zip:
        return body
    try:
        return zlib.decompressobj().decompress(body, _MOST_INFLATED)
    except zlib.error:
        return b""


def _said(name: bytes, body: bytes) -> Iterator[Pair]:
    label = f"ID3 {name.decode('latin-1')}"
    if name == b"WCOP":
        yield label, text_of(body.split(b"\0")[0])
        return
    texts = _strings(body)
    if name == b"TXXX":
        if len(texts) > 1:
            yield f"{label} {texts[0]}", texts[1]
        return
    for text in texts:
        yield label, text


def _strings(body: bytes) -> list[str]:
    """The strings of a text frame: its first byte names their encoding, zeros part them."""
    encoding = _ENCODINGS.get(body[0] if body else 9)
    if encoding is None:
        return []
    return text_of(body[1:], encoding).split("\0")


def text_of(data: bytes, encoding: str = "latin-1") -> str:
    """Text; what is called Latin-1 is UTF-8 where it can be: many writers never ask."""
    if encoding == "latin-1":
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data.decode("latin-1")
    return data.decode(encoding, "replace").replace("\ufeff", "")


def _syncsafe(data: bytes) -> int:
    number = 0
    for byte in data:
        number = number << 7 | byte & 0x7F
    return number
