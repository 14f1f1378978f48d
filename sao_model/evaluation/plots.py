"""Two plots as shapes for SVG: how values of clips are spread, and where two sets lie beside one another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sao_model.metrics.embedded import Doubles, EmbeddedSet
from sao_model.monitoring.charts import shown

WIDTH, HEIGHT = 600, 220
_MOST_BARS = 30
_MOST_DOTS = 400  # of each set
_MARGIN = 0.05  # of the width and height


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Bars over values."""

    title: str
    bars: tuple[tuple[float, float, float, float], ...]  # x, y, width, height
    low: str  # value at the left and right end
    high: str
    mean_at: float  # x
    said: str  # in words


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """Clips of both sets on the two directions in which the reference varies most."""

    title: str
    reference: tuple[tuple[float, float], ...]
    measured: tuple[tuple[float, float], ...]
    said: str


def histogram(title: str, values: Sequence[float]) -> Histogram:
    """At least one value."""
    every = np.asarray(values, np.float64)
    low, high = float(every.min()), float(every.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    num = min(_MOST_BARS, max(5, math.ceil(math.sqrt(len(every)))))
    counts, _ = np.histogram(every, bins=num, range=(low, high))
    wide = WIDTH / num
    tall = (HEIGHT - 10) / max(int(counts.max()), 1)
    mean = float(every.mean())
    return Histogram(
        title=title,
        bars=tuple(
            (round(n * wide + 1, 1), round(HEIGHT - c * tall, 1), round(wide - 2, 1), round(c * tall, 1))
            for n, c in enumerate(counts.tolist())
            if c
        ),
        low=shown(low),
        high=shown(high),
        mean_at=round(WIDTH * (mean - low) / (high - low), 1),
        said=f"{title}: {len(every)} clips from {shown(low)} to {shown(high)}, mean {shown(mean)}",
    )


def scatter(title: str, measured: EmbeddedSet, reference: EmbeddedSet) -> Scatter | None:
    """None where there is nothing to see: fewer than three clips, or all the same."""
    one, other = reference.clips_ND, measured.clips_ND
    if len(one) < 3:
        return None
    _, sizes, directions = np.linalg.svd(one - one.mean(axis=0), full_matrices=False)
    if len(sizes) < 2 or not sizes[1]:
        return None
    both = [(each - one.mean(axis=0)) @ directions[:2].T for each in (_some(one), _some(other))]
    every = np.concatenate(both)
    low, high = every.min(axis=0), every.max(axis=0)
    near = (1 - 2 * _MARGIN) / np.maximum(high - low, 1e-12)
    places = [(_MARGIN + (each - low) * near) * (WIDTH, HEIGHT) for each in both]
    share = float(np.square(sizes[:2]).sum() / np.square(sizes).sum())
    return Scatter(
        title=title,
        reference=_dots(places[0]),
        measured=_dots(places[1]),
        said=f"{title}: the two main directions of the reference, with {share:.0%} of its variance",
    )


def _some(values: Doubles) -> Doubles:
    return values[np.unique(np.linspace(0, len(values) - 1, min(len(values), _MOST_DOTS)).astype(np.int64))]


def _dots(places: Doubles) -> tuple[tuple[float, float], ...]:
    return tuple((round(float(x), 1), round(HEIGHT - float(y), 1)) for x, y in places)
