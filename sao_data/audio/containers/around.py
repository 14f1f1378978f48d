"""What stands around a container: tags in front, which its own offsets leave out, tags and chunks behind."""

from __future__ import annotations

from sao_data.audio.containers.guarded import Guarded
from sao_data.audio.containers.lengths import w64_chunks

_MOST_TAGS = 16  # one behind the other
_FOOTER = 0x10  # ID3v2 flag: ten more bytes behind the frames (ID3v2.4, 3.4)
_PADDING = 1 << 16  # zero bytes that may follow a tag whose size does not count them


def after_tags(file: Guarded) -> int:
    """Offset of the first byte behind any tags; of one longer than the file its header alone is skipped."""
    return tag_offsets(file)[1]


def tag_offsets(file: Guarded) -> tuple[tuple[int, ...], int]:
    """Where each tag in front begins, and what `after_tags` gives."""
    offsets: list[int] = []
    at, size = 0, file.size()
    for _ in range(_MOST_TAGS):
        head = file.read_at(at, 32)
        length = _length(head)
        if not length:
            break
        offsets.append(at)
        shortest = 32 if head[:8] == b"APETAGEX" else 10
        at += length if at + length < size else shortest
    return tuple(offsets), at + _num_zeros(file.read_at(at, _PADDING)) if at else 0


def start_of(file: Guarded, container: str) -> int:
    """Where a decoder is to begin: behind the tags.

    One ID3v2 tag before MPEG frames is left to the decoder: all of them know that, and libsndfile estimates
    the length of an MP3 that states none from all its bytes.
    """
    end = after_tags(file)
    head = file.read_at(0, 32)
    is_common = container == "mp3" and head[:3] == b"ID3" and not head[5] & _FOOTER and _length(head) == end
    return 0 if is_common else end


def num_behind(file: Guarded, container: str) -> int:
    """Bytes at the end that a decoder would take for audio: chunks behind the data of Wave64, tags behind
    frames that do not say which is the last (WavPack, AC-3)."""
    size = file.size()
    if container == "w64":
        data = next(((at, length) for name, at, length in w64_chunks(file) if name == b"data"), None)
        return max(0, size - sum(data)) if data and data[1] else 0
    if container not in ("wavpack", "ac3"):
        return 0
    behind = 128 if file.read_at(size - 128, 3) == b"TAG" else 0
    footer = file.read_at(size - behind - 32, 32)
    if footer[:8] == b"APETAGEX":
        has_header = 32 if footer[23] & 0x80 else 0
        behind += int.from_bytes(footer[12:16], "little") + has_header
    return behind if behind < size else 0


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
