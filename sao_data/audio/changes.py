"""What was done to a recording, in sentences: CC BY asks that changes be indicated (4.0, section 3.a.1.B)."""

from __future__ import annotations

import math

from sao_data.audio.convert import Decoded
from sao_data.records import SAMPLE_RATE

_CONTAINERS = {
    "wav": "WAV", "w64": "Wave64", "aiff": "AIFF", "ogg": "Ogg", "au": "AU", "caf": "CAF", "aac": "ADTS",
    "mp4": "MP4", "matroska": "Matroska", "asf": "ASF", "ape": "Monkey's Audio", "tta": "True Audio",
    "wavpack": "WavPack", "musepack": "Musepack", "musepack8": "Musepack", "ac3": "AC-3", "amr": "AMR",
    "dsf": "DSF",
}  # fmt: skip
_CODECS = {
    "pcm_16": "16-bit PCM", "pcm_24": "24-bit PCM", "pcm_32": "32-bit PCM", "pcm_u8": "8-bit PCM",
    "pcm_s8": "8-bit PCM", "float": "32-bit float", "double": "64-bit float", "vorbis": "Vorbis",
    "opus": "Opus", "flac": "FLAC", "aac": "AAC", "alac": "ALAC", "mp3": "MP3", "mp2": "MP2", "mp1": "MP1",
}  # fmt: skip
_ITS_OWN_CONTAINER = frozenset({"flac", "mp3", "ape", "tta", "wavpack", "musepack", "musepack8", "ac3"})


def sentences(source: Decoded, *, num_trimmed: int, num_clips: int, max_seconds: int) -> tuple[str, ...]:
    """Every change made to the original, in the order in which it was made."""
    changes = [f"Converted from {_label(source)} to 16-bit FLAC.", *source.notes]
    if source.num_channels == 1:
        changes.append("Mono duplicated to stereo.")
    if source.mixed:
        changes.append(source.mixed)
    if source.sample_rate != SAMPLE_RATE:
        changes.append(f"Resampled from {source.sample_rate} Hz to {SAMPLE_RATE} Hz.")
    if source.gain < 1:
        changes.append(f"Turned down by {-20 * math.log10(source.gain):.2f} dB: it rose above full scale.")
    if source.num_clipped:
        changes.append(f"{_count(source.num_clipped, 'sample')} beyond full scale clipped.")
    if num_trimmed:
        changes.append(f"{_count(num_trimmed, 'frame')} of digital silence trimmed from the end.")
    if num_clips > 1:
        changes.append(f"Cut into {num_clips} clips of up to {max_seconds} s.")
    return tuple(changes)


def _label(source: Decoded) -> str:
    codec = _CODECS.get(source.codec, source.codec)
    container = _CONTAINERS.get(source.container, source.container)
    if source.container in _ITS_OWN_CONTAINER:
        return codec if source.container in ("mp3", "flac") else container
    return f"{container} ({codec})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
