"""The tables for spreadsheets: attribution.csv and dropped.csv (RFC 4180, UTF-8), safe to open.

A cell that a spreadsheet would run as a formula gets a leading apostrophe, and one that is longer than
spreadsheets hold is cut and says so; attribution.json has raw values.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator

from sao_data.attribution.credit import changes_text, credit
from sao_data.attribution.plain import one_line
from sao_data.licences import license_name
from sao_data.records import CatalogueRow

COLUMNS = (
    "id", "title", "author", "author_url", "source_url", "license", "license_name", "license_version",
    "license_url", "license_claim", "changes", "seconds", "shards", "sha256_original", "ai_preference",
    "retrieved_at", "credit",
)  # fmt: skip
DROPPED_COLUMNS = (
    "id", "source", "title", "author", "source_url", "license_claim", "verdict", "rule", "stage", "reason",
    "detail", "offers",
)  # fmt: skip

SHEET_CELL = 32_767  # characters
# Spreadsheets skip what they show as nothing; some read full-width and small forms as the plain sign.
_FORMULA = re.compile(
    r"[\s\x00-\x1f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]*[=+\-@\t\r\n＝＋－＠﹦﹢﹣﹫−]"
)


def attribution_csv(kept: Iterable[CatalogueRow]) -> bytes:
    """One line for each work in the dataset."""
    return _csv(COLUMNS, (_work_cells(row) for row in kept))


def dropped_csv(rows: Iterable[CatalogueRow]) -> bytes:
    """One line for each rejected recording and repeated offer; the column `offers` sums to the rejected."""
    return _csv(DROPPED_COLUMNS, (cells for row in rows for cells in _dropped_cells(row)))


def safe_cell(text: str) -> str:
    """The text, behind an apostrophe if a spreadsheet could take it for a formula, cut if it holds less."""
    text = text.encode("utf-8", "replace").decode("utf-8")  # lone surrogates have no UTF-8
    return sheet_cell(f"'{text}" if _FORMULA.match(text) else text)


def sheet_cell(text: str) -> str:
    """The text as a cell of a spreadsheet holds it; a longer one is cut, and says so."""
    if len(text) <= SHEET_CELL:
        return text
    said = f"… [cut here: {len(text):,} characters]"
    return text[: SHEET_CELL - len(said)] + said


def _csv(columns: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> bytes:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([safe_cell(cell) for cell in line] for line in lines)
    out.flush()
    return raw.getvalue()


def _work_cells(row: CatalogueRow) -> tuple[str, ...]:
    return (
        row.id,
        row.title,
        row.author,
        row.author_url,
        row.page_url,
        row.license,
        license_name(row.license),
        row.license_version,
        row.license_url,
        row.license_claim,
        changes_text(row.changes),
        "" if row.seconds is None else f"{row.seconds:.3f}",
        " ".join(row.shards),
        row.original_sha256,
        row.ai_preference,
        row.retrieved_at,
        credit(row),
    )


def _dropped_cells(row: CatalogueRow) -> Iterator[tuple[str, ...]]:
    facts = (
        row.id,
        row.source,
        row.title,
        row.author,
        row.page_url,
        row.license_claim,
        row.verdict,
        row.rule,
    )
    if not row.kept:
        yield (*facts, row.stage, row.reason, row.detail, "1")
    if row.num_offers > 1:
        ended = "kept" if row.kept else one_line(row.reason)
        detail = f"offered {row.num_offers} times; the first is {ended}"
        yield (*facts, "catalogue", "duplicate_id", detail, str(row.num_offers - 1))
