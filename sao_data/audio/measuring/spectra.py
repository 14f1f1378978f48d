"""Bandwidth, and a channel that is the other one delayed, from short spectra spread over a file."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
from scipy import fft

from sao_data.audio.kernels.shapes import cut, gather

Planar = npt.NDArray[np.float32]  # (channels, frames)

_FRAME, _FRAME_RATE = 2_048, 51_200  # up to this rate, Hz; doubled with it: always 40 ms or more
_DENSE, _SPARSE = 4_096, 32_768  # frames from one spectrum to the next: in the first unit, and in the others
_NUM_BANDS = 128  # of 8 bins or more: averaged over so many, noise stays within 4 dB of its mean
_ABOVE = 10.0  # times the power of the quantiser's noise (10 dB): dither adds 5 dB
_MIN_ACTIVE = 0.1  # share of spectra in which a band must sound: a click, or where a codec starts, is none
_FEWEST_BITS = 16  # what is stored: lower noise in the source changes nothing

_MAX_DELAY = 0.01  # s; spaced microphones have up to 3 ms, later copies are heard as echoes
_MIN_DELAY = 2  # samples
_MIN_LIKENESS = 0.7  # of phases, 1 for a mere delay, 0.1 for unrelated channels
_MIN_BINS = 64  # that sound, since a few tones agree with any delay


class Spectra:
    """Power and cross power of a file's one or two channels; `feed` it unit by unit."""

    def __init__(self, sample_rate: int, num_channels: int) -> None:
        self._rate = sample_rate
        self._frame = _FRAME
        while sample_rate > _FRAME_RATE * self._frame / _FRAME:
            self._frame *= 2
        self._window = _window(self._frame)
        self._num_spectra = 0  # with any sound
        self._num_active = np.zeros(_NUM_BANDS, np.int64)
        self._power = np.zeros((num_channels, self._frame // 2 + 1))
        self._cross = np.zeros(self._frame // 2 + 1, np.complex128)
        self._floor = 0.0

    def feed(self, audio: Planar, bits: int, *, is_first: bool) -> None:
        """Take the next unit; `bits` are those in use so far, 0 if unknown."""
        if audio.shape[1] < self._frame:
            if not is_first:
                return
            audio = np.pad(audio, ((0, 0), (0, self._frame - audio.shape[1])))
        hop = _DENSE if is_first else _SPARSE
        frames = np.empty((len(audio), (audio.shape[1] - self._frame) // hop + 1, self._frame), np.float32)
        cut(audio, hop, self._window, frames)
        self._floor = _ABOVE * (2.0 ** (1 - min(bits or _FEWEST_BITS, _FEWEST_BITS))) ** 2 / 12
        spectra = fft.rfft(frames, axis=2)
        self._num_spectra += gather(spectra, self._floor, self._num_active, self._power, self._cross)

    def bandwidth(self) -> int | None:
        """Hz up to which there is more than quantisation noise; None if there is none at all."""
        bands = np.flatnonzero(self._num_active >= max(1.0, _MIN_ACTIVE * self._num_spectra))
        return round((bands[-1] + 1) * self._rate / (2 * _NUM_BANDS)) if len(bands) else None

    def delay(self) -> float:
        """Seconds by which the second channel is the first one later; 0 if it is not (GCC-PHAT)."""
        size = np.abs(self._cross)
        sounding = (self._power > self._floor * max(1, self._num_spectra)).all(axis=0) & (size > 0)
        num_bins = int(sounding.sum())
        if len(self._power) < 2 or num_bins < _MIN_BINS:
            return 0.0
        phases = np.where(sounding, self._cross / np.where(sounding, size, 1), 0)
        likeness = fft.irfft(phases, self._frame) * self._frame / (2 * num_bins)
        most = min(round(_MAX_DELAY * self._rate), self._frame // 4)
        lags = np.arange(-most, most + 1)
        found = np.abs(likeness[-lags])
        best = int(found.argmax())
        is_delay = found[best] >= _MIN_LIKENESS and abs(lags[best]) >= _MIN_DELAY
        return float(lags[best]) / self._rate if is_delay else 0.0


@functools.cache
def _window(size: int) -> npt.NDArray[np.float32]:
    """Hann's, of energy 1."""
    window = np.hanning(size + 2)[1:-1].astype(np.float32)
    return window / np.float32(np.sqrt(np.square(window).sum()))
