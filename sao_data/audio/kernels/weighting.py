"""K-weighted energy and peaks of 16-bit stereo (BS.1770-4, annex 1), many stretches at once.

A recursive filter waits for itself at every sample. Here segments of a stretch run side by side, each begun
0.05 s early: by then what the filters remember of what was before has died away by 1e-5 (2e-9 LU).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sao_data.audio.kernels.compiled import compiled

Pcm = npt.NDArray[np.int16]
Doubles = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Places = npt.NDArray[np.uint64]

HOP = 4_410  # frames at 44.1 kHz: 0.1 s, the step of gating blocks
NUM_LANES = 16  # of one channel each, side by side
_LOOKED_AT = 2_048  # samples compared before it is asked whether any differ
_EARLY = HOP // 2  # frames before a segment from which on it is filtered


@compiled("void(int16[::1], uint64[::1], int64, int64, float64[::1], float64[:, :, ::1])")
def weigh(
    samples: Pcm, firsts: Places, num_hops: int, rest: int, filters: Doubles, energies: Doubles
) -> None:
    """Energy of `num_hops` hops of every second sample, from a hop behind each of 16 places on.

    `filters`: b0 b1 b2 a1 a2 of the shelf, a1 a2 of the high pass, whose numerator is 1 -2 1.
    `energies`: (2, num_hops, 16) in squared 16-bit steps, of the first `rest` frames of a hop, and of all.
    """
    b0, b1, b2, a1, a2, c1, c2 = filters
    now = np.zeros((6, NUM_LANES))  # samples, two states of each filter, energy
    for hop in range(-1, num_hops):
        for part in range(2):
            for t in range(max(part * rest, _EARLY if hop < 0 else 0), rest if part == 0 else HOP):
                place = np.uint64(2 * ((hop + 1) * HOP + t))  # unsigned: none is counted from the end
                for lane in range(NUM_LANES):
                    now[0, lane] = samples[firsts[lane] + place]
                for lane in range(NUM_LANES):
                    x = now[0, lane]
                    y = b0 * x + now[1, lane]
                    now[1, lane] = b1 * x - a1 * y + now[2, lane]
                    now[2, lane] = b2 * x - a2 * y
                    z = y + now[3, lane]
                    now[3, lane] = -2.0 * y - c1 * z + now[4, lane]
                    now[4, lane] = y - c2 * z
                    now[5, lane] += z * z
            if hop >= 0:
                energies[part, hop] = now[5]
        now[5] = 0.0


@compiled("boolean(int16[::1])")
def is_dual(samples: Pcm) -> bool:
    """Are left and right the same throughout?"""
    for start in range(0, len(samples), _LOOKED_AT):
        block = samples[start : start + _LOOKED_AT]
        differences = np.int16(0)
        for n in range(len(block) // 2):
            differences |= block[2 * n] ^ block[2 * n + 1]
        if differences:
            return False
    return True


@compiled("void(int16[::1], int64, int64, int64[::1])")
def count_silent(samples: Pcm, size: int, limit: int, found: Whole) -> None:
    """Add to `found`: the largest sample so far, blocks of `size` samples, those with none above `limit`."""
    for start in range(0, len(samples), size):
        high = low = np.int16(0)
        block = samples[start : start + size]
        for n in range(len(block)):
            high = max(high, block[n])
            low = min(low, block[n])
        peak = int(max(np.int64(high), -np.int64(low)))
        found[0] = max(found[0], peak)
        found[1] += 1
        found[2] += peak <= limit
