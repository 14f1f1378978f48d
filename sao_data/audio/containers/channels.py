"""What each channel of a file is, by container, codec and what the file says of its layout: FFmpeg's names.

| file                                   | order of more than two channels                                 |
| -------------------------------------- | --------------------------------------------------------------- |
| WAV, RF64, Wave64                      | bits of the channel mask from the lowest; without one unknown   |
| AIFF, CAF                              | `CHAN`/`chan` says (Core Audio); without one unknown            |
| ALAC in CAF                            | as the codec has it: C L R …                                    |
| FLAC (RFC 9639, 9.1.3)                 | L R C LFE …                                                     |
| AU                                     | unknown                                                         |
| Vorbis I (4.3.9), Opus (RFC 7845, 5.1.1.2) | L C R … for 3, 5 and more                                   |
| Opus of family 2 (RFC 8486)            | ambisonics: W Y Z X …, by number (ACN), SN3D                    |
| whatever FFmpeg decodes                | it puts them into its own order: L R C …, and names them        |
"""

from __future__ import annotations

import math
import struct

from sao_data.audio.containers.guarded import Guarded
from sao_data.audio.containers.lengths import caf_chunks, iff_chunks, w64_chunks

Channels = tuple[str, ...]  # a name each: "FL", "FR", "FC", "LFE", … (libavutil/channel_layout.h)
UNKNOWN: Channels = ()
AMBISONIC = "AMBI"  # begins the names of ambisonic channels, by number: AMBI0 is W, AMBI1 is Y

_MASK = (
    "FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR", "TC", "TFL", "TFC", "TFR", "TBL",
    "TBC", "TBR",
)  # fmt: skip
_BY_NUMBER = {  # of FLAC
    3: "FL FR FC", 4: "FL FR BL BR", 5: "FL FR FC BL BR", 6: "FL FR FC LFE BL BR",
    7: "FL FR FC LFE BC SL SR", 8: "FL FR FC LFE BL BR SL SR",
}  # fmt: skip
_XIPH = {
    3: "FL FC FR", 4: "FL FR BL BR", 5: "FL FC FR BL BR", 6: "FL FC FR BL BR LFE",
    7: "FL FC FR SL SR BC LFE", 8: "FL FC FR SL SR BL BR LFE",
}  # fmt: skip
_ALAC = {
    3: "FC FL FR", 4: "FC FL FR BC", 5: "FC FL FR BL BR", 6: "FC FL FR BL BR LFE",
    7: "FC FL FR BL BR BC LFE", 8: "FC FLC FRC FL FR BL BR LFE",
}  # fmt: skip
# Layout tags of Core Audio (CoreAudioBaseTypes.h), their upper 16 bits.
_BY_TAG = {
    108: "FL FR BL BR", 113: "FL FR FC", 114: "FC FL FR", 115: "FL FR FC BC", 116: "FC FL FR BC",
    117: "FL FR FC BL BR", 118: "FL FR BL BR FC", 119: "FL FC FR BL BR", 120: "FC FL FR BL BR",
    121: "FL FR FC LFE BL BR", 122: "FL FR BL BR FC LFE", 123: "FL FC FR BL BR LFE",
    124: "FC FL FR BL BR LFE", 125: "FL FR FC LFE BL BR BC", 126: "FL FR FC LFE BL BR FLC FRC",
    127: "FC FLC FRC FL FR BL BR LFE", 128: "FL FR FC LFE SL SR BL BR", 141: "FC FL FR BL BR BC",
    142: "FC FL FR BL BR BC LFE", 143: "FC FL FR SL SR BL BR", 144: "FC FL FR SL SR BL BR BC",
}  # fmt: skip
# Tags of which only this much is used: after left and centre comes right.
_CENTRE_SECOND = frozenset({150, 151, 152, 154, *range(155, 166)})  # AC-3 and its kin
_USE_DESCRIPTIONS, _USE_MASK = 0, 1
_LABELS = {
    1: "FL", 2: "FR", 3: "FC", 4: "LFE", 5: "BL", 6: "BR", 7: "FLC", 8: "FRC", 9: "BC", 10: "SL", 11: "SR",
    33: "BL", 34: "BR",
}  # fmt: skip
_DESCRIPTION = 20  # bytes
_EXTENSIBLE = 0xFFFE
_SIDES_BEHIND = {33, 34}  # labels of rear surround, beside which 5 and 6 are the sides


