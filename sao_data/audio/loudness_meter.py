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

from sao_data.audio.held import Held
from sao_data.audio.kernels.weighting import HOP, NUM_LANES, count_silent, is_dual, weigh
from sao_data.audio.measuring.speech import SpeechMeter
from sao_data.audio.measuring.true_peak import AROUND, TruePeak
from sao_data.measures import Measures
from sao_data.records import NUM_CHANNELS, SAMPLE_RATE

ROOM = NUM_LANES * HOP  # frames, of which a whole number is measured at once
_UNIT = 80 * HOP  # frames measured at once, so that no sum depends on how the audio came in: 8 s
_BLOCK_HOPS, _SHORT_HOPS = (
    4,
    30,
)  # gating blocks of 400 ms (BS.1770-4, annex 1), short-term ones of 3 s, by 0.1 s
_ABSOLUTE_GATE, _RELATIVE_GATE, _OFFSET = -70.0, -10.0, -0.691  # LKFS, LU, LKFS (BS.1770-4 eq. 2, 4-7)
_RANGE_GATE, _RANGE_PERCENTILES = -20.0, (10, 95)  # LU, % (EBU Tech 3342, 2 and 3)
_SILENCE_FRAMES = SAMPLE_RATE // 100  # 10 ms
_PEAK_FRAMES = 2 * SAMPLE_RATE  # among which the largest maxima are looked at for the true peak
_SILENCE_PEAK = 32  # 16-bit steps; -60 dBFS is 32.77 of 32,768

Pcm = npt.NDArray[np.int16]
Doubles = npt.NDArray[np.float64]


class Meter:
    """Measures one stretch of audio: `feed` it in blocks of any size, then `finish` once."""

    def __init__(self, *, speech: bool = False) -> None:
        self._speech = SpeechMeter() if speech else None
        self._held = Held(HOP, _UNIT)
        self._loudness = LoudnessHops()
        self._true_peak = TruePeak()
        self._counts = np.zeros(3, np.int64)  # largest sample, blocks of 10 ms, silent ones

    def feed(self, pcm: Pcm) -> None:
        """Take the next (frames, 2) samples."""
        for unit in self._held.push(pcm):
            self._measure(unit, _UNIT)
        if self._speech:
            self._speech.feed(pcm)

    def finish(self) -> Measures:
        """The measures of everything fed, rounded as records.Measures says."""
        num_frames = self._held.num_held
        if num_frames:
            self._measure(self._held.rest(-(-num_frames // ROOM) * ROOM), num_frames)
        peak, num_blocks, num_silent = (int(number) for number in self._counts)
        return Measures(
            lufs=_decibel(self._loudness.integrated()),
            loudness_range=_decibel(self._loudness.range()),
            peak_dbfs=_decibel(20 * math.log10(peak / 32_768)) if peak else None,
            true_peak_dbfs=self._true_peak.decibels(),
            silence_share=round(num_silent / num_blocks, 3) if num_blocks else 0.0,
            speech_share=self._speech.finish() if self._speech else None,
        )

    def _measure(self, unit: Pcm, num_frames: int) -> None:
        """Take frames behind a hop of what came before."""
        end = HOP + num_frames
        count_silent(unit[HOP:end].reshape(-1), NUM_CHANNELS * _SILENCE_FRAMES, _SILENCE_PEAK, self._counts)
        for start in range(HOP, end, _PEAK_FRAMES):
            self._true_peak.look(unit[start - AROUND : min(start + _PEAK_FRAMES, end)])
        self._loudness.feed(unit, num_frames)


class LoudnessHops:
    """Energy of the K-weighted signal in each tenth of a second; gating happens at the end."""

    def __init__(self) -> None:
        self.num_frames = 0
        self._energies: list[Doubles] = []  # of hops, the last possibly begun only

    def feed(self, unit: Pcm, num_frames: int) -> None:
        """Take frames behind a hop of what came before, filled up to `ROOM`; a part of a hop ends it."""
        samples, num_hops, rest = unit.reshape(-1), -(-num_frames // HOP), num_frames % HOP
        num_channels = 1 if is_dual(samples) else NUM_CHANNELS
        num_segments = NUM_LANES // num_channels
        length = -(-num_hops // num_segments)  # hops of a segment
        segments = length * HOP * NUM_CHANNELS * np.arange(num_segments)
        firsts = (segments[:, None] + np.arange(num_channels)).reshape(-1).astype(np.uint64)
        energies = np.empty((2, length, NUM_LANES))
        weigh(samples, firsts, length, rest, _FILTERS, energies)
        part, whole = energies.reshape(2, length, num_segments, num_channels).sum(axis=3).transpose(0, 2, 1)
        hops = whole.reshape(-1)[:num_hops]
        if rest:
            hops[-1] = part.reshape(-1)[num_hops - 1]
        self._energies.append(hops * (_SCALE * NUM_CHANNELS / num_channels))
        self.num_frames += num_frames

    def range(self) -> float | None:
        """Loudness range in LU (EBU Tech 3342); None if silent or shorter than 3 s."""
        if self.num_frames < _SHORT_HOPS * HOP:
            return None
        power = self._power(_SHORT_HOPS, self.num_frames // HOP - _SHORT_HOPS + 1)
        power = power[power > 10 ** ((_ABSOLUTE_GATE - _OFFSET) / 10)]
        if not len(power):
            return None
        power = power[power > power.mean() * 10 ** (_RANGE_GATE / 10)]
        low, high = np.percentile(10 * np.log10(power), _RANGE_PERCENTILES)
        return float(high - low)

    def integrated(self) -> float | None:
        """Gated loudness in LUFS; None if silent or shorter than a block."""
        if self.num_frames < _BLOCK_HOPS * HOP:
            return None
        # pyloudnorm rounds the number of blocks: the last may reach beyond the end, which adds nothing.
        # It does so in floating point, where half a block is not always half.
        num_blocks = int(np.round((self.num_frames / SAMPLE_RATE - 0.4) / (0.4 * 0.25)) + 1)
        return _gated(self._power(_BLOCK_HOPS, num_blocks))

    def _power(self, width: int, num: int) -> Doubles:
        """Mean power of so many hops from each of the first `num` on."""
        energies = np.concatenate([*self._energies, np.zeros(width)])
        windows = np.lib.stride_tricks.sliding_window_view(energies, width)[:num]
        return np.asarray(windows.sum(axis=1) / (width * HOP))


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


def _filters() -> tuple[Doubles, float]:
    """pyloudnorm's high shelf and high pass as `weigh` takes them; what brings its energy to full scale 1."""
    shelf, high_pass = pyloudnorm.Meter(SAMPLE_RATE)._filters.values()
    assert np.allclose(high_pass.b / high_pass.b[0], (1, -2, 1), rtol=1e-12), high_pass.b
    filters = np.array([*shelf.b, *shelf.a[1:], *high_pass.a[1:]])
    return filters, float(high_pass.b[0] / 32_768) ** 2


def _decibel(value: float | None) -> float | None:
    return None if value is None else round(value, 2) + 0.0  # + 0.0: no -0.0


_FILTERS, _SCALE = _filters()
