"""Measures a file at its decoder's output, in one pass over units of fixed size: memory does not grow with
length, and no number depends on how the blocks came in.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sao_data.audio.channels import Front
from sao_data.audio.measuring.plateaus import Extremes, clipped_share
from sao_data.audio.measuring.spectra import Planar, Spectra
from sao_data.measures import SourceMeasures

Floats = npt.NDArray[np.float32]

_UNIT = 65_536  # frames, as decoders give them
_LOOKED_AT = 4_096  # frames of each unit in which bits are counted
_MOST_BITS = 24
_VISIBLE = 2.0**-16  # what 16 bits round to zero is silence
_LEVEL_SECONDS = 0.05
_QUIETEST = 0.05  # share of blocks
_LOWEST, _PER_DECIBEL, _NUM_LEVELS = -150, 4, 4 * 180
_DUAL_MONO = 1e-6  # power: -60 dB
_CANCELLED = 0.01
_ONES = np.ones(_UNIT, np.float32)
_MOST_BALANCE = 99.99  # dB
_NO_BITS = 0
_LOSSLESS = frozenset(
    {"flac", "alac", "float", "double", "wavpack", "tta", "ape", "wmalossless", "truehd", "mlp", "shorten"}
)


class SourceMeter:
    """Measures the kept channels of one decode: `feed` it, then `finish` once."""

    def __init__(self, sample_rate: int, num_channels: int, front: Front, codec: str) -> None:
        self._kept = list(front) if num_channels > 1 else [0]
        self._rate = sample_rate
        self._bits = 1 if codec.startswith("pcm_") or codec in _LOSSLESS else _NO_BITS
        self._held: list[Floats] = []
        self._num_held = 0
        self._num_frames = 0
        self._is_finite = True
        self._first = self._last = -1  # frame with the first and the last visible sample
        self._extremes = [Extremes() for _ in self._kept]
        self._spectra = Spectra(sample_rate, len(self._kept))
        self._sums = np.zeros(len(self._kept))
        self._products = np.zeros((len(self._kept), len(self._kept)))
        self._side = 0.0
        self._levels = np.zeros(_NUM_LEVELS, np.int64)

    def feed(self, block: Floats) -> None:
        """Take the next (frames, channels) samples; full scale is 1."""
        if not self._held and len(block) == _UNIT:
            self._measure(block)
            return
        self._held.append(block)
        self._num_held += len(block)
        if self._num_held < _UNIT:
            return
        held = np.concatenate(self._held)
        for start in range(0, len(held) - _UNIT + 1, _UNIT):
            self._measure(held[start : start + _UNIT])
        rest = held[len(held) - len(held) % _UNIT :]
        self._held, self._num_held = ([rest], len(rest)) if len(rest) else ([], 0)

    def finish(self) -> SourceMeasures:
        """The measures of everything fed."""
        if self._num_held:
            self._measure(np.concatenate(self._held))
        num_frames = max(1, self._num_frames)
        step = 2.0 ** (1 - self._bits) if self._bits else 0.0
        energy = [float(self._products[i, i]) for i in range(len(self._kept))]
        both = 2 * sum(energy)  # of middle and side
        end = self._num_frames - 1 - self._last if self._last >= 0 else self._num_frames
        return SourceMeasures(
            bits=self._bits,
            clipped_share=round(clipped_share(self._extremes, num_frames, step), 3),
            dc=tuple(round(float(total) / num_frames, 4) + 0.0 for total in self._sums),
            bandwidth_hz=self._spectra.bandwidth(),
            noise_floor_dbfs=self._noise_floor(),
            silence_start=round((self._first if self._first >= 0 else num_frames) / self._rate, 3),
            silence_end=round(end / self._rate, 3),
            balance_db=_balance(energy[0], energy[-1]),
            correlation=self._correlation(),
            side_share=round(self._side / both, 3) if both else 0.0,
            is_dual_mono=len(energy) == 2 and self._side <= _DUAL_MONO * (both - self._side),
            delay_ms=round(1_000 * self._spectra.delay(), 2) + 0.0,
        )

    def _measure(self, block: Floats) -> None:
        audio = np.ascontiguousarray(block[:, self._kept].T)
        highs, lows = audio.max(axis=1), audio.min(axis=1)
        self._is_finite = self._is_finite and bool(np.isfinite(highs).all() and np.isfinite(lows).all())
        if not self._is_finite:  # stereo.py rejects the file
            return
        start, self._num_frames = self._num_frames, self._num_frames + audio.shape[1]
        self._note_edges(audio, start)
        self._count_bits(audio)
        for wave, high, low, extremes in zip(audio, highs, lows, self._extremes, strict=True):
            extremes.feed(wave, float(high), float(low))
        self._spectra.feed(audio, self._bits, is_first=start == 0)
        self._add(audio)

    def _note_edges(self, audio: Planar, start: int) -> None:
        size = audio.shape[1]
        parts = ((max(0, size - 256), size), (0, size)) if self._first >= 0 else ((0, size),)
        for begin, end in parts:  # mostly the last few samples show that it goes on
            seen = np.flatnonzero((np.abs(audio[:, begin:end]) >= _VISIBLE).any(axis=0))
            if len(seen):
                self._first = self._first if self._first >= 0 else start + begin + int(seen[0])
                self._last = start + begin + int(seen[-1])
                return

    def _count_bits(self, audio: Planar) -> None:
        while 0 < self._bits < _MOST_BITS:
            scaled = audio[:, :_LOOKED_AT] * np.float32(2.0 ** (self._bits - 1))
            if (scaled == np.rint(scaled)).all():
                return
            self._bits += 1

    def _add(self, audio: Planar) -> None:
        before = self._products.copy()
        self._sums += audio @ _ONES[: audio.shape[1]]
        for i, j in ((0, 0), (0, 1), (1, 1))[: 3 if len(audio) == 2 else 1]:
            self._products[i, j] += float(np.dot(audio[i], audio[j]))
        if len(audio) == 2:
            left, both, right = (self._products[i, j] - before[i, j] for i, j in ((0, 0), (0, 1), (1, 1)))
            side = float(left + right - 2 * both)
            if side < _CANCELLED * (left + right):  # too close to 0 for a difference of float32 sums
                side = float(np.square(audio[0] - audio[1]).sum())
            self._side += side
        size = max(1, round(_LEVEL_SECONDS * self._rate))
        if audio.shape[1] < size:
            return
        cut = audio[:, : audio.shape[1] // size * size].reshape(len(audio), -1, size)
        power = np.einsum("cbf,cbf->b", cut, cut) / np.float32(size * len(audio))
        level = 10 * np.log10(power[power > 0].astype(np.float64))
        bins = np.clip((level - _LOWEST) * _PER_DECIBEL, 0, _NUM_LEVELS - 1).astype(np.int64)
        self._levels += np.bincount(bins, minlength=_NUM_LEVELS)

    def _noise_floor(self) -> float | None:
        total = int(self._levels.sum())
        if not total:
            return None
        place = int(np.searchsorted(np.cumsum(self._levels), max(1, math.ceil(_QUIETEST * total))))
        return round(_LOWEST + (place + 1) / _PER_DECIBEL, 2)

    def _correlation(self) -> float | None:
        if len(self._sums) < 2 or not self._num_frames:
            return None
        means = self._sums / self._num_frames
        left, both, right = (
            self._products[i, j] - self._num_frames * means[i] * means[j] for i, j in ((0, 0), (0, 1), (1, 1))
        )
        if left <= 0 or right <= 0:
            return None
        return round(float(np.clip(both / math.sqrt(left * right), -1, 1)), 3) + 0.0


def _balance(left: float, right: float) -> float:
    """Decibels of the left energy over the right."""
    if left == right:
        return 0.0
    if not (left and right):
        return math.copysign(_MOST_BALANCE, left - right)
    decibels = 10 * math.log10(left / right)
    return round(max(-_MOST_BALANCE, min(_MOST_BALANCE, decibels)), 2) + 0.0
