"""ATTRIBUTION.md: every work credited, grouped by licence and author; reads well as plain text too."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from itertools import groupby

from sao_data.attribution.credit import changes_text
from sao_data.attribution.info import DatasetInfo
from sao_data.attribution.plain import author_key, count, length, safe_url, shorten, work_order
from sao_data.attribution.words import NOT_ADVICE, has_sampling_plus, left_out, sampling_plus, statement
from sao_data.records import CatalogueRow

_MARKUP = re.compile(r"([\\`*_\[\]<>&#|~$])")


def attribution_md(info: DatasetInfo, kept: Iterable[CatalogueRow]) -> bytes:
    """The credits of the whole dataset as Markdown."""
    out = io.StringIO()
    out.write(f"# Attribution: {escape(info.name)}\n\n{statement(info)} {left_out(info)}\n\n{NOT_ADVICE}\n\n")
    out.write(
        f"Dataset version {escape(info.version) or 'not stated'}, root digest {escape(info.root_digest)}.\n"
    )
    out.write("Long titles are cut here; attribution.csv and attribution.json have them whole.\n")
    if has_sampling_plus(info):
        out.write(f"\n{sampling_plus(info)}\n")
    names = {(tally.license, tally.url): tally.name for tally in info.kept_by_license}
    place = {key: number for number, key in enumerate(names)}
    ordered = sorted(
        kept,
        key=lambda row: (place[_license(row)], not author_key(row), _author(row).casefold(), author_key(row)),
    )
    for key, works in groupby(ordered, key=_license):
        _write_license(out, names[key], key[1], list(works))
    return out.getvalue().encode("utf-8", "replace")


def escape(text: str, limit: int = 120) -> str:
    """Foreign text for a Markdown line: on one line, cut, nothing in it read as markup or HTML."""
    return _MARKUP.sub(r"\\\1", shorten(text, limit))


def _write_license(out: io.StringIO, name: str, url: str, works: list[CatalogueRow]) -> None:
    out.write(f"\n## {escape(name)}: {count(len(works), 'recording')}\n")
    out.write(f"\nLicence: <{url}>\n" if url else "\nLicence: no exact licence page can be told.\n")
    for author, group in groupby(works, key=lambda row: (author_key(row), _author(row))):
        rows = sorted(group, key=work_order)
        page = safe_url(rows[0].author_url)
        heading = escape(author[1]) if author[0] else "Unnamed author (the source states none)"
        out.write(f"\n### {heading}{f' <{page}>' if page else ''}\n\n")
        for row in rows:
            out.write(_line(row))


def _line(row: CatalogueRow) -> str:
    title = f'"{escape(row.title)}"' if shorten(row.title) else "Untitled work"
    page = safe_url(row.page_url)
    parts = [f"{title}, {f'<{page}>' if page else 'source address not usable or not stated'}"]
    parts.append(f"({row.id}{f', {length(row.seconds)}' if row.seconds is not None else ''}).")
    if not row.license_version:
        parts.append(f'Licence as the source says it: "{escape(row.license_claim)}".')
    if row.copyright_notice.strip():
        parts.append(f"Copyright notice: {escape(row.copyright_notice)}.")
    if row.requested_credit.strip():
        parts.append(f"Credit requested: {escape(row.requested_credit)}.")
    parts.append(f"Changes: {escape(changes_text(row.changes), 2000) or 'none recorded.'}")
    return f"- {' '.join(parts)}\n"


def _license(row: CatalogueRow) -> tuple[str, str]:
    return row.license, safe_url(row.license_url)


def _author(row: CatalogueRow) -> str:
    return shorten(row.author)
