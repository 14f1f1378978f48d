"""Curves as SVG paths in a box that stretches with the page; what is written on the axes stands beside it.

A box is 1000 wide and 240 high, whatever the units: x are steps, y are values, or their logarithms where all
are above zero and the greatest is more than thirty times the least.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sao_model.monitoring import logs
from sao_model.monitoring.logs import Points

WIDTH, HEIGHT = 1000, 240
_WIDE = 30.0  # greatest over least value, beyond which a scale is logarithmic
_MOST = 1000  # points of a curve
_MARGIN = 0.04  # of the height, above and below the curves


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One line of a chart."""

    name: str
    path: str  # `d` of an SVG path
    smooth: str  # the same of means, where there are more points than columns; else ''
    dot: tuple[float, float] | None  # where a curve of one point is
    said: str  # in words: first, last, least, greatest


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A line across the box, and what it stands for; in percent from the top or the left."""

    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Some curves over steps."""

    title: str
    meaning: str
    is_log: bool
    curves: tuple[Curve, ...]
    values: tuple[Tick, ...]
    steps: tuple[Tick, ...]
    latest: str


def draw(
    title: str, meaning: str, found: Mapping[str, Points], last_step: int, *, may_be_log: bool = True
) -> Chart:
    """A chart of named curves from step 0 to the last one; each has at least one point."""
    thin = {name: logs.thinned(points, _MOST) for name, points in found.items()}
    every = [value for points in thin.values() for _, value in points]
    is_log = may_be_log and min(every) > 0 and max(every) > _WIDE * min(every)
    low, high = _range(every)
    curves = [
        _curve(name, points, thin[name], last_step, (low, high), is_log) for name, points in found.items()
    ]
    return Chart(
        title=title,
        meaning=meaning,
        is_log=is_log,
        curves=tuple(curves),
        values=tuple(
            Tick(at=100 * _up(value, (low, high), is_log), text=shown(value))
            for value in _ticks(low, high, is_log)
        ),
        steps=tuple(
            Tick(at=100 * step / last_step, text=f"{step:,}")
            for step in sorted({0, last_step // 2, last_step})
        ),
        latest=", ".join(shown(points[-1][1]) for points in found.values()),
    )


def across(steps: Sequence[int], last_step: int) -> tuple[float, ...]:
    """Where in a box steps are; those that would fall on one another once."""
    return tuple(sorted({round(WIDTH * step / last_step, 1) for step in steps}))


def shown(value: float) -> str:
    """A number for people: four digits that say something."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:.2e}"


def _curve(
    name: str, points: Points, thin: Points, last_step: int, limits: tuple[float, float], is_log: bool
) -> Curve:
    values = [value for _, value in thin]
    first, last = (f"{shown(value)} at step {step:,}" for step, value in (points[0], points[-1]))
    smooth = logs.averaged(points, _MOST) if len(points) > _MOST else []
    (only,) = _places(points, last_step, limits, is_log) if len(points) == 1 else (None,)
    return Curve(
        name=name,
        path=_path(_places(thin, last_step, limits, is_log)),
        smooth=_path(_places(smooth, last_step, limits, is_log)),
        dot=only,
        said=f"{name}: {first}, {last}; least {shown(min(values))}, greatest {shown(max(values))}",
    )


def _places(
    points: Points, last_step: int, limits: tuple[float, float], is_log: bool
) -> list[tuple[float, float]]:
    wide = WIDTH / last_step
    return [(wide * step, HEIGHT * _up(value, limits, is_log)) for step, value in points]


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join([f"{x:.1f} {y:.1f}" for x, y in places]) if places else ""


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Least and greatest value of the box; some room where all are the same."""
    low, high = min(values), max(values)
    if low == high:
        room = abs(low) / 10 or 1.0
        return low - room, high + room
    return low, high


def _up(value: float, limits: tuple[float, float], is_log: bool) -> float:
    """Share of the height from the top."""
    low, high = limits
    if is_log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return _MARGIN + (1 - 2 * _MARGIN) * (high - value) / (high - low)


def _ticks(low: float, high: float, is_log: bool) -> list[float]:
    """Three to six round numbers between the limits."""
    if is_log:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        every, times = max(1, len(powers) // 4), (1, 3) if high < 1000 * low else (1,)
        found = [10.0**power * factor for power in powers[::every] for factor in times]
        return [value for value in found if low <= value <= high]
    unit = 10.0 ** math.floor(math.log10(high - low))
    step = next(unit * times for times in (5, 2, 1, 0.5, 0.2) if (high - low) / (unit * times) >= 3)
    return [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
