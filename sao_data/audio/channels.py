"""Which channels are left and right, by container, codec and what the file says of its layout.

| file                                   | order of more than two channels                                 |
| -------------------------------------- | --------------------------------------------------------------- |
| WAV, RF64, Wave64                      | bits of the channel mask from the lowest: L R C …; none: L R …  |
| AIFF, CAF                              | `CHAN`/`chan` says (Core Audio); without one L R …              |
| ALAC in CAF                            | as the codec has it: C L R …                                    |
| FLAC (RFC 9639, 9.1.3), AU, MP3        | L R C …                                                         |
| Vorbis I (4.3.9), Opus (RFC 7845, 5.1.1.2) | L C R … for 3, 5 and more; other mapping families as they are |
| whatever FFmpeg decodes                | it puts them into its own order: L R C …, and names them        |
"""

from __future__ import annotations

import struct

from sao_data.audio.containers.guarded import Guarded
from sao_data.audio.containers.lengths import caf_chunks, iff_chunks

Front = tuple[int, int]  # places of the left and the right channel

PLAIN: Front = (0, 1)
_CENTRE_SECOND: Front = (0, 2)
_CENTRE_FIRST: Front = (1, 2)

# Layout tags of Core Audio (CoreAudioBaseTypes.h), their upper 16 bits; all others begin with left and right.
_BY_TAG: dict[int, Front] = (
    {tag: _CENTRE_FIRST for tag in (114, 116, 120, 124, 141, 142, 143, 144)}  # MPEG B and D, AAC
    | {tag: _CENTRE_SECOND for tag in (119, 123, 150, 151, 152, 154, *range(155, 166))}  # MPEG C, AC-3
    | {127: (3, 4)}  # MPEG 7.1 B: C Lc Rc L R …
)
_USE_DESCRIPTIONS, _LEFT, _RIGHT = 0, 1, 2
_DESCRIPTION = 20  # bytes


def by_name(names: tuple[str, ...]) -> Front:
    """Places of FFmpeg's front left and right; the first two where a layout has no such names."""
    return (names.index("FL"), names.index("FR")) if {"FL", "FR"} <= set(names) else PLAIN


def by_file(file: Guarded, container: str, codec: str, num_channels: int) -> Front:
    """Places of left and right in what libsndfile gives, which leaves channels as they are stored."""
    front = PLAIN
    if container in ("caf", "aiff"):
        front = _described(file, container, codec, num_channels)
    elif codec == "vorbis" or (codec == "opus" and _opus_family(file) == 1):
        front = _CENTRE_SECOND if num_channels in (3, 5, 6, 7, 8) else PLAIN
    return front if max(front) < num_channels else PLAIN


def _opus_family(file: Guarded) -> int:
    """Channel mapping family of an Ogg Opus file: 0 mono and stereo, 1 surround, others have no left."""
    head = file.read_at(0, 512)
    at = head.find(b"OpusHead")
    return head[at + 18] if 0 <= at < len(head) - 18 else 0


def _described(file: Guarded, container: str, codec: str, num_channels: int) -> Front:
    chunks = caf_chunks(file) if container == "caf" else iff_chunks(file, ">")
    found = next(((at, size) for name, at, size in chunks if name.lower() == b"chan" and size >= 12), None)
    if found is None:
        is_alac = codec.startswith("alac") and num_channels > 2
        return ((3, 4) if num_channels == 8 else _CENTRE_FIRST) if is_alac else PLAIN
    tag, _, count = struct.unpack(">III", file.read_at(found[0], 12).ljust(12, b"\0"))
    if tag != _USE_DESCRIPTIONS:
        return _BY_TAG.get(tag >> 16, PLAIN)
    data = file.read_at(found[0] + 12, min(count, num_channels) * _DESCRIPTION)
    labels = [
        int.from_bytes(data[at : at + 4], "big")
        for at in range(0, len(data) - _DESCRIPTION + 1, _DESCRIPTION)
    ]
    return (labels.index(_LEFT), labels.index(_RIGHT)) if {_LEFT, _RIGHT} <= set(labels) else PLAIN
