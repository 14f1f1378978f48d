"""One pass over decoded floats: rounding to 16 bits, and what is measured of a file as its decoder gives it.

Largest and smallest samples are looked for among the bits of floats taken for whole numbers: these are in the
same order, NaN and infinity come out largest, and many are compared
at once. (Slices as long as the loop let LLVM use vectors.)
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
RUN = 128  # samples that are looked at, or passed over, together
_LANES = 32
_SUMMED = 4_096  # frames at most that are summed in single precision: 128 in a lane


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


@compiled("void(int32[::1], int32[:, ::1])")
def find_extremes(bits: Bits, found: Bits) -> None:
    """Of each run of a channel the bits of the largest sample, and of the smallest with its sign turned; 0 if
    none is above 0."""
    for run in range(found.shape[1]):
        largest = smallest = np.int32(0)
        part = bits[run * RUN : (run + 1) * RUN]
        for n in range(len(part)):
            largest = max(largest, part[n])  # below 0 is below all of these
            smallest = max(smallest, np.int32(part[n] ^ np.int32(-0x8000_0000)))
        found[0, run], found[1, run] = largest, smallest


@compiled("int64(float32[::1], float32, float32[::1], float32, float32, int64[::1], int64[::1])")
def crowd(
    wave: Floats,
    sign: np.float32,
    peaks: Floats,
    limit: np.float32,
    top: np.float32,
    bins: Whole,
    place: Whole,
) -> int:
    """Samples from `limit` on into a histogram of steps of 1 / 2,048; gives how many reach `top`, and puts
    the place of the largest into `place`. `peaks`: the largest sample of each run."""
    num_top, largest = 0, np.float32(0)
    last = np.float32(len(bins) - 1)
    for run in range(len(peaks)):
        if peaks[run] < limit:
            continue
        for n in range(run * RUN, min((run + 1) * RUN, len(wave))):
            value = sign * wave[n]
            if value < limit:
                continue
            bins[np.int64(min(value * np.float32(2_048), last))] += 1
            num_top += value >= top
            if value > largest:
                largest, place[0] = value, n
    return num_top


@compiled("void(float32[::1], float32[::1], int64, int64, float32[:, ::1])")
def _add(left: Floats, right: Floats, start: int, end: int, lanes: Floats) -> None:
    """Sums of products, in lanes that are added up later in one order."""
    for first in range(start, end, _LANES):
        these, those = left[first : first + _LANES], right[first : first + _LANES]
        for lane in range(_LANES):
            one, other = these[lane], those[lane]
            lanes[0, lane] += one
            lanes[1, lane] += other
            lanes[2, lane] += one * one
            lanes[3, lane] += one * other
            lanes[4, lane] += other * other
            lanes[5, lane] += (one - other) * (one - other)


@compiled("void(float32[:, ::1], int64, float64[::1], float64, float64, int64[::1])")
def add_up(
    planar: Floats, size: int, sums: Doubles, lowest: float, per_decibel: float, levels: Whole
) -> None:
    """Add to `sums` those of each channel, then left squared, left by right, right squared and difference
    squared; and to `levels` each whole block of `size` frames that is not zero, by its mean square in dB."""
    left, right = planar[0], planar[len(planar) - 1]
    lanes = np.zeros((6, _LANES), np.float32)
    ends = np.zeros((2, _LANES), np.float32)
    block_sums = np.zeros(6)
    num_blocks = len(left) // size
    for block in range(num_blocks + 1):
        block_end = (block + 1) * size if block < num_blocks else len(left)
        for start in range(block * size, block_end, _SUMMED):
            end = min(start + _SUMMED, block_end)
            even = end - (end - start) % _LANES
            _add(left, right, start, even, lanes)
            ends[:] = 0
            ends[0, : end - even] = left[even:end]
            ends[1, : end - even] = right[even:end]
            _add(ends[0], ends[1], 0, _LANES, lanes)
            for row in range(6):
                for lane in range(_LANES):
                    block_sums[row] += np.float64(lanes[row, lane])
            lanes[:] = 0
        power = (block_sums[2] + block_sums[4]) / (2 * size)
        if block < num_blocks and power > 0:
            place = (10 * np.log10(power) - lowest) * per_decibel
            levels[np.int64(min(max(place, 0.0), len(levels) - 1.0))] += 1
        sums += block_sums
        block_sums[:] = 0.0
