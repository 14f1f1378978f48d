"""Bins as columns of an SVG that is as wide as the page lets it be: across in percent, up in pixels.

So nothing is stretched, and what is written in it stays as large as the text around it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from sao_data.attribution.figures.tally import Bin, Distribution, WordCount
from sao_data.attribution.plain import count, length

HEIGHT = 150  # px, of the tallest column
_MOST_LABELS = 7  # under the columns; they stand apart at 400 px
_MOST_YEARS = 40  # columns, beyond which they are decades
_ROUND = (1, 2, 4, 5, 10, 20, 50, 100)  # from one label to the next
_TOPS = (1, 2, 4, 6, 8, 10, 12, 16, 20, 24, 30, 40, 50, 60, 80, 100)
_GAP = 0.12  # of a column's room, to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One bin: where it stands in percent, how high in pixels, and what it says."""

    x: float
    width: float
    y: float
    height: float
    said: str  # "-20 to -18 LUFS: 12 clips, 3 min 20 s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A number under the columns, or a line across them."""

    at: float  # percent from the left, or pixels from the top
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One distribution, drawn."""

    name: str
    title: str
    of: str
    meaning: str
    summary: str  # in words: median and the middle nine tenths
    columns: tuple[Column, ...]
    labels: tuple[Label, ...]
    lines: tuple[Label, ...]
    median: float | None  # percent from the left


def plot_of(found: Distribution) -> Plot:
    """The plot of a distribution."""
    noun, unit = found.of, found.unit
    middle = f"nine in ten between {shown(found.low)} and {shown(found.high)} {unit}"
    summary = f"{count(found.count, noun)}; half lie below {shown(found.median)} {unit}, {middle}"
    if found.without:
        summary += f". {count(found.without, noun)} without a value"
    edges = [*(each.low for each in found.bins), found.bins[-1].high]
    return Plot(
        name=found.name,
        title=found.title,
        of=noun,
        meaning=found.meaning,
        summary=f"{summary}.",
        columns=_columns([(_range(each, unit), each.count, each.seconds) for each in found.bins], noun),
        labels=_labels(edges, unit),
        lines=_lines(max(each.count for each in found.bins)),
        median=_place(found.median, found.bins),
    )


def plot_of_years(years: Sequence[WordCount]) -> Plot | None:
    """Recordings by year, or by decade where there are many; None if no year is stated."""
    known = {int(each.word): each for each in years if each.word}
    if not known:
        return None
    first, last = min(known), max(known)
    step = 1 if last - first < _MOST_YEARS else 10
    first -= first % step
    items: list[tuple[str, int, float]] = []
    for start in range(first, last + 1, step):
        there = [known[year] for year in range(start, start + step) if year in known]
        said = f"{start}" if step == 1 else f"{start} to {start + 9}"
        items.append((said, sum(e.recordings for e in there), round(sum(e.seconds for e in there), 3)))
    num, without = sum(e.recordings for e in known.values()), sum(e.recordings for e in years if not e.word)
    names = [Label(at=(n + 0.5) * 100 / len(items), text=each[0][:4]) for n, each in enumerate(items)]
    every = -(-len(names) // _MOST_LABELS)
    return Plot(
        name="years",
        title="Year",
        of="recording",
        meaning="of the work, as its source states it",
        summary=f"{count(num, 'recording')} with a year, {without:,} without.",
        columns=_columns(items, "recording"),
        labels=tuple(names[::every]),
        lines=_lines(max(num for _, num, _ in items)),
        median=None,
    )


def shown(value: float) -> str:
    """A number for people, with a true minus."""
    text = f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:,.4g}"
    return text.replace("-", "\N{MINUS SIGN}")


def _columns(items: Sequence[tuple[str, int, float]], noun: str) -> tuple[Column, ...]:
    """The tallest column is as high as the first line, a round number at or above it."""
    room, most = 100 / len(items), _top(max(num for _, num, _ in items))
    return tuple(
        Column(
            x=round(room * (place + _GAP / 2), 3),
            width=round(room * (1 - _GAP), 3),
            y=round(HEIGHT - HEIGHT * num / most, 1),
            height=round(HEIGHT * num / most, 1),
            said=f"{said}: {count(num, noun)}, {length(seconds)}",
        )
        for place, (said, num, seconds) in enumerate(items)
    )


def _labels(edges: Sequence[float | None], unit: str) -> tuple[Label, ...]:
    """Some of the edges, equally far apart, at multiples of a round number where bins are equally wide."""
    known = [(place, edge) for place, edge in enumerate(edges) if edge is not None]
    least = -(-len(edges) // _MOST_LABELS)
    widths = {round(after - before, 6) for (_, before), (_, after) in itertools.pairwise(known)}
    width = min(widths, default=0.0)
    steps = (each for each in _ROUND if len(widths) == 1 and each >= least * width and each % width == 0)
    step = next(steps, None)
    chosen = [(place, edge) for place, edge in known if step and edge % step == 0]
    if not chosen:
        chosen = [(place, edge) for place, edge in known if place % least == known[0][0] % least]
    last = len(edges) - 1
    return tuple(Label(at=round(100 * place / last, 3), text=_short(edge, unit)) for place, edge in chosen)


def _short(edge: float, unit: str) -> str:
    """Long times in minutes and hours."""
    if unit == "s" and edge >= 60:
        return f"{shown(edge / 60)} min" if edge < 3600 else f"{shown(edge / 3600)} h"
    return shown(edge)


def _range(each: Bin, unit: str) -> str:
    if each.low is None or each.high is None:
        end = each.high if each.low is None else each.low
        assert end is not None, each
        return f"{'below' if each.low is None else 'above'} {shown(end)} {unit}"
    return f"{shown(each.low)} to {shown(each.high)} {unit}"


def _lines(most: int) -> tuple[Label, ...]:
    top = _top(most)
    halves = (top, top // 2) if top % 2 == 0 else (top,)
    return tuple(Label(at=round(HEIGHT - HEIGHT * value / top, 1), text=f"{value:,}") for value in halves)


def _top(most: int) -> int:
    """A round number that is not below."""
    unit = int("1" + "0" * max(0, len(str(most)) - 2))
    return next(times * unit for times in (*_TOPS, *(10 * each for each in _TOPS)) if times * unit >= most)


def _place(value: float, bins: Sequence[Bin]) -> float | None:
    """Where a value lies among bins of equal width, in percent; None in one without end."""
    for place, each in enumerate(bins):
        if each.low is not None and each.high is not None and each.low <= value <= each.high:
            return round(100 * (place + (value - each.low) / (each.high - each.low)) / len(bins), 3)
    return None
