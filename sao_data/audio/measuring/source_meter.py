"""Measures a file at its decoder's output, in one pass over units of fixed size: memory does not grow with
length, and no number depends on how the blocks came in.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sao_data.audio.kernels.samples import RUN, add_up, find_extremes, take
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
_MOST_BALANCE = 99.99  # dB
_NO_BITS = 0
_LOSSLESS = frozenset(
    {"flac", "alac", "float", "double", "wavpack", "tta", "ape", "wmalossless", "truehd", "mlp", "shorten"}
)


class SourceMeter:
    """Measures the kept channels of one decode: `feed` it, then `finish` once."""

    def __init__(self, sample_rate: int, num_channels: int, front: tuple[int, int], codec: str) -> None:
        self._kept = np.array(front if num_channels > 1 else (0,), np.int64)
        self._rate = sample_rate
        self._bits = 1 if codec.startswith("pcm_") or codec in _LOSSLESS else _NO_BITS
        self._held: list[Floats] = []
        self._num_held = 0
        self._num_frames = 0
        self._is_finite = True
        self._first = self._last = -1  # frame with the first and the last visible sample
        self._planar = np.empty((len(self._kept), _UNIT), np.float32)  # the unit being measured
        self._extremes = [Extremes() for _ in self._kept]
        self._spectra = Spectra(sample_rate, len(self._kept))
        self._sums = np.zeros(6)  # of both channels; left squared, product, right squared, side squared
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
        *totals, left, _, right, side = (float(total) for total in self._sums)
        both = 2 * (left + right)  # of middle and side
        end = self._num_frames - 1 - self._last if self._last >= 0 else self._num_frames
        return SourceMeasures(
            bits=self._bits,
            clipped_share=round(clipped_share(self._extremes, num_frames, step), 3),
            dc=tuple(round(total / num_frames, 4) + 0.0 for total in totals[: len(self._kept)]),
            bandwidth_hz=self._spectra.bandwidth(),
            noise_floor_dbfs=self._noise_floor(),
            silence_start=round((self._first if self._first >= 0 else num_frames) / self._rate, 3),
            silence_end=round(end / self._rate, 3),
            balance_db=_balance(left, right),
            correlation=self._correlation(),
            side_share=round(side / both, 3) if both else 0.0,
            is_dual_mono=len(self._kept) == 2 and side <= _DUAL_MONO * (both - side),
            delay_ms=round(1_000 * self._spectra.delay(), 2) + 0.0,
        )

    def _measure(self, block: Floats) -> None:
        audio = self._planar if len(block) == _UNIT else np.empty((len(self._kept), len(block)), np.float32)
        take(np.ascontiguousarray(block), self._kept, audio)
        peaks = [_peaks(wave) for wave in audio]
        self._is_finite = self._is_finite and bool(np.isfinite(peaks).all())
        if not self._is_finite:  # stereo.py rejects the file
            return
        start, self._num_frames = self._num_frames, self._num_frames + audio.shape[1]
        self._note_edges(audio, start)
        self._count_bits(audio)
        for wave, of_runs, extremes in zip(audio, peaks, self._extremes, strict=True):
            extremes.feed(wave, of_runs)
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
        size = max(1, round(_LEVEL_SECONDS * self._rate))
        add_up(audio, size, self._sums, _LOWEST, _PER_DECIBEL, self._levels)

    def _noise_floor(self) -> float | None:
        total = int(self._levels.sum())
        if not total:
            return None
        place = int(np.searchsorted(np.cumsum(self._levels), max(1, math.ceil(_QUIETEST * total))))
        return round(_LOWEST + (place + 1) / _PER_DECIBEL, 2)

    def _correlation(self) -> float | None:
        if len(self._kept) < 2 or not self._num_frames:
            return None
        one, other, left, both, right, _ = self._sums
        left -= one * one / self._num_frames
        both -= one * other / self._num_frames
        right -= other * other / self._num_frames
        if left <= 0 or right <= 0:
            return None
        return round(float(np.clip(both / math.sqrt(left * right), -1, 1)), 3) + 0.0


def _peaks(wave: Floats) -> Planar:
    """(2, runs): the largest samples, and the smallest with their sign turned; NaN or infinity if there are
    any."""
    found = np.empty((2, -(-len(wave) // RUN)), np.int32)
    find_extremes(wave.view(np.int32), found)
    return found.view(np.float32)


def _balance(left: float, right: float) -> float:
    """Decibels of the left energy over the right."""
    if left == right:
        return 0.0
    if not (left and right):
        return math.copysign(_MOST_BALANCE, left - right)
    decibels = 10 * math.log10(left / right)
    return round(max(-_MOST_BALANCE, min(_MOST_BALANCE, decibels)), 2) + 0.0
