"""The attribution report as files: who made what, under which licence, and what was left out and why.

`files` yields names and bytes; who calls it decides where they go. Same dataset, same bytes.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterable, Iterator

from sao_data.attribution.credit import credit
from sao_data.attribution.info import DatasetInfo
from sao_data.attribution.page import html_files
from sao_data.attribution.plain import work_order
from sao_data.attribution.sheets import attribution_csv, dropped_csv
from sao_data.attribution.text import attribution_md
from sao_data.config import canonical
from sao_data.licences import license_name
from sao_data.records import CatalogueRow

_FIELDS = tuple(field.name for field in dataclasses.fields(CatalogueRow))


def files(info: DatasetInfo, rows: Iterable[CatalogueRow]) -> Iterator[tuple[str, bytes]]:
    """Every file of the report as (relative name, content); `info` must have been counted from these rows."""
    ordered = sorted(rows, key=work_order)
    kept = [row for row in ordered if row.kept]
    dropped = [row for row in ordered if not row.kept]
    assert len(kept) == info.kept, (len(kept), info.kept)
    yield "ATTRIBUTION.md", attribution_md(info, kept)
    yield "attribution.csv", attribution_csv(kept)
    yield "attribution.json", attribution_json(kept)
    yield "dropped.csv", dropped_csv(ordered)
    yield "summary.json", summary_json(info)
    yield from html_files(info, kept, dropped)


def attribution_json(kept: Iterable[CatalogueRow]) -> bytes:
    """A list, one object a line: every catalogue field verbatim, the licence's name, the credit sentence."""
    out = io.BytesIO()  # half a million works make 600 MB: held once
    for number, row in enumerate(kept):
        out.write(b",\n" if number else b"[\n")
        out.write(_json_line(row))
    out.write(b"\n]\n" if out.tell() else b"[]\n")
    return out.getvalue()


def summary_json(info: DatasetInfo) -> bytes:
    """All counts, warnings and policy lines; the shards themselves are in shards.parquet."""
    facts = canonical(dataclasses.replace(info, shards=()))
    assert isinstance(facts, dict)
    del facts["shards"]
    facts["num_shards"] = len(info.shards)
    return (
        _utf8(json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False), facts) + b"\n"
    )


def _json_line(row: CatalogueRow) -> bytes:
    facts = {name: getattr(row, name) for name in _FIELDS}
    facts["license_name"] = license_name(row.license)
    facts["credit"] = credit(row)
    return _utf8(json.dumps(facts, sort_keys=True, ensure_ascii=False, allow_nan=False), facts)


def _utf8(text: str, facts: object) -> bytes:
    """Readable UTF-8; with \\u escapes where a lone surrogate is among the facts (UTF-8 has none)."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(facts, sort_keys=True, allow_nan=False).encode()
