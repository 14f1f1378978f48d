"""How much of what is made lies where the reference lies, and how much of the reference is reached.

Precision and recall (Kynkäänniemi et al. 2019): the share of one set inside the balls around the other's
clips that reach to their k-th neighbour. Density and coverage (Naeem et al. 2020) are less moved by outliers.

    N clips of the reference   M of what is measured   D dimensions
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

NEIGHBOURS = 5  # k; Naeem et al., 4
_ROWS = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Shares, 0 to 1; density may exceed 1."""

    precision: float
    recall: float
    density: float
    coverage: float


def coverage(reference_ND: npt.ArrayLike, measured_MD: npt.ArrayLike, k: int = NEIGHBOURS) -> Coverage:
    """All four, of two sets of more than k clips each."""
    one, other = np.asarray(reference_ND, np.float64), np.asarray(measured_MD, np.float64)
    assert one.shape[1:] == other.shape[1:], (one.shape, other.shape)
    assert min(len(one), len(other)) > k, (len(one), len(other), k)
    reach_N, reach_M = _reach(one, k), _reach(other, k)
    inside_M, is_near_N = np.zeros(len(other)), np.zeros(len(one), bool)
    is_recalled_N = np.zeros(len(one), bool)
    for start in range(0, len(one), _ROWS):
        rows = slice(start, start + _ROWS)
        distances = _distances(one[rows], other)
        holds = distances <= reach_N[rows, None]
        inside_M += holds.sum(axis=0)
        is_near_N[rows] = holds.any(axis=1)
        is_recalled_N[rows] = (distances <= reach_M).any(axis=1)
    return Coverage(
        precision=float((inside_M > 0).mean()),
        recall=float(is_recalled_N.mean()),
        density=float(inside_M.mean() / k),
        coverage=float(is_near_N.mean()),
    )


def _reach(values: Doubles, k: int) -> Doubles:
    """Distance of each clip to its k-th neighbour in its own set."""
    found = np.empty(len(values))
    for start in range(0, len(values), _ROWS):
        rows = _distances(values[start : start + _ROWS], values)
        found[start : start + _ROWS] = np.partition(rows, k, axis=1)[:, k]  # place 0 is the clip itself
    return found


def _distances(one: Doubles, other: Doubles) -> Doubles:
    lengths = np.square(one).sum(axis=1)[:, None] + np.square(other).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(lengths - 2 * (one @ other.T), 0)))
