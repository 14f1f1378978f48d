"""What a check found: a table (CSV), curves and a paragraph (index.html), and all of it (JSON)."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from sao_model.evaluation.results import publish

PAGE, TABLE, FACTS = "index.html", "table.csv", "finding.json"
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 280, 64, 40  # of the picture, and of the room for its axes
_NUM_TICKS = 4
Cell = str | float | int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckCurve:
    """Points of one line; `low` and `high` are its 95 % range where there is one."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFinding:
    """One check of one model."""

    check: str  # its name
    title: str
    paragraph: str  # what the numbers say, in a few plain sentences
    x_label: str  # with its unit
    y_label: str
    curves: tuple[CheckCurve, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    made_with: Mapping[str, str]  # model, digest, sampler, machine …: in whose name the numbers are


def write(out: Path, finding: CheckFinding) -> Path:
    """Publish table, facts and page in a folder; the page's path."""
    out.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(finding.columns)
    writer.writerows(finding.rows)
    publish(out / TABLE, text.getvalue())
    publish(out / FACTS, json.dumps(asdict(finding), indent=1, sort_keys=True) + "\n")
    loader = PackageLoader("sao_model.evaluation")
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    page = pages.get_template("finding.html.j2").render(finding=finding, picture=_picture(finding.curves))
    publish(out / PAGE, page)
    return out / PAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    name: str
    path: str  # `d` of an SVG path
    band: str  # the same of its range, closed; '' for none
    dots: tuple[tuple[float, float], ...]


def _picture(curves: Sequence[CheckCurve]) -> dict[str, object]:
    """Lines, axes and ticks in the picture's coordinates."""
    xs = _axis([x for curve in curves for x in curve.x])
    ys = _axis([y for curve in curves for y in (*curve.y, *curve.low, *curve.high) if math.isfinite(y)])

    def at(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + (x - xs[0]) / (xs[-1] - xs[0]) * (_WIDTH - _LEFT - 8)
        up = (y - ys[0]) / (ys[-1] - ys[0]) * (_HEIGHT - _BOTTOM - 8)
        return round(across, 1), round(_HEIGHT - _BOTTOM - up, 1)

    lines = []
    for curve in curves:
        dots = [at(x, y) for x, y in zip(curve.x, curve.y, strict=True) if math.isfinite(y)]
        edge = [at(x, y) for x, y in zip(curve.x, curve.high, strict=True)] if curve.high else []
        edge += reversed([at(x, y) for x, y in zip(curve.x, curve.low, strict=True)] if curve.low else [])
        band = f"{_path(edge)}Z" if edge else ""
        lines.append(_Line(name=curve.name, path=_path(dots), band=band, dots=tuple(dots)))
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "left": _LEFT,
        "bottom": _HEIGHT - _BOTTOM,
        "lines": lines,
        "x_ticks": [(at(x, ys[0])[0], _number(x)) for x in xs],
        "y_ticks": [(at(xs[0], y)[1], _number(y)) for y in ys],
    }


def _axis(values: Sequence[float]) -> list[float]:
    """Round numbers from below the least to above the greatest value."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / _NUM_TICKS
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * times for times in (1, 2, 2.5, 5, 10) if size * times >= rough)
    first = math.floor(low / step)
    return [step * n for n in range(first, math.ceil(high / step - 1e-9) + 1)]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "".join(f"{'L' if n else 'M'}{x} {y}" for n, (x, y) in enumerate(points))


def _number(value: float) -> str:
    return f"{value + 0.0:.6g}"
