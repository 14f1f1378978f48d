"""Round numbers for grids and for the edges of histograms: 1, 2 and 5 times powers of ten.

They are read from their decimal spelling: 3 times 0.1 is 0.3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from sao_data.dataset.tuning.results import HistogramBar

NUM_STEPS = 8  # of a grid
_NUM_BARS = 16
_MIDDLE = (2, 98)  # percent of the values that a grid spans
Floats = npt.NDArray[np.float64]
_MANTISSAS = (1, 2, 5)


def histogram(values: Floats, *, is_log: bool) -> Iterator[HistogramBar]:
    """At most some sixteen bars between round numbers; what is 0 or less has one of its own on a scale of
    decades."""
    if not len(values):
        return
    low, high = float(values.min()), float(values.max())
    if is_log and (above := values[values > 0]).size:
        if len(above) < len(values):
            yield HistogramBar(low=min(low, 0.0), high=0.0, num_clips=len(values) - len(above))
        values, edges = above, decades(float(above.min()), high, _NUM_BARS + 1)
    else:
        edges = linear(low, high, _NUM_BARS)
    edges = edges if len(edges) > 1 else [edges[0], edges[0]]
    counts, _ = np.histogram(values, np.array(edges)) if edges[0] < edges[-1] else ([len(values)], None)
    for start, end, count in zip(edges, edges[1:], counts, strict=False):
        yield HistogramBar(low=start, high=end, num_clips=int(count))


def grid(values: Floats, is_log: bool) -> list[float]:
    """Round thresholds across the middle of the values."""
    if not len(values):
        return []
    low, high = (float(each) for each in np.percentile(values, _MIDDLE))
    if is_log and (above := values[values > 0]).size:
        low = max(low, float(np.percentile(above, _MIDDLE[0])))
        return decades(low, max(low, high), NUM_STEPS)
    return linear(low, high, NUM_STEPS)


def linear(low: float, high: float, most: int) -> list[float]:
    """Equally far apart, from the last at or below `low` to the first at or above `high`; at most `most`
    steps, two more where the ends are not round."""
    if low >= high:
        return [low]
    mantissa, power = next(
        (mantissa, power)
        for power in range(math.floor(math.log10((high - low) / most)), 99)
        for mantissa in _MANTISSAS
        if (high - low) / _number(mantissa, power) <= most
    )
    step = _number(mantissa, power)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [_number(number * mantissa, power) for number in range(first, last + 1)]


def decades(low: float, high: float, most: int) -> list[float]:
    """1, 2, 5, 10 … from the last at or below `low` (above 0) to the first at or above `high`; every second
    or further one where there would be more than `most`."""
    assert 0 < low <= high, (low, high)
    found = list(_between(low, high))
    every = -(-len(found) // most)
    return found[::every] if (len(found) - 1) % every == 0 else [*found[::every], found[-1]]


def _between(low: float, high: float) -> Iterator[float]:
    first = math.floor(math.log10(low))
    numbers = [_number(m, power) for power in range(first - 1, 99) for m in _MANTISSAS]
    place = max(n for n, number in enumerate(numbers) if number <= low)
    for number in numbers[place:]:
        yield number
        if number >= high:
            return


def _number(mantissa: int, power: int) -> float:
    return float(f"{mantissa}e{power}")
