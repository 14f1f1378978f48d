"""The HTML report: one page, or an index with pages of works; no script, no network, all text escaped.

jinja2 escapes every value; links pass `safe_url`; the content policy in each page allows its own style and
nothing else, so that even a mistake here could not run anything.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sao_data.attribution import words
from sao_data.attribution.credit import changes_text, credit
from sao_data.attribution.info import DatasetInfo
from sao_data.attribution.plain import (
    author_key,
    count,
    length,
    one_line,
    reason_in_words,
    safe_url,
    shorten,
)
from sao_data.licences import license_name
from sao_data.records import CatalogueRow

WORKS_PER_PAGE = 5000  # 5 MB of HTML: what a phone still opens
MAX_LEFT_OUT = 50  # rejected recordings listed one by one on the front page; dropped.csv has all
MAX_SHARDS = 200
BAR = 1000  # units across a bar


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkView:
    """One work as the table shows it."""

    id: str
    anchor: str
    title: str
    href: str
    author: str
    author_href: str
    license: str
    license_href: str
    tone: str  # CSS class of the licence family
    claim: str  # the source's words, where the licence has no version
    notice: str
    wish: str
    changes: str
    length: str
    shards: str
    credit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the funnel: what is left after it, and what it took away, in units of a BAR."""

    words: str
    reason: str
    count: int
    left: float
    taken: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One licence in the licence bar."""

    x: float
    width: float
    tone: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One credited author, with the place of their first work."""

    name: str
    href: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPage:
    """One page of works."""

    name: str
    number: int
    first: str
    last: str
    works: Sequence[CatalogueRow]


def html_files(
    info: DatasetInfo,
    kept: Sequence[CatalogueRow],
    dropped: Sequence[CatalogueRow],
    *,
    per_page: int = WORKS_PER_PAGE,
) -> Iterator[tuple[str, bytes]]:
    """index.html, and works-0001.html … where there are more than `per_page` works; rows in report order."""
    pages = _pages(kept, per_page) if len(kept) > per_page else ()
    views = [] if pages else [_work_view(row) for row in kept]
    people = [] if pages else _people(kept)
    index = {"works": views, "pages": pages, "people": people, **_front(info, dropped)}
    yield "index.html", render("index.html.j2", info=info, title=one_line(info.name), **index)
    for page in pages:
        works = [_work_view(row) for row in page.works]
        title = f"{one_line(info.name)}, works {page.number} of {len(pages)}"
        near = {"before": pages[page.number - 2] if page.number > 1 else None, "after": None}
        if page.number < len(pages):
            near["after"] = pages[page.number]
        yield page.name, render("works.html.j2", info=info, title=title, page=page, works=works, **near)


def anchor(recording_id: str) -> str:
    """Name of a work's row: a link to `index.html#freesound-4211` stays good as long as the id does."""
    return recording_id.replace(":", "-")


def _front(info: DatasetInfo, dropped: Sequence[CatalogueRow]) -> dict[str, object]:
    return {
        "statement": words.statement(info),
        "left_out": words.left_out(info),
        "sampling_plus": words.sampling_plus(info),
        "segments": segments(info),
        "steps": funnel(info),
        "told": dropped[:MAX_LEFT_OUT],
        "num_dropped": len(dropped),
        "show_shards": len(info.shards) <= MAX_SHARDS,
    }


def segments(info: DatasetInfo) -> list[Segment]:
    """The licence bar, most used first."""
    found, x = [], 0.0
    for tally in info.kept_by_license:
        width = round(BAR * tally.count / info.kept, 2)
        found.append(Segment(x=round(x, 2), width=width, tone=_tone(tally.family), name=tally.name))
        x += width
    return found


def funnel(info: DatasetInfo) -> list[Step]:
    """What each reason took away of the offered ones, most first."""
    steps, left = [], info.offered
    for reason, number in info.rejected_by_reason:
        left -= number
        share, taken = BAR * left / info.offered, BAR * number / info.offered
        text = reason_in_words(reason)
        steps.append(
            Step(words=text, reason=reason, count=number, left=round(share, 2), taken=round(taken, 2))
        )
    assert left == info.kept, (left, info.kept)
    return steps


def _people(kept: Sequence[CatalogueRow]) -> list[Person]:
    found: dict[str, tuple[str, str, int]] = {}
    for row in kept:
        key = author_key(row)
        name, href, number = found.get(key, (shorten(row.author, 60), f"#{anchor(row.id)}", 0))
        found[key] = (name, href, number + 1)
    found.pop("", None)
    ordered = sorted(found.items(), key=lambda item: (item[1][0].casefold(), item[0]))
    return [Person(name=name, href=href, count=number) for _, (name, href, number) in ordered]


def _pages(kept: Sequence[CatalogueRow], per_page: int) -> tuple[ReportPage, ...]:
    parts = [kept[start : start + per_page] for start in range(0, len(kept), per_page)]
    return tuple(
        ReportPage(
            name=f"works-{number:04d}.html", number=number, first=part[0].id, last=part[-1].id, works=part
        )
        for number, part in enumerate(parts, start=1)
    )


def _work_view(row: CatalogueRow) -> WorkView:
    return WorkView(
        id=row.id,
        anchor=anchor(row.id),
        title=shorten(row.title),
        href=safe_url(row.page_url),
        author=shorten(row.author, 60),
        author_href=safe_url(row.author_url),
        license=license_name(row.license),
        license_href=safe_url(row.license_url),
        tone=_tone(row.license_family),
        claim="" if row.license_version else shorten(row.license_claim, 80),
        notice=shorten(row.copyright_notice, 200),
        wish=shorten(row.requested_credit, 200),
        changes=changes_text(row.changes),
        length="" if row.seconds is None else length(row.seconds),
        shards=", ".join(row.shards[:3])
        + (f" and {len(row.shards) - 3} more" if len(row.shards) > 3 else ""),
        credit=shorten(credit(row), 2000),
    )


def _tone(family: str) -> str:
    return {"CC0": "cc0", "PDM": "cc0", "BY": "by", "SAMPLING+": "sampling"}.get(family, "other")


def render(template: str, **values: object) -> bytes:
    """A page from one of the templates."""
    text = _environment().get_template(template).render(**values)
    return text.encode("utf-8", "replace")


@cache
def _environment() -> Environment:
    """The templates, everything escaped, an undefined name an error; the style goes in with its hash."""
    environment = Environment(
        loader=PackageLoader("sao_data.attribution"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = environment.get_template("style.css.j2").render()
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    environment.globals["style"] = Markup(style)
    environment.globals["style_hash"] = Markup(f"'sha256-{hashed}'")
    environment.globals["not_advice"] = words.NOT_ADVICE
    environment.filters.update(
        plural=count, duration=length, shorten=shorten, reason_in_words=reason_in_words
    )
    environment.filters["n"] = lambda number: f"{number:,}"
    environment.filters["url"] = safe_url
    environment.filters["tone"] = _tone
    return environment
