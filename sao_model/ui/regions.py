"""Regions of a sound as people type them: "1.0-2.5, 4-5", in seconds."""

from __future__ import annotations

import re

from sao_data.errors import UsageError

Regions = tuple[tuple[float, float], ...]

_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_REGION = re.compile(rf"{_NUMBER}\s*(?:-|–|—|to)\s*{_NUMBER}\s*s?")


def parse(text: str) -> Regions:
    """Regions in order, those that touch made one; UsageError for what is none."""
    found: list[tuple[float, float]] = []
    for part in filter(None, (part.strip() for part in re.split(r"[,;\n]", text))):
        match = _REGION.fullmatch(part)
        start, end = (float(match[1]), float(match[2])) if match else (0.0, 0.0)
        if start >= end:
            raise UsageError(f"regions: {part!r} is none; give seconds from and to, e.g. 1.0-2.5, 4-5")
        found.append((start, end))
    return _merged(sorted(found))


def text(regions: Regions) -> str:
    """The same in one line, to the hundredth of a second."""
    return ", ".join(f"{start:.2f}-{end:.2f}" for start, end in regions)


def _merged(ordered: list[tuple[float, float]]) -> Regions:
    merged: list[tuple[float, float]] = []
    for start, end in ordered:
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return tuple(merged)
