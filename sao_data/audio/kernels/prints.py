"""The loops of a fingerprint: decimation, energy by semitone, words (chromaprint.py says what they are)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sao_data.audio.kernels.compiled import compiled

Pcm = npt.NDArray[np.int16]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]

_TILE = 1_024  # outputs made at once, in the nearest cache
_NUM_TAPS = 20  # of each place in four frames


@compiled("void(int16[:, ::1], int64, int64, float32[:, ::1])")
def _mix(pcm: Pcm, first: int, num: int, phases: Floats) -> None:
    """Left plus right, dealt out by place in four frames."""
    samples = pcm[first : first + 4 * num].reshape(-1)
    one, two, three, four = phases[0, :num], phases[1, :num], phases[2, :num], phases[3, :num]
    for n in range(len(one)):
        one[n] = np.float32(samples[8 * n]) + np.float32(samples[8 * n + 1])
        two[n] = np.float32(samples[8 * n + 2]) + np.float32(samples[8 * n + 3])
        three[n] = np.float32(samples[8 * n + 4]) + np.float32(samples[8 * n + 5])
        four[n] = np.float32(samples[8 * n + 6]) + np.float32(samples[8 * n + 7])


@compiled("void(float32[::1], float32[::1], float32[::1])")
def _filter(mono: Floats, taps: Floats, sums: Floats) -> None:
    """Add what the taps make of the samples. A constant number of turns is what lets it run on vectors."""
    for tap in range(0, _NUM_TAPS, 4):
        h0, h1, h2, h3 = taps[tap], taps[tap + 1], taps[tap + 2], taps[tap + 3]
        for n in range(len(sums)):
            at = n + tap
            sums[n] += (h0 * mono[at] + h1 * mono[at + 1]) + (h2 * mono[at + 2] + h3 * mono[at + 3])


@compiled("void(float32[::1], int16[::1])")
def _round(sums: Floats, out: Pcm) -> None:
    for n in range(len(sums)):
        out[n] = np.int16(min(max(np.rint(sums[n]), np.float32(-32_768)), np.float32(32_767)))


@compiled("void(int16[:, ::1], float32[:, ::1], int16[::1])")
def decimate(pcm: Pcm, taps: Floats, out: Pcm) -> None:
    """Every fourth sample of left plus right under a filter; `taps`: (4, 20), by place in four frames.

    A sum runs over the taps in their order, at every sample: it does not depend on where a block begins.
    """
    phases = np.empty((4, _TILE + _NUM_TAPS), np.float32)
    sums = np.empty(_TILE, np.float32)
    for start in range(0, len(out), _TILE):
        size = min(_TILE, len(out) - start)
        _mix(pcm, 4 * start, size + _NUM_TAPS - 1, phases)
        sums[:] = 0
        for phase in range(4):
            _filter(phases[phase], taps[phase], sums[:size])
        _round(sums[:size], out[start : start + size])


@compiled("void(int16[::1], int64, float32[::1], float32[:, ::1])")
def cut(mono: Pcm, step: int, window: Floats, out: Floats) -> None:
    """Frames that begin every `step` samples, under a window."""
    for row in range(len(out)):
        part, made = mono[row * step : row * step + len(window)], out[row]
        for n in range(len(window)):
            made[n] = np.float32(part[n]) * window[n]


@compiled("void(complex64[:, ::1], int64, int64[::1], float64[:, ::1])")
def add_up(spectra: npt.NDArray[np.complex64], first: int, notes: Whole, chroma: Doubles) -> None:
    """Energy by semitone; `notes` are those of the bins from `first` on."""
    for row in range(len(spectra)):
        for n in range(len(notes)):
            value = spectra[row, first + n]
            real, imaginary = np.float64(value.real), np.float64(value.imag)
            chroma[row, notes[n]] += real * real + imaginary * imaginary


@compiled("void(float64[:, ::1], float64[::1], float64, float64[:, ::1])")
def picture(chroma: Doubles, weights: Doubles, faint: float, integral: Doubles) -> None:
    """Moments smoothed, brought to length 1, and summed up from the corner, (moments + 1, bands + 1)."""
    num_bands = chroma.shape[1]
    moment = np.zeros(num_bands)
    for row in range(len(integral) - 1):
        energy = 0.0
        for band in range(num_bands):
            moment[band] = 0.0
            for n in range(len(weights)):
                moment[band] += weights[n] * chroma[row + n, band]
            energy += moment[band] * moment[band]
        length, total = np.sqrt(energy), 0.0
        for band in range(num_bands):
            total += moment[band] / length if length >= faint else 0.0
            integral[row + 1, band + 1] = integral[row, band + 1] + total


@compiled("void(float64[:, ::1], int64[:, ::1], float64[:, ::1], uint32[::1], uint32[::1])")
def compare(integral: Doubles, terms: Whole, limits: Doubles, codes: Words, words: Words) -> None:
    """Two bits of each classifier at every moment: where (1 + one half) / (1 + the other half) lies among its
    `limits`.

    `terms`: classifier, start, end, bottom and top of a rectangle, and how often it counts in each half.
    """
    halves = np.zeros((len(limits), 2))
    for at in range(len(words)):
        halves[:] = 0.0
        for n in range(len(terms)):
            classifier, start, end, bottom, top, one, other = terms[n]
            late, early = integral[at + end], integral[at + start]
            area = (late[top] - late[bottom]) - (early[top] - early[bottom])
            halves[classifier, 0] += one * area
            halves[classifier, 1] += other * area
        word = np.uint32(0)
        for classifier in range(len(limits)):
            level = 0
            for n in range(3):
                level += 1.0 + halves[classifier, 0] >= limits[classifier, n] * (1.0 + halves[classifier, 1])
            word = np.uint32(word << np.uint32(2)) | codes[level]
        words[at] = word
