"""What a file is, by its content and never by its name: an allow-list of audio containers, and what headers
claim.

Formats: RIFF/RF64 (EBU Tech 3306), AIFF-C (Apple 1991), MPEG audio (ISO 11172-3), ADTS (ISO 13818-7),
ID3v2.4, ISO base media (14496-12), Matroska, ASF, Xing/VBRI headers as LAME and Fraunhofer write them.
"""

from __future__ import annotations

import re

from sao_data.audio import flac
from sao_data.audio.containers import mpeg
from sao_data.audio.containers.around import after_tags
from sao_data.audio.containers.guarded import Guarded
from sao_data.audio.rejected import AudioRejected

# Container -> FFmpeg's demuxer; a container not listed here is never decoded.
DEMUXERS = {
    "wav": "wav", "w64": "w64", "aiff": "aiff", "flac": "flac", "ogg": "ogg", "mp3": "mp3", "au": "au",
    "caf": "caf", "aac": "aac", "mp4": "mov", "matroska": "matroska", "asf": "asf", "ape": "ape",
    "tta": "tta", "wavpack": "wv", "musepack": "mpc",
    "musepack8": "mpc8", "ac3": "ac3", "amr": "amr", "dsf": "dsf",
}  # fmt: skip
SOUNDFILE = frozenset({"wav", "w64", "aiff", "flac", "ogg", "mp3", "au", "caf"})
EXACT_DURATION = frozenset(
    {"mp4", "ape", "tta", "wavpack", "musepack", "musepack8"}
)  # others state or guess less

_MAGIC = (
    (b"fLaC", "flac"), (b"OggS", "ogg"), (b"\x1aE\xdf\xa3", "matroska"), (b".snd", "au"), (b"caff", "caf"),
    (b"riff\x2e\x91\xcf\x11", "w64"), (b"0&\xb2u\x8ef\xcf\x11", "asf"), (b"MAC ", "ape"), (b"TTA1", "tta"),
    (b"wvpk", "wavpack"), (b"MP+", "musepack"), (b"MPCK", "musepack8"), (b"\x0bw", "ac3"), (b"#!AMR", "amr"),
    (b"DSD ", "dsf"),
)  # fmt: skip
_NO_DECODER = ((b"OFR ", "OptimFROG"), (b"ADIF", "AAC in ADIF"), (b"FRM8", "DSDIFF"))
# Things that hold runs of MPEG frames without being audio files.
_FOREIGN = (
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"GIF8",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"%PDF",
    b"MThd",
    b"#EXT",
    b"<",
    b"RIFF",
)
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"moof", b"styp")
_HEAD = 1 << 16  # bytes searched for the first MPEG frame: junk before it is rarely longer
_ASF_ENCRYPTED = bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e")  # Content Encryption Object


def container_of(file: Guarded, max_bytes: int) -> str:
    """Name the container (a key of DEMUXERS); AudioRejected if it is none, encrypted or too large."""
    size = file.size()
    if size > max_bytes:
        raise AudioRejected("too_large", f"{size} bytes; allowed are {max_bytes}")
    if size < 12:
        raise AudioRejected("empty", f"{size} bytes, shorter than any audio header")
    start = after_tags(file)
    head = file.read_at(start, _HEAD)
    container = _by_magic(head) or ("mp3" if start else "") or mpeg.kind_of(head, size)
    if start and container == "mp3":
        container = mpeg.kind_of(head, size, need=2) or "mp3"
    if not container:
        raise AudioRejected("not_audio", f"begins with {head[:12].hex(' ')}")
    _check_encryption(file, container)
    return container


def _by_magic(head: bytes) -> str:
    """Container by its first bytes, '' if they are not one's own; AudioRejected for known others."""
    for magic, name in _NO_DECODER:
        if head.startswith(magic):
            raise AudioRejected("unsupported_codec", f"{name} has no decoder here")
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[4:8] in _MP4_BOXES:
        return "mp4"
    if head.startswith(_FOREIGN) or head[257:262] == b"ustar":
        raise AudioRejected("not_audio", f"begins with {head[:12].hex(' ')}")
    if flac.parse_header(head, 0):
        return "flac"
    return next((container for magic, container in _MAGIC if head.startswith(magic)), "")


def _check_encryption(file: Guarded, container: str) -> None:
    if container == "mp4":  # sample entries `enca` (common encryption) and `drms` (FairPlay)
        for _, found in file.find(re.compile(rb"(enca|drms)\x00{6}"), context=4):
            raise AudioRejected("encrypted", f"sample entry {found.decode('latin-1')!r}")
    if container == "asf" and _ASF_ENCRYPTED in file.read_at(0, _HEAD):
        raise AudioRejected("encrypted", "Windows Media content encryption")