def by_name(names: Channels) -> Channels:
    """FFmpeg's names, where they say left and right, or are ambisonics."""
    return names if {"FL", "FR"} <= set(names) or _is_ambisonic(names) else UNKNOWN


def by_file(file: Guarded, container: str, codec: str, num_channels: int) -> Channels:
    """Names of what libsndfile gives, which leaves channels as they are stored."""
    if num_channels < 3:
        return UNKNOWN
    names = _named(file, container, codec, num_channels)
    return names if len(names) == num_channels else UNKNOWN


def front(channels: Channels) -> tuple[int, int]:
    """Places of left and right; the first two of what is not known."""
    if {"FL", "FR"} <= set(channels):
        return channels.index("FL"), channels.index("FR")
    return 0, 1


def _is_ambisonic(names: Channels) -> bool:
    return len(names) > 1 and names[:2] == (f"{AMBISONIC}0", f"{AMBISONIC}1")


def _named(file: Guarded, container: str, codec: str, num_channels: int) -> Channels:
    if container in ("caf", "aiff"):
        return _described(file, container, codec, num_channels)
    if codec in ("vorbis", "opus"):
        family = _opus_family(file) if codec == "opus" else 1
        if family == 2 and math.isqrt(num_channels) ** 2 == num_channels:
            return tuple(f"{AMBISONIC}{n}" for n in range(num_channels))
        return _split(_XIPH.get(num_channels, "")) if family == 1 else UNKNOWN
    if codec == "flac":
        return _split(_BY_NUMBER.get(num_channels, ""))
    return _masked(file, container) if container in ("wav", "w64") else UNKNOWN


def _split(names: str) -> Channels:
    return tuple(names.split())


def _masked(file: Guarded, container: str) -> Channels:
    """What the channel mask of WAVEFORMATEXTENSIBLE names."""
    order = ">" if file.read_at(0, 4) == b"RIFX" else "<"
    chunks = w64_chunks(file) if container == "w64" else iff_chunks(file, order)
    place = next((at for name, at, size in chunks if name == b"fmt " and size >= 24), None)
    head = b"" if place is None else file.read_at(place, 24)
    if len(head) < 24 or struct.unpack(f"{order}H", head[:2])[0] != _EXTENSIBLE:
        return UNKNOWN
    return _of_mask(struct.unpack(f"{order}I", head[20:])[0])


def _of_mask(mask: int) -> Channels:
    named = mask < 1 << len(_MASK)
    return tuple(name for bit, name in enumerate(_MASK) if mask >> bit & 1) if named else UNKNOWN


def _opus_family(file: Guarded) -> int:
    """Channel mapping family of an Ogg Opus file: 0 mono and stereo, 1 surround, 2 ambisonics."""
    head = file.read_at(0, 512)
    at = head.find(b"OpusHead")
    return head[at + 18] if 0 <= at < len(head) - 18 else 0


def _described(file: Guarded, container: str, codec: str, num_channels: int) -> Channels:
    chunks = caf_chunks(file) if container == "caf" else iff_chunks(file, ">")
    found = next(((at, size) for name, at, size in chunks if name.lower() == b"chan" and size >= 12), None)
    if found is None:
        return _split(_ALAC.get(num_channels, "")) if codec.startswith("alac") else UNKNOWN
    tag, mask, count = struct.unpack(">III", file.read_at(found[0], 12).ljust(12, b"\0"))
    if tag >> 16 == _USE_MASK:
        return _of_mask(mask)
    if tag != _USE_DESCRIPTIONS:
        if tag >> 16 in _CENTRE_SECOND:
            return ("FL", "", "FR", *("",) * (num_channels - 3))
        return _split(_BY_TAG.get(tag >> 16, ""))
    data = file.read_at(found[0] + 12, min(count, num_channels) * _DESCRIPTION)
    labels = [
        int.from_bytes(data[at : at + 4], "big")
        for at in range(0, len(data) - _DESCRIPTION + 1, _DESCRIPTION)
    ]
    names = _LABELS | ({5: "SL", 6: "SR"} if _SIDES_BEHIND & set(labels) else {})
    return tuple(names.get(label, "") for label in labels)
