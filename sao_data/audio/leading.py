"""Tags in front of a container (ID3v2, APEv2), which its own offsets do not count."""

from __future__ import annotations

from sao_data.audio.guarded import Guarded

_MOST_TAGS = 16  # one behind the other
_FOOTER = 0x10  # ID3v2 flag: ten more bytes behind the frames (ID3v2.4, 3.4)
_PADDING = 1 << 16  # zero bytes that may follow a tag whose size does not count them


def after_tags(file: Guarded) -> int:
    """Offset of the first byte behind any tags; of one longer than the file its header alone is skipped."""
    at, size = 0, file.size()
    for _ in range(_MOST_TAGS):
        head = file.read_at(at, 32)
        length = _length(head)
        if not length:
            break
        shortest = 32 if head[:8] == b"APETAGEX" else 10
        at += length if at + length < size else shortest
    return at + _num_zeros(file.read_at(at, _PADDING)) if at else 0


def start_of(file: Guarded, container: str) -> int:
    """Where a decoder is to begin: behind the tags.

    One ID3v2 tag before MPEG frames is left to the decoder: all of them know that, and libsndfile estimates
    the length of an MP3 that states none from all its bytes.
    """
    end = after_tags(file)
    head = file.read_at(0, 32)
    is_common = container == "mp3" and head[:3] == b"ID3" and not head[5] & _FOOTER and _length(head) == end
    return 0 if is_common else end


def _length(head: bytes) -> int:
    """Bytes of the tag that begins here, its header included; 0 if none does."""
    if head[:3] == b"ID3" and len(head) >= 10:
        length = 0
        for byte in head[6:10]:  # seven bits a byte
            length = length << 7 | byte & 0x7F
        return 10 + length + (10 if head[5] & _FOOTER else 0)
    if head[:8] == b"APETAGEX" and len(head) == 32:
        return 32 + int.from_bytes(head[12:16], "little")  # the size leaves out the header (APEv2)
    return 0


def _num_zeros(head: bytes) -> int:
    """Padding in front of a container; MP4 itself begins with zeros, the high bytes of a box's size."""
    num = len(head) - len(head.lstrip(b"\0"))
    return max(0, num - 3) if head[num + 1 : num + 5] in (b"ftyp", b"moov", b"mdat") else num
