"""Ogg pages (RFC 3533): is a second stream chained behind the first, and are the checksums right?

Decoders drop a damaged page and stop at the end of the first stream silently: both are looked at here.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from sao_data.audio.containers.guarded import Guarded

_CAPTURE = re.compile(rb"OggS\x00[\x00-\x07]")
_HEADER = 27  # bytes before the segment table
_BEGINS = 2  # header type flag: first page of a stream
_ENDS = 4  # last page of a stream
_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """What the pages of a file tell."""

    num_pages: int
    num_damaged: int
    is_chained: bool  # a stream begins after data of another
    has_end: bool  # the last sound page is the last of its stream
    is_cut: bool  # it is not, and the file ends inside a further page


def scan(file: Guarded) -> Pages:
    """Walk all pages; junk between them is searched through."""
    num_pages = num_damaged = at = 0
    seen_data = is_chained = has_end = is_cut = False
    while (found := _next(file, at)) is not None:
        at, header = found
        table = file.read_at(at + _HEADER, header[26]) if len(header) == _HEADER else b""
        body = file.read_at(at + _HEADER + len(table), sum(table))
        num_pages += 1
        is_last = bool(header[5] & _ENDS)
        is_whole = len(header) == _HEADER and len(body) == sum(table)
        is_cut |= not is_whole and not has_end and not is_last
        has_end |= is_last
        if not is_whole or not _is_sound(header, table + body):
            num_damaged += 1
            at += 4
            continue
        has_end, is_cut = is_last, False
        begins = bool(header[5] & _BEGINS)
        is_chained |= begins and seen_data
        seen_data |= not begins
        at += _HEADER + len(table) + len(body)
    return Pages(
        num_pages=num_pages,
        num_damaged=num_damaged,
        is_chained=is_chained,
        has_end=has_end,
        is_cut=is_cut,
    )


def _next(file: Guarded, at: int) -> tuple[int, bytes] | None:
    """Offset and header of the next page, which mostly begins where the last one ended."""
    header = file.read_at(at, _HEADER)
    if _CAPTURE.match(header):
        return at, header
    return next(file.find(_CAPTURE, start=at, context=_HEADER), None)


def _is_sound(header: bytes, rest: bytes) -> bool:
    """Does the page's CRC-32 (most significant bit first, no inversion) match?

    zlib's goes the other way round and inverts, hence the reversed bits and the two exclusive ors.
    """
    page = header[:22] + bytes(4) + header[26:] + rest
    reflected = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{reflected:032b}"[::-1], 2) == int.from_bytes(header[22:26], "little")
