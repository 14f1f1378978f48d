"""Recordings from tables that are not ours: rows read by their columns' names, ids, and what is declared.

A source's `fields` names columns: our name on the left, theirs on the right, '' = nowhere. What it leaves out
is looked for under the usual names, the first of them that says something (reader.py).
"""

from __future__ import annotations

import datetime
import difflib
import hashlib
import math
import posixpath
import re
from collections.abc import Collection
from decimal import Decimal
from typing import Protocol

from sao_data.errors import UsageError
from sao_data.ids import check_id
from sao_data.licences import parse_fields
from sao_data.records import MediaFacts, Recording
from sao_data.sources._common import cells, paths, rows
from sao_data.sources._common.cells import Remarks
from sao_data.sources._common.columns import plain
from sao_data.sources._common.reader import (
    KNOWN_AS,
    Fields,
    Refused,
    RowReader,
    columns_of,
    is_known,
    text,
    unread,
)

__all__ = [
    "KNOWN_AS",
    "Fields",
    "Refused",
    "RowReader",
    "as_json",
    "check",
    "columns_of",
    "declaration",
    "declared",
    "is_known",
    "recording",
    "recording_id",
    "require",
    "text",
    "unread",
]  # fmt: skip
DECLARED = "declared_in_manifest"  # key of the evidence: what the operator said for rows that say nothing
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_MOST_NAME = 40  # of the 100 characters that ustar gives a member's name
_MOST_SLUG = 69  # characters; with a hyphen and ten digits the 80 that ids may have
_NUM_HEX = {"md5": 32, "sha256": 64}


class Declares(Protocol):
    """A source's Config, as far as it says what rows leave out."""

    @property
    def license(self) -> str: ...
    @property
    def license_url(self) -> str: ...
    @property
    def author(self) -> str: ...
    @property
    def declared_by(self) -> str: ...


