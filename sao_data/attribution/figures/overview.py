"""statistics.json and statistics.html: what a dataset is made of, and what was left out. Same dataset, same
bytes; no script, no network; every word of others is escaped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

from sao_data.attribution import words
from sao_data.attribution.figures.columns import plot_of, plot_of_years, shown
from sao_data.attribution.figures.tally import Statistics
from sao_data.attribution.info import DatasetInfo
from sao_data.attribution.page import BAR, funnel, render, segments
from sao_data.attribution.plain import length, one_line
from sao_data.storage import layout


def statistics_files(info: DatasetInfo, found: Statistics) -> Iterator[tuple[str, bytes]]:
    """Both files, by their names in the dataset directory."""
    yield layout.STATISTICS, statistics_json(info, found)
    yield layout.STATISTICS_PAGE, statistics_page(info, found)


def statistics_json(info: DatasetInfo, found: Statistics) -> bytes:
    """All numbers of the page, with the version that they are of."""
    facts = {
        "name": info.name,
        "version": info.version,
        "root_digest": info.root_digest,
        "offered": info.offered,
        "kept": info.kept,
        "rejected": info.rejected,
        "rejected_by_reason": [[reason, number] for reason, number in info.rejected_by_reason],
        "clips": info.num_clips,
        "seconds": info.seconds,
        "named_authors": info.num_authors,
        "licenses": [dataclasses.asdict(tally) for tally in info.kept_by_license],
        **dataclasses.asdict(found),
    }
    text = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace") + b"\n"


def statistics_page(info: DatasetInfo, found: Statistics) -> bytes:
    """The page."""
    half = -(-len(found.tags) // 2)
    plots = {each.name: plot_of(each) for each in found.distributions}
    return render(
        "statistics.html.j2",
        info=info,
        title=f"{one_line(info.name)}, statistics",
        statement=words.statement(info),
        left_out=words.left_out(info),
        found=found,
        rates=[dataclasses.replace(each, word=f"{int(each.word):,}") for each in found.source_rates],
        segments=segments(info),
        steps=funnel(info),
        plots=plots,
        years=plot_of_years(found.years),
        tags=[part for part in (found.tags[:half], found.tags[half:]) if part],
        bar=BAR,
        most={
            name: max((each.recordings for each in getattr(found, name)), default=1)
            for name in ("sources", "source_rates", "codecs", "languages", "tags")
        },
    )


def chief_numbers(found: Statistics) -> tuple[tuple[str, str, str], ...]:
    """(what, median, middle nine tenths) for the card."""
    lines = []
    for each in found.distributions:
        median, low, high = (_told(value, each.unit) for value in (each.median, each.low, each.high))
        lines.append((each.title, median, f"{low} to {high}"))
    return tuple(lines)


def _told(value: float, unit: str) -> str:
    return length(value) if unit == "s" else f"{shown(value)} {unit}"
