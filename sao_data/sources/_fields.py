"""Tables that are not ours: which of their columns says what, and what a row of them says of a recording.

A source's `fields` names columns: our name on the left, theirs on the right, '' = nowhere. What it leaves out
is looked for under the usual names (KNOWN_AS), the first of them that says something; letters and digits
count ("License URL" is license_url), and a column that is named for one thing is not read as another.

Where several columns say different things of one field: of the licence all of them count (a person decides),
of a wish the strictest; who and which work it is must be said once (STRICT: `bad_metadata`); of all else the
first counts, which is told.
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
from typing import Protocol

from sao_data.errors import UsageError
from sao_data.ids import check_id
from sao_data.licences import parse, parse_witnesses
from sao_data.records import MediaFacts, Recording
from sao_data.sources import _cells, _paths, _preference, _rows
from sao_data.sources._cells import Tally
from sao_data.sources._columns import plain

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
    "license_url": (
        "license_url", "licence_url", "license_uri", "licence_uri", "license_link", "licence_link",
    ),
    "ai_preference": _preference.NAMES,
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
STRICT = frozenset(("id", "title", "author", "author_id", "md5", "sha256"))

Fields = Mapping[str, str]
DECLARED = "declared_in_manifest"  # key of the evidence: what the operator said for rows that say nothing
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_MOST_SLUG = 69  # characters; with a hyphen and ten digits the 80 that ids may have
_NEAR = 0.8  # likeness of a column's name to a usual one at which it is told
_ABOUT_RIGHTS = ("licen", "lizenz", "copyright")
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


def is_known(name: str) -> bool:
    """Is it one of the usual names?"""
    return plain(name) in _USUAL


def require(columns: Collection[str], fields: Fields, *, where: str) -> None:
    """UsageError for a column that `fields` names and the table does not have."""
    there = set(map(plain, columns))
    for key, column in fields.items():
        if column and column not in columns and plain(column) not in there:
            found = ", ".join(repr(name[:80]) for name in columns) or "nothing"
            raise UsageError(
                f"{where}: no column {column!r}, which source.fields.{key} names; there is: {found}"
            )


def columns_of(key: str, columns: Collection[str], fields: Fields) -> tuple[str, ...]:
    """The columns that a field is looked for in, in this order."""
    return _places(tuple(columns), tuple(sorted(fields.items())))[key]


def unread(columns: Collection[str], fields: Fields) -> tuple[str, ...]:
    """A sentence on each column whose name is near to one that is looked for, and which is not read."""
    places = _places(tuple(columns), tuple(sorted(fields.items())))
    read = {name for names in places.values() for name in names} | set(fields.values())
    told = []
    for name in columns:
        key = _near(plain(name)) if name not in read else ""
        if key and key not in fields:
            told.append(f"the column {name[:80]!r} is not read; if it is the {key}, call it {key}")
    return tuple(told)


def text(row: _rows.Row, key: str, fields: Fields) -> str:
    """What the row says of a field as text, '' = nothing."""
    return Reader(row, fields).text(key)


class Reader:
    """One row: what it says of each field. Refused: its columns contradict each other."""

    def __init__(self, row: _rows.Row, fields: Fields, tally: Tally | None = None) -> None:
        self._row, self._tally = row, tally or Tally()
        self._places = _places(tuple(row), tuple(sorted(fields.items())))
        self._tally.meet(row)

    def value(self, key: str) -> object:
        """What the row says of a field; None = nothing."""
        stated = self._stated(key)
        if len({_comparable(cell, key) for _, cell in stated}) > 1:
            self._disagree(key, stated)
        return stated[0][1] if stated else None

    def text(self, key: str) -> str:
        """What it says as text, '' = nothing."""
        cell = self.value(key)
        if isinstance(cell, bool | dict):
            self._tally.say(f"the column of the {key} holds {type(cell).__name__}, no text; passed over")
        return _cells.text(cell, key)

    def texts(self, key: str, separators: str = ",;") -> tuple[str, ...]:
        """What it says as a list."""
        return _cells.items(self.value(key), key, separators)

    def flag(self, key: str) -> bool:
        """Does any of its columns mark it?"""
        return any(_cells.flag(cell) for _, cell in self._stated(key))

    def wish(self) -> str:
        """The uploader's wish, whatever columns state it."""
        return _preference.stated(self._row, self._places["ai_preference"])

    def licence(self) -> tuple[str, str]:
        """(words, URL): a cell of its own for the URL comes first, and then the other one is kept whole."""
        words, url = (self._all(key) for key in ("license", "license_url"))
        return (words if words != url else "", url) if url else _rows.split_licence(words)

    def _all(self, key: str) -> str:
        """Everything that is said of a licence, each once; what states nothing only where nothing else is."""
        said = dict.fromkeys(_cells.text(cell, key) for _, cell in self._stated(key))
        silent = [text for text in said if parse(text).silent]
        for text in silent:
            self._tally.say(f"{key!r} says {text.strip()[:40]!r}, taken as not stated")
        stated = [text for text in said if text not in silent] or silent[:1]
        return _LICENCES[key].join(stated)

    def _stated(self, key: str) -> list[tuple[str, object]]:
        """(column, cell) of the columns that say something."""
        cells = [(column, self._row.get(column)) for column in self._places[key]]
        for column, cell in cells:
            self._tally.look(column, cell, key)
        return [(column, cell) for column, cell in cells if not _cells.is_nothing(cell, key)]

    def _disagree(self, key: str, stated: list[tuple[str, object]]) -> None:
        (one, first), (other, second) = (
            stated[0],
            next(each for each in stated if _comparable(each[1], key) != _comparable(stated[0][1], key)),
        )
        if key in STRICT:
            raise Refused(
                "bad_metadata",
                f"{one[:80]!r} says {str(first)[:80]!r}, {other[:80]!r} says {str(second)[:80]!r}: name the "
                f'one that is the {key}: fields = {{{key} = "{one[:80]}"}}',
            )
        self._tally.say(f"{one[:80]!r} and {other[:80]!r} differ; the first is read as the {key}")


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
        return f"{name}:{_paths.own_id(stated)}"
    slug = re.sub(r"[^A-Za-z0-9]+", "-", rest).strip("-")[:_MOST_SLUG]
    return f"{name}:{slug}-{hashlib.sha256(stated.encode()).hexdigest()[:10]}".replace(":-", ":")


