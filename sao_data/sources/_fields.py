"""Tables that are not ours: which of their columns says what, and what a row of them says of a recording.

A source's `fields` names columns: our name on the left, theirs on the right, '' = nowhere. What it leaves out
is looked for under the usual names (KNOWN_AS), the first of them that says something; case does not matter,
and a column that is named for one thing is not read as another. Cells stay verbatim.
"""

from __future__ import annotations

import datetime
import difflib
import functools
import hashlib
import math
import posixpath
import re
from collections.abc import Collection, Mapping
from decimal import Decimal

from sao_data.errors import UsageError
from sao_data.ids import check_id
from sao_data.records import MediaFacts, Recording
from sao_data.sources import _preference, _rows
from sao_data.sources.folder import own_id

KNOWN_AS: dict[str, tuple[str, ...]] = {
    "id": ("id", "recording_id", "sound_id", "track_id"),
    "audio": ("audio", "audio_url", "audio_path", "audio_file", "file_name", "filename", "file", "file_path",
              "filepath", "path", "download_url"),
    "title": ("title", "name", "track_title"),
    "author": ("author", "artist", "creator", "username", "uploader", "artist_name"),
    "author_id": ("author_id", "artist_id", "user_id", "uploader_id"),
    "author_url": ("author_url", "artist_url"),
    "page_url": ("page_url", "url", "link", "source_url", "permalink"),
    "license": ("license", "licence", "license_name", "license_title", "rights"),
    "license_url": ("license_url", "licence_url"),
    "ai_preference": ("ai_preference", "gen_ai_preference", "generative_ai_preference"),
    "description": ("description",),
    "tags": ("tags", "keywords"),
    "genres": ("genres", "genre"),
    "album": ("album", "album_title", "pack_name"),
    "year": ("year",),
    "copyright_notice": ("copyright_notice", "copyright"),
    "requested_credit": ("requested_credit", "attribution", "credit"),
    "category": ("category", "category_code"),
    "is_explicit": ("is_explicit", "explicit"),
    "is_remix": ("is_remix",),
    "md5": ("md5", "md5sum"),
    "sha256": ("sha256", "sha256sum"),
    "num_bytes": ("num_bytes", "filesize", "file_size"),
    "seconds": ("seconds", "duration"),
    "sample_rate": ("sample_rate", "samplerate", "sampling_rate"),
    "num_channels": ("num_channels", "channels"),
    "retrieved_at": ("retrieved_at",),
}  # fmt: skip

Fields = Mapping[str, str]
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_MOST_SLUG = 69  # characters; with a hyphen and ten digits the 80 that ids may have
_TRUE = ("true", "yes", "1")
_NUM_HEX = {"md5": 32, "sha256": 64}


