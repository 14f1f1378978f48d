"""What short spectra and stretches around peaks show, each in one pass (spectra.py, plateaus.py)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sao_data.audio.kernels.compiled import compiled

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


@compiled("void(float32[:, ::1], int64, float32[::1], float32[:, :, ::1])")
def cut(planar: Floats, hop: int, window: Floats, frames: Floats) -> None:
    """(channels, moments, frame) under a window."""
    for channel in range(frames.shape[0]):
        for moment in range(frames.shape[1]):
            for n in range(len(window)):
                frames[channel, moment, n] = planar[channel, moment * hop + n] * window[n]


@compiled("int64(complex64[:, :, ::1], float64, int64[::1], float64[:, ::1], complex128[::1])")
def gather(
    spectra: npt.NDArray[np.complex64],
    floor: float,
    num_active: Whole,
    power: Doubles,
    cross: npt.NDArray[np.complex128],
) -> int:
    """Add up power and cross power; count the moments at which each band lies above `floor` on average, and
    give how many have such a band."""
    num_channels, num_moments, num_bins = spectra.shape
    num_bands = len(num_active)
    width = (num_bins - 1) // num_bands
    active = np.zeros(num_bands, np.int64)
    num_sounding = 0
    for moment in range(num_moments):
        active[:] = 0
        for channel in range(num_channels):
            for n in range(num_bins):
                value = spectra[channel, moment, n]
                power[channel, n] += np.float64(value.real) ** 2 + np.float64(value.imag) ** 2
            for band in range(num_bands):
                energy = 0.0
                for n in range(band * width, (band + 1) * width):
                    value = spectra[channel, moment, n]
                    energy += np.float64(value.real) ** 2 + np.float64(value.imag) ** 2
                active[band] |= energy > floor * width
        num_active += active
        if active.any():
            num_sounding += 1
        if num_channels == 2:
            for n in range(num_bins):
                cross[n] += np.complex128(spectra[0, moment, n]) * np.conj(
                    np.complex128(spectra[1, moment, n])
                )
    return num_sounding


@compiled("Tuple((float64[::1], float64[::1], int64, int64))(float32[::1], float64, float64)")
def times(wave: Floats, inner: float, outer: float) -> tuple[Doubles, Doubles, int, int]:
    """For each stretch above `outer` that reaches `inner`: frames above each, straight lines drawn between
    samples; and how many lows and highs lie above `inner`."""
    long, wide = np.empty(len(wave) // 2 + 1), np.empty(len(wave) // 2 + 1)
    num = num_lows = num_highs = 0
    time_inner = time_outer = 0.0
    for n in range(len(wave) - 1):
        here, there = np.float64(wave[n]), np.float64(wave[n + 1])
        high = max(here, there)
        if high <= outer:
            if time_inner > 0:
                long[num], wide[num] = time_inner, time_outer
                num += 1
            time_inner = time_outer = 0.0
            continue
        length = abs(there - here) + 1e-12
        time_outer += min(1.0, (high - outer) / length)
        time_inner += min(1.0, max(0.0, (high - inner) / length))
        if n > 0 and here >= inner:
            before = np.float64(wave[n - 1])
            if here < before and here < there:
                num_lows += 1
            if here > before and here > there:
                num_highs += 1
    if time_inner > 0:
        long[num], wide[num] = time_inner, time_outer
        num += 1
    return long[:num].copy(), wide[:num].copy(), num_lows, num_highs