def declared(row: _rows.Row, fields: Fields, by: Declares) -> _rows.Row:
    """The row, with what the manifest declares of such as say nothing of it themselves, and who declared it.

    A row's own words stand above. What names another author is not of whom the licence was declared for.
    """
    said = Reader(row, fields)
    url_and_claim, author = said.licence()[::-1], said.text("author").strip()
    missing: _rows.Row = {}
    if parse_witnesses(*url_and_claim).silent and (
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
    row: _rows.Row,
    fields: Fields,
    *,
    key: str,
    raw: str,
    audio_url: str,
    file_name: str,
    blanket: str = "",
    page_url: str = "",
    tally: Tally | None = None,
) -> Recording:
    """The recording `key` as the row says it. Refused for a checksum that is none, and for columns that
    contradict each other.

    `blanket`: the licence of rows that state none, `page_url`: the page of those without one. What a manifest
    declares stands in the row (`declared`).
    """
    own = {name: cell for name, cell in row.items() if name != DECLARED}
    said, missing = Reader(own, fields, tally), row.get(DECLARED)
    declared = {k: _cells.text(v, k) for k, v in missing.items()} if isinstance(missing, dict) else {}
    claim, url = said.licence()
    if "license" in declared or "license_url" in declared:
        claim, url = declared.get("license", ""), declared.get("license_url", "")
    elif blanket and parse_witnesses(url, claim).silent:
        claim, url = _rows.split_licence(blanket)
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
        evidence=_rows.sha256_of(raw),
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


_USUAL = {plain(name): key for key, names in reversed(KNOWN_AS.items()) for name in (*names, key)}
_LICENCES = {"license": " / ", "license_url": " "}


@functools.lru_cache(maxsize=256)
def _places(columns: tuple[str, ...], fields: tuple[tuple[str, str], ...]) -> dict[str, tuple[str, ...]]:
    """The columns of each field: the one that `fields` names, else those with its usual names, in the order
    of these, then of the table."""
    by_name: dict[str, list[str]] = {}
    for column in columns:
        by_name.setdefault(plain(column), []).append(column)
    named = {key: _named(column, columns, by_name) for key, column in fields}
    taken = {column for found in named.values() for column in found}
    usual = {
        key: tuple(
            c for name in dict.fromkeys(map(plain, names)) for c in by_name.get(name, ()) if c not in taken
        )
        for key, names in KNOWN_AS.items()
    }
    return usual | named


def _named(column: str, columns: tuple[str, ...], by_name: dict[str, list[str]]) -> tuple[str, ...]:
    if not column or column in columns:
        return (column,) if column else ()
    return tuple(by_name.get(plain(column), ()))


@functools.lru_cache(maxsize=4096)
def _near(name: str) -> str:
    """The field that a name nobody looks for is near to; '' = none."""
    if name in _USUAL or len(name) < 4:
        return ""
    if any(part in name for part in _ABOUT_RIGHTS):
        return "license" if "copyright" not in name else "copyright_notice"
    near = difflib.get_close_matches(name, _USUAL, n=1, cutoff=_NEAR)
    return _USUAL[near[0]] if near else ""


def _comparable(cell: object, key: str) -> str:
    return _cells.text(cell, key).strip() or str(cell)


def _checksum(row: Reader, key: str) -> str:
    said = row.text(key).strip()
    if said and not re.fullmatch(rf"[0-9A-Fa-f]{{{_NUM_HEX[key]}}}", said):
        raise Refused(
            "bad_checksum",
            f"{key} {said[:80]!r} is not {_NUM_HEX[key]} hexadecimal digits; leave it empty where it is "
            f"unknown, or set source.fields.{key} = '' to do without",
        )
    return said.lower()


def _media(row: Reader, file_name: str) -> MediaFacts:
    keys = ("num_bytes", "seconds", "sample_rate", "num_channels")
    said: _rows.Row = {key: _cells.number(row.value(key)) for key in keys}
    return MediaFacts(
        container=posixpath.splitext(file_name)[1].lower().lstrip("."),
        num_bytes=_rows.whole(said, "num_bytes"),
        seconds=_rows.real(said, "seconds"),
        sample_rate=_rows.whole(said, "sample_rate"),
        num_channels=_rows.whole(said, "num_channels"),
    )
