"""What a run would ask of Freesound: counts per licence, requests, days at each level, size of the originals.

One request per licence: its count, and a page of 150 sounds whose mean size stands for all.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from sao_data.fetch.permits import LEVELS
from sao_data.records import Rendition
from sao_data.sources._common import rows
from sao_data.sources._freesound.search import Query, Search

_SEAMS = 1.015  # sounds that share a second with the last of a page are listed again: about 1 % in practice


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Requests to the API, all told; previews are not throttled and not among them."""

    counts: tuple[tuple[str, int], ...]  # licence name → sounds
    listing: int  # requests for a listing, done or not
    listed: int  # of which answers are stored already
    rereading: int  # requests to read every claim once more before its file is fetched
    originals: int  # one each
    num_bytes: int  # of the originals, by a sample
    seconds: float  # of audio, by the same sample

    @property
    def num_sounds(self) -> int:
        """Over all licences."""
        return sum(count for _, count in self.counts)

    @property
    def num_requests(self) -> int:
        """Still to be sent."""
        return max(0, self.listing - self.listed) + self.rereading + self.originals

    def days(self) -> tuple[tuple[int, float], ...]:
        """(throttling level, days) for what is still to be sent."""
        limits = ((level, windows.per_day) for level, windows in LEVELS.items() if windows)
        return tuple((level, self.num_requests / per_day) for level, per_day in limits if per_day)

    def lines(self) -> Iterator[str]:
        """For people."""
        for licence, count in self.counts:
            yield f"{licence:24s} {count:>10,} sounds"
        yield f"{'listing':24s} {self.listing:>10,} requests, {self.listed:,} of them answered already"
        yield f"{'reading claims again':24s} {self.rereading:>10,} requests"
        yield f"{'originals':24s} {self.originals:>10,} requests, about {self.num_bytes / 1e9:,.0f} GB"
        for level, days in self.days():
            yield f"{f'at level {level}':24s} {days:>10.1f} days"


def forecast(
    search: Search,
    filters: dict[str, str],
    text: str,
    *,
    num_named: int,
    rendition: Rendition,
    page_size: int,
    listed: int,
) -> Forecast:
    """Ask once for each of the filters, which go by the names of their licences; without filters, all that is
    known is how many sounds were named."""
    counts, num_bytes, seconds = [] if filters else [("named sounds", num_named)], 0.0, 0.0
    for licence, only in filters.items():
        page = search.ask(Query(filter=only, text=text, sort="score", page_size=page_size))
        sizes = [size for row in page.results if row and (size := rows.whole(row, "filesize")) is not None]
        counts.append((licence, page.count))
        lengths = [length for row in page.results if row and (length := rows.real(row, "duration"))]
        num_bytes += page.count * (statistics.fmean(sizes) if sizes else 0.0)
        seconds += page.count * (statistics.fmean(lengths) if lengths else 0.0)
    num_sounds, is_original = sum(count for _, count in counts), rendition == "original"
    pages = math.ceil(num_sounds / page_size)
    return Forecast(
        counts=tuple(counts),
        listing=math.ceil(pages * _SEAMS) if filters else pages,
        listed=listed,
        rereading=pages,
        originals=num_sounds if is_original else 0,
        num_bytes=round(num_bytes) if is_original else 0,
        seconds=seconds,
    )