def check(name: str, fields: Fields, *, plugin: str) -> None:
    """UsageError for a name that cannot start an id, or for a field that recordings do not have."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"source {plugin}: name {name!r}: want lower-case letters, digits and '_', a letter first"
        )
    if len(name) > _MOST_NAME:
        raise UsageError(
            f"source {plugin}: name {name[:80]!r} has {len(name)} characters, at most {_MOST_NAME} "
            "fit before an id in a shard; shorten it"
        )
    for key in fields:
        if key not in KNOWN_AS:
            near = difflib.get_close_matches(key, KNOWN_AS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f" (there are: {', '.join(KNOWN_AS)})"
            raise UsageError(f"source {plugin}: fields: unknown field {key!r}{hint}")


def require(columns: Collection[str], fields: Fields, *, where: str) -> None:
    """UsageError for a column that `fields` names and the table does not have."""
    there = set(map(plain, columns))
    for key, column in fields.items():
        if column and column not in columns and plain(column) not in there:
            found = ", ".join(repr(name[:80]) for name in columns) or "nothing"
            raise UsageError(
                f"{where}: no column {column!r}, which source.fields.{key} names; there is: {found}"
            )


def recording_id(stated: str, name: str) -> str:
    """`stated` itself where it has the form source:id (a work of another source), else under `name`.

    What cannot stand in an id is spelled as the source folder spells file names, addresses likewise.
    """
    for whole in (stated, f"{name}:{stated}"):
        try:
            check_id(whole)
        except ValueError:
            continue
        return whole
    _, _, rest = stated.partition("://")
    if not rest:
        return f"{name}:{paths.own_id(stated)}"
    slug = re.sub(r"[^A-Za-z0-9]+", "-", rest).strip("-")[:_MOST_SLUG]
    return f"{name}:{slug}-{hashlib.sha256(stated.encode()).hexdigest()[:10]}".replace(":-", ":")


def declared(row: rows.Row, fields: Fields, by: Declares) -> rows.Row:
    """The row, with what the manifest declares of such as say nothing of it themselves, and who declared it.

    A row's own words stand above. What names another author is not of whom the licence was declared for.
    """
    said = RowReader(row, fields)
    url_and_claim, author = said.licence()[::-1], said.text("author").strip()
    missing: rows.Row = {}
    if parse_fields(*url_and_claim).silent and (
        not author or by.author.casefold() in ("", author.casefold())
    ):
        missing |= {"license": by.license, "license_url": by.license_url}
    if not author:
        missing["author"] = by.author
    missing = {key: text for key, text in missing.items() if text}
    if DECLARED in row:
        raise Refused(
            "bad_metadata", f"the name {DECLARED!r} is kept for what a manifest declares; rename it"
        )
    return row | {DECLARED: missing | {"by": by.declared_by}} if missing else row


def declaration(by: Declares, name: str) -> tuple[str, ...]:
    """What a reader of the dataset should know of it."""
    licence = " ".join(text for text in (by.license, by.license_url) if text)
    said = {"licence": licence, "author": by.author}
    words = " and ".join(f"{key} ({text})" for key, text in said.items() if text)
    who = f" ({by.declared_by})" if by.declared_by else ""
    return (f"{name}: where a row states none, {words}: as the operator{who} declared.",) if words else ()


def recording(
    row: rows.Row,
    fields: Fields,
    *,
    key: str,
    raw: str,
    audio_url: str,
    file_name: str,
    blanket: str = "",
    page_url: str = "",
    tally: Remarks | None = None,
) -> Recording:
    """The recording `key` as the row says it. Refused for a checksum that is none, and for columns that
    contradict each other.

    `blanket`: the licence of rows that state none, `page_url`: the page of those without one. What a manifest
    declares stands in the row (`declared`).
    """
    own = {name: cell for name, cell in row.items() if name != DECLARED}
    said, missing = RowReader(own, fields, tally), row.get(DECLARED)
    declared = {k: cells.text(v, k) for k, v in missing.items()} if isinstance(missing, dict) else {}
    claim, url = said.licence()
    if "license" in declared or "license_url" in declared:
        claim, url = declared.get("license", ""), declared.get("license_url", "")
    elif blanket and parse_fields(url, claim).silent:
        claim, url = rows.split_licence(blanket)
    return Recording(
        id=key,
        source=key.partition(":")[0],
        title=said.text("title"),
        author=said.text("author") or declared.get("author", ""),
        author_id=said.text("author_id"),
        author_url=said.text("author_url"),
        page_url=said.text("page_url") or page_url,
        audio_url=audio_url,
        license_claim=claim,
        license_url=url,
        ai_preference=said.wish(),
        description=said.text("description"),
        tags=said.texts("tags"),
        genres=said.texts("genres"),
        album=said.text("album"),
        year=said.text("year"),
        copyright_notice=said.text("copyright_notice"),
        requested_credit=said.text("requested_credit"),
        category=said.text("category"),
        is_explicit=said.flag("is_explicit"),
        is_remix=said.flag("is_remix"),
        media=_media(said, file_name),
        md5=_checksum(said, "md5"),
        sha256=_checksum(said, "sha256"),
        retrieved_at=said.text("retrieved_at"),
        evidence=rows.sha256_of(raw),
    )


def as_json(cell: object) -> object:
    """A cell of a Parquet table as JSON has it; bytes by what tells them apart, no numbers that are none."""
    if isinstance(cell, bytes):
        return {"num_bytes": len(cell), "sha256": hashlib.sha256(cell).hexdigest()}
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else None
    if isinstance(cell, datetime.date | datetime.time):  # a datetime is a date
        return cell.isoformat()
    if isinstance(cell, Decimal | datetime.timedelta):
        return str(cell)
    if isinstance(cell, dict):
        return {str(key): as_json(item) for key, item in cell.items()}
    if isinstance(cell, list | tuple):
        return [as_json(item) for item in cell]
    return cell if isinstance(cell, str | int | None) else str(cell)


def _checksum(row: RowReader, key: str) -> str:
    said = row.text(key).strip()
    if said and not re.fullmatch(rf"[0-9A-Fa-f]{{{_NUM_HEX[key]}}}", said):
        raise Refused(
            "bad_checksum",
            f"{key} {said[:80]!r} is not {_NUM_HEX[key]} hexadecimal digits; leave it empty where it is "
            f"unknown, or set source.fields.{key} = '' to do without",
        )
    return said.lower()


def _media(row: RowReader, file_name: str) -> MediaFacts:
    keys = ("num_bytes", "seconds", "sample_rate", "num_channels")
    said: rows.Row = {key: cells.number(row.value(key)) for key in keys}
    return MediaFacts(
        container=posixpath.splitext(file_name)[1].lower().lstrip("."),
        num_bytes=rows.whole(said, "num_bytes"),
        seconds=rows.real(said, "seconds"),
        sample_rate=rows.whole(said, "sample_rate"),
        num_channels=rows.whole(said, "num_channels"),
    )
