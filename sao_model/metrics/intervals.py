"""How sure a number is: 95 % intervals by the bootstrap over clips (Efron 1979), with fixed random numbers.

A mean's interval is the studentised one: how far resampled means lie from the mean, each in its own standard
errors, which skewed values need (Davison & Hinkley 1997, 5.2.1). A distance between sets is biased, and its
resampled values are so once more; the interval turned over ("basic", 5.2.2) takes that bias off again, to
first order in 1/n.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

NUM_RESAMPLES = 1_000
_FEWEST = 20  # values that are resampled; of fewer the mean has Student's interval
_PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float
    num: int  # clips or pairs it is of


def of_mean(values_N: npt.ArrayLike, *, num_resamples: int = NUM_RESAMPLES, seed: int = 0) -> Estimate:
    """The mean of values, one a clip; without interval (nan) of fewer than two."""
    values = np.asarray(values_N, np.float64)
    assert values.ndim == 1, values.shape
    assert len(values), "no clips"
    mean, num = float(values.mean()), len(values)
    if num < 2:
        return Estimate(value=mean, low=np.nan, high=np.nan, num=num)
    if num < _FEWEST:  # so few may all be drawn as one, and deviate by nothing
        error = values.std(ddof=1) / np.sqrt(num) * stdtrit(num - 1, _PERCENTILES[1] / 100)
        return Estimate(value=mean, low=float(mean - error), high=float(mean + error), num=num)
    random = np.random.default_rng(seed)
    resampled = np.stack([values[_drawn(random, num)] for _ in range(num_resamples)])
    errors = resampled.std(axis=1, ddof=1)
    is_spread = errors > 0  # of few or equal values some resamples are all one value
    low, high = np.percentile(
        np.where(is_spread, resampled.mean(axis=1) - mean, 0) / np.where(is_spread, errors, 1), _PERCENTILES
    )
    error = values.std(ddof=1)
    return Estimate(value=mean, low=float(mean - high * error), high=float(mean - low * error), num=num)


def of_difference(first_N: npt.ArrayLike, second_N: npt.ArrayLike, *, seed: int = 0) -> Estimate:
    """Mean of second less first, pair by pair: what is common to a prompt falls out."""
    first, second = np.asarray(first_N, np.float64), np.asarray(second_N, np.float64)
    assert first.shape == second.shape, (first.shape, second.shape)
    return of_mean(second - first, seed=seed)


def of_statistic(
    statistic: Callable[[Indices, Indices], float],
    nums: tuple[int, int],
    *,
    num_resamples: int,
    seed: int = 0,
) -> Estimate:
    """A statistic of two sets, called with the clips of either that are drawn; first with all of them."""
    value = statistic(np.arange(nums[0]), np.arange(nums[1]))
    random = np.random.default_rng(seed)
    drawn = [
        statistic(_drawn(random, nums[0]), _drawn(random, nums[1])) for _ in range(max(num_resamples, 2))
    ]
    low, high = np.percentile(drawn, _PERCENTILES)
    return Estimate(value=value, low=2 * value - float(high), high=2 * value - float(low), num=nums[1])


def _drawn(random: np.random.Generator, num: int) -> Indices:
    return random.integers(0, num, num)