class Refused(_rows.BadRow):
    """A row that cannot be offered: a stable reason, and the words."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def check(name: str, fields: Fields, *, plugin: str) -> None:
    """UsageError for a name that cannot start an id, or for a field that recordings do not have."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"source {plugin}: name {name!r}: want lower-case letters, digits and '_', a letter first"
        )
    for key in fields:
        if key not in KNOWN_AS:
            near = difflib.get_close_matches(key, KNOWN_AS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f" (there are: {', '.join(KNOWN_AS)})"
            raise UsageError(f"source {plugin}: fields: unknown field {key!r}{hint}")


def require(columns: Collection[str], fields: Fields, *, where: str) -> None:
    """UsageError for a column that `fields` names and the table does not have."""
    for key, column in fields.items():
        if column and column not in columns:
            there = ", ".join(repr(name[:80]) for name in columns) or "nothing"
            raise UsageError(
                f"{where}: no column {column!r}, which source.fields.{key} names; there is: {there}"
            )


def columns_of(key: str, columns: Collection[str], fields: Fields) -> tuple[str, ...]:
    """The columns that a field is looked for in, in this order."""
    if key in fields:
        return (fields[key],) if fields[key] else ()
    return _places(tuple(columns), frozenset(fields.values()))[key]


def value(row: _rows.Row, key: str, fields: Fields) -> object:
    """What the row says of a field; None = nothing."""
    cells = (row.get(column) for column in columns_of(key, row, fields))
    return next((cell for cell in cells if cell not in (None, "", [])), None)


def text(row: _rows.Row, key: str, fields: Fields) -> str:
    """What it says as a string, '' = nothing; whole numbers without the ".0" that tables give them."""
    cell = {key: value(row, key, fields)}
    is_whole = isinstance(cell[key], float) and (number := _rows.whole(cell, key)) is not None
    return str(number) if is_whole else _rows.text(cell, key)


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
        return f"{name}:{own_id(stated)}"
    slug = re.sub(r"[^A-Za-z0-9]+", "-", rest).strip("-")[:_MOST_SLUG]
    return f"{name}:{slug}-{hashlib.sha256(stated.encode()).hexdigest()[:10]}".replace(":-", ":")


def recording(
    row: _rows.Row,
    fields: Fields,
    *,
    key: str,
    raw: str,
    audio_url: str,
    file_name: str,
    blanket: str = "",
    page_url: str = "",
) -> Recording:
    """The recording `key` as the row says it. `blanket`: the licence of rows that state none, `page_url`: the
    page of those. Refused for a checksum that is none."""
    claim, url = _licence(row, fields)
    if not claim and not url:
        claim, url = _rows.split_licence(blanket)
    return Recording(
        id=key,
        source=key.partition(":")[0],
        title=text(row, "title", fields),
        author=text(row, "author", fields),
        author_id=text(row, "author_id", fields),
        author_url=text(row, "author_url", fields),
        page_url=text(row, "page_url", fields) or page_url,
        audio_url=audio_url,
        license_claim=claim,
        license_url=url,
        ai_preference=_preference.stated(row, columns_of("ai_preference", row, fields)),
        description=text(row, "description", fields),
        tags=_texts(row, "tags", fields),
        genres=_texts(row, "genres", fields),
        album=text(row, "album", fields),
        year=text(row, "year", fields),
        copyright_notice=text(row, "copyright_notice", fields),
        requested_credit=text(row, "requested_credit", fields),
        category=text(row, "category", fields),
        is_explicit=_truth(row, "is_explicit", fields),
        is_remix=_truth(row, "is_remix", fields),
        media=_media(row, fields, file_name),
        md5=_checksum(row, "md5", fields),
        sha256=_checksum(row, "sha256", fields),
        retrieved_at=text(row, "retrieved_at", fields),
        evidence=_rows.sha256_of(raw),
    )


def plain(cell: object) -> object:
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
        return {str(key): plain(item) for key, item in cell.items()}
    if isinstance(cell, list | tuple):
        return [plain(item) for item in cell]
    return cell if isinstance(cell, str | int | None) else str(cell)


@functools.lru_cache(maxsize=64)
def _places(columns: tuple[str, ...], taken: frozenset[str]) -> dict[str, tuple[str, ...]]:
    there = {name.strip().casefold(): name for name in reversed(columns) if name not in taken}
    return {key: tuple(there[name] for name in names if name in there) for key, names in KNOWN_AS.items()}


def _licence(row: _rows.Row, fields: Fields) -> tuple[str, str]:
    """(words, URL): a cell of its own for the URL comes first, and then the other one is kept whole."""
    words, url = text(row, "license", fields), text(row, "license_url", fields)
    return (words if words != url else "", url) if url else _rows.split_licence(words)


def _texts(row: _rows.Row, key: str, fields: Fields) -> tuple[str, ...]:
    return _rows.texts({key: value(row, key, fields)}, key, separators=",;")


def _truth(row: _rows.Row, key: str, fields: Fields) -> bool:
    said = value(row, key, fields)
    return said is True or text(row, key, fields).strip().casefold() in _TRUE


def _checksum(row: _rows.Row, key: str, fields: Fields) -> str:
    said = text(row, key, fields).strip()
    if said and not re.fullmatch(rf"[0-9A-Fa-f]{{{_NUM_HEX[key]}}}", said):
        raise Refused(
            "bad_checksum",
            f"{key} {said[:80]!r} is not {_NUM_HEX[key]} hexadecimal digits; leave it empty where it is "
            f"unknown, or set source.fields.{key} = '' to do without",
        )
    return said.lower()


def _media(row: _rows.Row, fields: Fields, file_name: str) -> MediaFacts:
    keys = ("num_bytes", "seconds", "sample_rate", "num_channels")
    said: _rows.Row = {key: _number(value(row, key, fields)) for key in keys}
    return MediaFacts(
        container=posixpath.splitext(file_name)[1].lower().lstrip("."),
        num_bytes=_rows.whole(said, "num_bytes"),
        seconds=_rows.real(said, "seconds"),
        sample_rate=_rows.whole(said, "sample_rate"),
        num_channels=_rows.whole(said, "num_channels"),
    )


def _number(cell: object) -> object:
    """A number, from CSV too."""
    if not isinstance(cell, str):
        return cell
    try:
        return int(cell) if cell.strip().isdecimal() else float(cell)
    except ValueError:
        return None
