"""Loudness, its range, peaks and silence of 44.1 kHz stereo PCM, streamed: of a long clip ten numbers a
second are kept.

Measured is what is stored, the 16-bit samples after normalisation, so that anyone can measure a shard again
and get the same numbers. Loudness is BS.1770-4 with pyloudnorm's coefficients and block edges;
pyloudnorm.Meter itself, which needs the whole recording in memory, is the oracle of the tests (1e-6 LU).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pyloudnorm
from scipy.signal import sosfilt

from sao_data.audio.measuring.true_peak import TruePeak
from sao_data.measures import Measures
from sao_data.records import NUM_CHANNELS, SAMPLE_RATE

_UNIT = 2 * SAMPLE_RATE  # frames measured at once, so that no sum depends on how the audio came in
_BLOCK_SECONDS, _STEP = 0.4, 0.25  # gating blocks of 400 ms that overlap by 75 % (BS.1770-4, annex 1)
_ABSOLUTE_GATE, _RELATIVE_GATE, _OFFSET = -70.0, -10.0, -0.691  # LKFS, LU, LKFS (BS.1770-4 eq. 2, 4-7)
_SHORT_TERM, _RANGE_GATE, _RANGE_PERCENTILES = 3.0, -20.0, (10, 95)  # s, LU, % (EBU Tech 3342, 2 and 3)
_SILENCE_FRAMES = SAMPLE_RATE // 100  # 10 ms
_SILENCE_PEAK = 32  # 16-bit steps; -60 dBFS is 32.77 of 32,768

Pcm = npt.NDArray[np.int16]
Doubles = npt.NDArray[np.float64]


class Meter:
    """Measures one stretch of audio: `feed` it in blocks of any size, then `finish` once."""

    def __init__(self) -> None:
        self._held: list[Pcm] = []
        self._num_held = 0
        self._loudness = _Loudness()
        self._peak = 0
        self._true_peak = TruePeak()
        self._num_silent = self._num_blocks = 0

    def feed(self, pcm: Pcm) -> None:
        """Take the next (frames, 2) samples."""
        self._held.append(pcm)
        self._num_held += len(pcm)
        if self._num_held < _UNIT:
            return
        held = np.concatenate(self._held)
        for start in range(0, len(held) - _UNIT + 1, _UNIT):
            self._measure(held[start : start + _UNIT])
        self._held = [held[len(held) - len(held) % _UNIT :]]
        self._num_held = len(self._held[0])

    def finish(self) -> Measures:
        """The measures of everything fed, rounded as records.Measures says."""
        if self._num_held:
            self._measure(np.concatenate(self._held))
        return Measures(
            lufs=_decibel(self._loudness.integrated()),
            loudness_range=_decibel(self._loudness.range()),
            peak_dbfs=_decibel(20 * math.log10(self._peak / 32_768)) if self._peak else None,
            true_peak_dbfs=self._true_peak.decibels(),
            silence_share=round(self._num_silent / self._num_blocks, 3) if self._num_blocks else 0.0,
        )

    def _measure(self, pcm: Pcm) -> None:
        wide = np.abs(pcm.astype(np.int32))  # abs(-32768) does not fit 16 bits
        peaks = np.maximum(wide[:, 0], wide[:, 1])
        blocks = np.maximum.reduceat(peaks, np.arange(0, len(peaks), _SILENCE_FRAMES))
        self._num_blocks += len(blocks)
        self._num_silent += int(np.count_nonzero(blocks <= _SILENCE_PEAK))
        self._peak = max(self._peak, int(blocks.max()))
        self._true_peak.feed(pcm)
        self._loudness.feed(pcm.T / 32_768.0)


class _Loudness:
    """Energy of the K-weighted signal between the edges of gating blocks; gating happens at the end."""

    def __init__(self) -> None:
        filters = pyloudnorm.Meter(SAMPLE_RATE)._filters.values()  # high shelf, then high pass
        self._sections = np.array([[*stage.b, *stage.a] for stage in filters])
        self._state = np.zeros((len(self._sections), NUM_CHANNELS, 2))
        self._num_frames = 0
        self._starts: list[npt.NDArray[np.int64]] = []
        self._energies: list[Doubles] = []

    def feed(self, audio: Doubles) -> None:
        """Take (2, frames) samples; full scale is 1."""
        weighted, self._state = sosfilt(self._sections, audio, axis=1, zi=self._state)
        end = self._num_frames + audio.shape[1]
        step = _BLOCK_SECONDS * _STEP * SAMPLE_RATE
        lower, upper = _block_edges(np.arange(int(self._num_frames / step) - 5, int(end / step) + 5))
        edges = np.unique(np.concatenate([[self._num_frames], lower, upper]))
        edges = edges[(edges >= self._num_frames) & (edges < end)]
        energy = np.add.reduceat(np.square(weighted), edges - self._num_frames, axis=1).sum(axis=0)
        self._starts.append(edges)
        self._energies.append(energy)
        self._num_frames = end

    def range(self) -> float | None:
        """Loudness range in LU (EBU Tech 3342); None if silent or shorter than 3 s."""
        num_blocks = 1 + int((self._num_frames / SAMPLE_RATE - _SHORT_TERM) / (_BLOCK_SECONDS * _STEP) + 1e-9)
        if self._num_frames < _SHORT_TERM * SAMPLE_RATE:
            return None
        starts, energies = np.concatenate(self._starts), np.concatenate(self._energies)
        lower = _block_edges(np.arange(num_blocks))[0]
        sums = np.concatenate([[0.0], np.cumsum(energies)])
        first, last = (
            np.searchsorted(starts, at) for at in (lower, lower + round(_SHORT_TERM * SAMPLE_RATE))
        )
        power = np.maximum(sums[last] - sums[first], 0) / (_SHORT_TERM * SAMPLE_RATE)
        power = power[power > 10 ** ((_ABSOLUTE_GATE - _OFFSET) / 10)]
        if not len(power):
            return None
        power = power[power > power.mean() * 10 ** (_RANGE_GATE / 10)]
        low, high = np.percentile(10 * np.log10(power), _RANGE_PERCENTILES)
        return float(high - low)

    def integrated(self) -> float | None:
        """Gated loudness in LUFS; None if silent or shorter than a block."""
        if self._num_frames < _BLOCK_SECONDS * SAMPLE_RATE:
            return None
        starts, energies = np.concatenate(self._starts), np.concatenate(self._energies)
        # pyloudnorm rounds the number of blocks: the last may reach beyond the end, which adds nothing.
        seconds = self._num_frames / SAMPLE_RATE
        num_blocks = int(np.round((seconds - _BLOCK_SECONDS) / (_BLOCK_SECONDS * _STEP)) + 1)
        lower, upper = _block_edges(np.arange(num_blocks))
        first, last = np.searchsorted(starts, lower), np.searchsorted(starts, upper)
        power = np.array([energies[i:j].sum() for i, j in zip(first, last, strict=True)])
        return _gated(power / (_BLOCK_SECONDS * SAMPLE_RATE))


def _block_edges(index: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First frame and end of gating blocks, in floating point and cut off exactly as pyloudnorm does."""
    lower = (_BLOCK_SECONDS * (index * _STEP) * SAMPLE_RATE).astype(np.int64)
    upper = (_BLOCK_SECONDS * (index * _STEP + 1) * SAMPLE_RATE).astype(np.int64)
    return lower, upper


def _gated(power: Doubles) -> float | None:
    """Loudness of the blocks above both gates (BS.1770-4 eq. 5-7)."""
    power = power[power > 0]
    loudness = _OFFSET + 10 * np.log10(power)
    above = loudness >= _ABSOLUTE_GATE
    if not above.any():
        return None
    threshold = _OFFSET + 10 * math.log10(power[above].mean()) + _RELATIVE_GATE
    kept = power[(loudness > threshold) & (loudness > _ABSOLUTE_GATE)]
    return _OFFSET + 10 * math.log10(kept.mean()) if len(kept) else None


def _decibel(value: float | None) -> float | None:
    return None if value is None else round(value, 2) + 0.0  # + 0.0: no -0.0
