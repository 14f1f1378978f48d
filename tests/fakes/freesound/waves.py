"""Audio made per sound id: real WAV and AIFF bytes, whose checksum is known without making all of them.

A file is the head of its variant (24 tones, shared and cached) and a tail of its own, so that listing half a
million sounds with their md5 costs one hash of 128 bytes each.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

NUM_VARIANTS = 24
_TAIL = 64  # frames that belong to one sound alone
_RATES = (8_000, 16_000, 22_050)  # Hz


@dataclass(frozen=True, slots=True)
class Wave:
    """What the file of one variant is."""

    variant: int
    seconds: float

    @property
    def kind(self) -> str:
        """The sound's `type`."""
        return "aiff" if self.variant % 4 == 3 else "wav"

    @property
    def rate(self) -> int:
        """Hz."""
        return _RATES[self.variant % 3]

    @property
    def channels(self) -> int:
        """One or two."""
        return 1 + self.variant // 3 % 2

    @property
    def num_frames(self) -> int:
        """At `rate`."""
        return int(self.seconds * self.rate)

    @property
    def num_bytes(self) -> int:
        """Of the whole file, 16 bit."""
        return (44 if self.kind == "wav" else 54) + self.num_frames * self.channels * 2

    def file(self, sound_id: int) -> bytes:
        """The file of one sound."""
        return _head(self) + _tail(self, sound_id)

    def md5(self, sound_id: int) -> str:
        """Of `file(sound_id)`, from the cached state of the head's hash."""
        state = _hashed_head(self).copy()
        state.update(_tail(self, sound_id))
        return str(state.hexdigest())


def _tail(wave: Wave, sound_id: int) -> bytes:
    """Faint noise: samples from 0 to 255 of 32,767."""
    num = _TAIL * wave.channels
    noise = hashlib.shake_128(sound_id.to_bytes(16, "big", signed=True)).digest(num)
    samples = bytearray(2 * num)
    samples[0 if wave.kind == "wav" else 1 :: 2] = noise
    return bytes(samples)


@lru_cache(maxsize=4 * NUM_VARIANTS)
def _head(wave: Wave) -> bytes:
    assert wave.num_frames > _TAIL, wave
    time = np.arange(wave.num_frames - _TAIL) / wave.rate
    tone = 0.3 * np.sin(2 * np.pi * 110 * 2 ** (wave.variant / 6) * time)
    pcm = np.repeat((tone * 32767).astype(_order(wave)), wave.channels).tobytes()
    size = wave.num_frames * wave.channels * 2
    if wave.kind == "wav":
        return _wav_head(wave, size) + pcm
    return _aiff_head(wave, size) + pcm


@lru_cache(maxsize=4 * NUM_VARIANTS)
def _hashed_head(wave: Wave) -> Any:
    return hashlib.md5(_head(wave), usedforsecurity=False)


def _order(wave: Wave) -> str:
    return "<i2" if wave.kind == "wav" else ">i2"


def _wav_head(wave: Wave, size: int) -> bytes:
    frame = wave.channels * 2
    form = struct.pack("<HHIIHH", 1, wave.channels, wave.rate, wave.rate * frame, frame, 16)
    return (
        b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<I", 16) + form
        + b"data" + struct.pack("<I", size)
    )  # fmt: skip


def _aiff_head(wave: Wave, size: int) -> bytes:
    shift = 63 - (
        wave.rate.bit_length() - 1
    )  # 80-bit extended: exponent, then a mantissa with its top bit set
    exponent = 16383 + wave.rate.bit_length() - 1
    common = struct.pack(">hIhHQ", wave.channels, wave.num_frames, 16, exponent, wave.rate << shift)
    return (
        b"FORM" + struct.pack(">I", 46 + size) + b"AIFFCOMM" + struct.pack(">I", 18) + common
        + b"SSND" + struct.pack(">III", size + 8, 0, 0)
    )  # fmt: skip
