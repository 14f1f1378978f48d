"""The peak of the wave between the samples (BS.1770-4, annex 2), where the samples come near full scale.

Looked at are the surroundings of local maxima only. Four times oversampled, as the annex has it; the highest
of these values is carried on to the top of the parabola through it and its neighbours, since four times alone
may stay 0.7 dB below.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]

_FULL_SCALE = 32_768.0
_NEAR_FULL_SCALE = round(_FULL_SCALE * 10 ** (-3 / 20))  # lower peaks are no danger: clips reach this or not
_LOWER = 0.7  # a wave reaches 3 dB above its samples at a quarter of the rate, and hardly more in sounds
_HALF = 24  # samples to either side that the interpolation looks at
AROUND = 2 * _HALF
_TIMES = 4
_MOST = 4_096  # maxima of a unit that are looked at, the largest first


def _phases() -> npt.NDArray[np.float32]:
    """(2 * _HALF + 1, 2 * _TIMES + 1): a sample's surroundings to the wave from one sample before to one
    after it, by windowed sinc."""
    offsets = np.arange(-_TIMES, _TIMES + 1) / _TIMES
    at = np.arange(-_HALF, _HALF + 1)[:, None] - offsets
    window = np.i0(8 * np.sqrt(np.maximum(0, 1 - np.square(at / (_HALF + 1))))) / np.i0(8)
    return np.asarray(np.sinc(at) * window, np.float32)


_PHASES = _phases()


class TruePeak:
    """Highest point between the samples of everything fed."""

    def __init__(self) -> None:
        self._peak = 0.0  # of samples, 16-bit steps
        self._true_peak = 0.0
        self._end = np.zeros((AROUND, 2), np.int16)

    def feed(self, pcm: Pcm) -> None:
        """Take the next (frames, 2) samples."""
        self.look(np.concatenate([self._end, pcm]))

    def look(self, joined: Pcm) -> None:
        """Take the next samples behind the `AROUND` that came before."""
        self._end = joined[len(joined) - AROUND :].copy()
        self._measure(joined)

    def decibels(self) -> float | None:
        """The peak in dBFS (dBTP), 0.01 dB; None if no sample comes within 3 dB of full scale."""
        self._measure(np.concatenate([self._end, np.zeros((AROUND, 2), np.int16)]))
        if self._peak < _NEAR_FULL_SCALE:
            return None
        return round(20 * math.log10(max(self._true_peak, self._peak) / _FULL_SCALE), 2) + 0.0

    def _measure(self, joined: Pcm) -> None:
        flat = joined.reshape(-1)
        highest = max(int(flat.max()), -int(flat.min()))
        self._peak = max(self._peak, float(highest))
        limit = max(_NEAR_FULL_SCALE, _LOWER * max(self._true_peak, self._peak))
        if highest < _NEAR_FULL_SCALE or highest < limit:
            return
        for channel in joined.T:
            wave = np.abs(channel.astype(np.float32))
            middle = wave[_HALF:-_HALF]
            before, after = wave[_HALF - 1 : -_HALF - 1], wave[_HALF + 1 : len(wave) - _HALF + 1]
            maxima = (middle >= limit) & (middle >= before) & (middle >= after)
            places = np.flatnonzero(maxima & ~((middle == before) & (middle == after)))
            if len(places) > _MOST:
                places = np.sort(places[np.argsort(-middle[places], kind="stable")[:_MOST]])
            if len(places):
                around = channel[places[:, None] + np.arange(2 * _HALF + 1)].astype(np.float32)
                self._true_peak = max(self._true_peak, _top(np.abs(around @ _PHASES)))


def _top(curves: npt.NDArray[np.float32]) -> float:
    """The highest point of parabolas through the largest value of each row and its neighbours."""
    rows = np.arange(len(curves))
    best = np.clip(curves.argmax(axis=1), 1, curves.shape[1] - 2)
    left, middle, right = (curves[rows, best + step].astype(np.float64) for step in (-1, 0, 1))
    is_top = (middle >= left) & (middle >= right)
    bend = np.maximum(2 * middle - left - right, 1e-9)
    return float((middle + np.where(is_top, np.square(right - left) / (8 * bend), 0)).max())
