"""Kernel audio distance (Chung et al. 2025, arXiv 2502.15602): the unbiased squared maximum mean discrepancy
(Gretton et al. 2012, eq. 3) of two sets of embeddings, with a Gaussian kernel whose bandwidth is the median
distance within the reference, times 100.

Valid for few clips, where a Fréchet distance is mostly bias; may come out below 0 where the sets are alike.
Its variance is the jackknife's over the clips of both sets, which takes nothing but sums over rows.

    N clips of the reference   M of what is measured   D dimensions
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

SCALE = 100.0  # as the authors' toolkit prints it
_ROWS = 1_024  # of a kernel matrix held at once: 80 MB for 10,000 columns
_MOST_PAIRED = 2_000  # clips of the reference whose distances the bandwidth is the median of
_Z = 1.959963984540054  # 97.5 % of the standard normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelDistance:
    """The distance and how sure it is."""

    value: float
    low: float  # 95 % interval
    high: float
    bandwidth: float


def bandwidth_of(reference_ND: npt.ArrayLike) -> float:
    """Median distance of two clips of the reference; of 2,000 spread over it where there are more."""
    values = np.asarray(reference_ND, np.float64)
    if len(values) > _MOST_PAIRED:
        values = values[np.linspace(0, len(values) - 1, _MOST_PAIRED).astype(np.int64)]
    upper = np.triu_indices(len(values), 1)
    return float(np.sqrt(np.median(_squared(values, values)[upper])))


def distance(
    reference_ND: npt.ArrayLike, measured_MD: npt.ArrayLike, bandwidth: float | None = None
) -> KernelDistance:
    """Distance of two sets of two clips or more, in memory that does not grow with their product."""
    one, other = np.asarray(reference_ND, np.float64), np.asarray(measured_MD, np.float64)
    assert one.shape[1:] == other.shape[1:], (one.shape, other.shape)
    assert min(len(one), len(other)) > 1, (one.shape, other.shape)
    width = bandwidth_of(one) if bandwidth is None else bandwidth
    within_N, _ = _sums(one, one, width)
    within_M, _ = _sums(other, other, width)
    across_N, across_M = _sums(one, other, width)
    within_N, within_M = within_N - 1, within_M - 1  # the kernel of a clip and itself
    n, m = len(one), len(other)
    value = _combined(within_N.sum(), within_M.sum(), across_N.sum(), n, m)
    left_out = (
        _combined(within_N.sum() - 2 * within_N, within_M.sum(), across_N.sum() - across_N, n - 1, m),
        _combined(within_N.sum(), within_M.sum() - 2 * within_M, across_N.sum() - across_M, n, m - 1),
    )
    variance = sum((len(each) - 1) * each.var() for each in left_out)
    error = _Z * math.sqrt(variance)
    return KernelDistance(
        value=SCALE * float(value),
        low=SCALE * float(value - error),
        high=SCALE * float(value + error),
        bandwidth=width,
    )


def _combined(within_n: Doubles, within_m: Doubles, across: Doubles, n: int, m: int) -> Doubles:
    """The estimate from sums of the kernel over pairs; a set of one clip has none."""
    pairs_n, pairs_m = max(n * (n - 1), 1), max(m * (m - 1), 1)
    return np.asarray(within_n / pairs_n + within_m / pairs_m - 2 * across / (n * m))


def _sums(one: Doubles, other: Doubles, width: float) -> tuple[Doubles, Doubles]:
    """Sums of the kernel matrix over its rows and over its columns."""
    rows, columns = np.zeros(len(one)), np.zeros(len(other))
    for start in range(0, len(one), _ROWS):
        squared = _squared(one[start : start + _ROWS], other)
        kernel = np.exp(np.negative(squared, out=squared) / (2 * width**2), out=squared)
        rows[start : start + _ROWS] = kernel.sum(axis=1)
        columns += kernel.sum(axis=0)
    return rows, columns


def _squared(one: Doubles, other: Doubles) -> Doubles:
    """Squared distances of all pairs."""
    lengths = np.square(one).sum(axis=1)[:, None] + np.square(other).sum(axis=1)
    return np.asarray(np.maximum(lengths - 2 * (one @ other.T), 0))
