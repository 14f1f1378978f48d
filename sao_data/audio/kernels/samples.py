"""One pass over decoded floats: rounding to 16 bits, and what is measured of a file as its decoder gives it.

Largest and smallest samples are looked for among the bits of floats taken for whole numbers: these are in the
same order, NaN and infinity come out largest, and many are compared at once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sao_data.audio.kernels.compiled import compiled

Pcm = npt.NDArray[np.int16]
Floats = npt.NDArray[np.float32]
Bits = npt.NDArray[np.int32]  # of floats
Doubles = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

MAGNITUDE = 0x7FFF_FFFF
_LANES = 16
_RUN = 1_024  # samples that are looked at, or passed over, together


@compiled("int64(float32[::1], int32[::1], int16[::1], int64[::1])")
def to_pcm(samples: Floats, bits: Bits, pcm: Pcm, found: Whole) -> int:
    """Round to 16 bits (x 32,768, half to even), and clamp; each sample twice if there is room for that.

    Gives the bits of the largest magnitude; adds to `found` how many lie beyond full scale by more than
    rounding."""
    largest = np.int32(0)
    for n in range(len(bits)):
        largest = max(largest, np.int32(bits[n] & np.int32(MAGNITUDE)))
    num_beyond = 0
    if len(pcm) == len(samples):
        for n in range(len(samples)):
            scaled = np.rint(samples[n] * np.float32(32_768))
            num_beyond += (scaled > np.float32(32_768)) | (scaled < np.float32(-32_768))
            pcm[n] = np.int16(min(max(scaled, np.float32(-32_768)), np.float32(32_767)))
    else:
        for n in range(len(samples)):
            scaled = np.rint(samples[n] * np.float32(32_768))
            num_beyond += 2 * ((scaled > np.float32(32_768)) | (scaled < np.float32(-32_768)))
            value = np.int16(min(max(scaled, np.float32(-32_768)), np.float32(32_767)))
            pcm[2 * n] = value
            pcm[2 * n + 1] = value
    found[0] += num_beyond
    return int(largest)


@compiled("void(float32[:, ::1], int64[::1], float32[:, ::1])")
def take(block: Floats, kept: Whole, planar: Floats) -> None:
    """One or two channels of (frames, channels), each for itself."""
    num_channels = block.shape[1]
    samples = block.reshape(-1)
    left = planar[0]
    if num_channels == 1:
        left[:] = samples
    elif num_channels == 2 and kept[0] == 0 and kept[1] == 1:
        right = planar[1]
        for n in range(len(left)):
            left[n] = samples[2 * n]
            right[n] = samples[2 * n + 1]
    else:
        for channel in range(len(kept)):
            for n in range(len(left)):
                planar[channel, n] = block[n, kept[channel]]


@compiled("void(int32[::1], int32[::1])")
def find_extremes(bits: Bits, found: Bits) -> None:
    """Bits of the largest sample, and of the smallest with its sign turned, if above 0; of one channel."""
    largest = smallest = np.int32(0)
    for n in range(len(bits)):
        largest = max(largest, bits[n])  # below 0 is below all of these
        smallest = max(smallest, np.int32(bits[n] ^ np.int32(-0x8000_0000)))
    found[0], found[1] = largest, smallest


@compiled("int64(float32[::1], float32, float32, float32, int64[::1], int64[::1])")
def crowd(
    wave: Floats, sign: np.float32, limit: np.float32, top: np.float32, bins: Whole, place: Whole
) -> int:
    """Samples from `limit` on into a histogram of steps of 1 / 2,048; gives how many reach `top`, and puts
    the place of the largest into `place`."""
    num_top, largest = 0, np.float32(0)
    last = np.float32(len(bins) - 1)
    for start in range(0, len(wave), _RUN):
        end = min(start + _RUN, len(wave))
        num_near = 0
        for n in range(start, end):
            num_near += sign * wave[n] >= limit
        if num_near == 0:
            continue
        for n in range(start, end):
            value = sign * wave[n]
            if value < limit:
                continue
            bins[np.int64(min(value * np.float32(2_048), last))] += 1
            num_top += value >= top
            if value > largest:
                largest, place[0] = value, n
    return num_top


@compiled("void(float32[::1], float32[::1], int64, int64, float64[:, ::1])")
def _add(left: Floats, right: Floats, start: int, end: int, lanes: Doubles) -> None:
    """Sums of products, in lanes that are added up later in one order."""
    for first in range(start, end, _LANES):
        for lane in range(_LANES):
            one, other = np.float64(left[first + lane]), np.float64(right[first + lane])
            lanes[0, lane] += one
            lanes[1, lane] += other
            lanes[2, lane] += one * one
            lanes[3, lane] += one * other
            lanes[4, lane] += other * other
            lanes[5, lane] += (one - other) * (one - other)


@compiled("void(float32[:, ::1], int64, float64[::1], float64[::1])")
def add_up(planar: Floats, size: int, sums: Doubles, power: Doubles) -> None:
    """Add to `sums` those of each channel, then left squared, left by right, right squared and difference
    squared; `power`: mean square of each whole block of `size` frames, of both channels."""
    left, right = planar[0], planar[len(planar) - 1]
    lanes = np.zeros((6, _LANES))
    ends = np.zeros((2, _LANES), np.float32)
    for block in range(len(power) + 1):
        start = block * size
        end = start + size if block < len(power) else len(left)
        even = end - (end - start) % _LANES
        _add(left, right, start, even, lanes)
        ends[:] = 0
        ends[0, : end - even] = left[even:end]
        ends[1, : end - even] = right[even:end]
        _add(ends[0], ends[1], 0, _LANES, lanes)
        if block < len(power):
            power[block] = (lanes[2].sum() + lanes[4].sum()) / (2 * size)
        for row in range(6):
            sums[row] += lanes[row].sum()
        lanes[:] = 0.0
