"""Which columns of a stranger's table say what, and one row of it read by them, for every source.

Columns are known by their usual names (KNOWN_AS) or as a source's `fields` names them. Letters and digits
count ("License URL" is license_url), and a column that is named for one thing is not read as another. Where
several columns say different things of one field: of the licence all of them count (a person decides), of a
wish the strictest; who and which work it is must be said once (STRICT: `bad_metadata`); of all else the first
counts, which is told.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Collection, Mapping

from sao_data.licences import parse
from sao_data.sources._common import cells, preference, rows
from sao_data.sources._common.cells import Remarks
from sao_data.sources._common.columns import plain

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
    "ai_preference": preference.NAMES,
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
_NEAR = 0.8  # likeness of a column's name to a usual one at which it is reported
_ABOUT_RIGHTS = ("licen", "lizenz", "copyright")


class Refused(rows.BadRow):
    """A row that cannot be offered: a stable reason, and the words."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def is_known(name: str) -> bool:
    """Is it one of the usual names?"""
    return plain(name) in _USUAL


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


def text(row: rows.Row, key: str, fields: Fields) -> str:
    """What the row says of a field as text, '' = nothing."""
    return RowReader(row, fields).text(key)


class RowReader:
    """One row: what it says of each field. Refused: its columns contradict each other."""

    def __init__(self, row: rows.Row, fields: Fields, tally: Remarks | None = None) -> None:
        self._row, self._tally = row, tally or Remarks()
        self._places = _places(tuple(row), tuple(sorted(fields.items())))
        self._tally.note_columns(row)

    def value(self, key: str) -> object:
        """What the row says of a field; None = nothing."""
        stated = self._stated(key)
        if len({_comparable(cell, key) for _, cell in stated}) > 1:
            self._disagree(key, stated)
        return stated[0][1] if stated else None

    def text(self, key: str) -> str:
        """What it says as text, '' = nothing."""
        return cells.text(self._worded(key), key)

    def texts(self, key: str, separators: str = ",;") -> tuple[str, ...]:
        """What it says as a list."""
        return cells.items(self._worded(key), key, separators)

    def flag(self, key: str) -> bool:
        """Does any of its columns mark it?"""
        return any(cells.flag(cell) for _, cell in self._stated(key))

    def wish(self) -> str:
        """The uploader's wish, whatever columns state it."""
        return preference.stated(self._row, self._places["ai_preference"])

    def licence(self) -> tuple[str, str]:
        """(words, URL): a cell of its own for the URL comes first, and then the other one is kept whole."""
        words, url = (self._all(key) for key in ("license", "license_url"))
        return (words if words != url else "", url) if url else rows.split_licence(words)

    def _worded(self, key: str) -> object:
        """Its cell, reported if it is of a kind that holds no words."""
        cell = self.value(key)
        if isinstance(cell, bool | dict):
            kind = "true or false" if isinstance(cell, bool) else "an object"
            self._tally.say(f"the {key} is {kind}, no text; taken as not stated")
        return cell

    def _all(self, key: str) -> str:
        """Everything that is said of a licence, each once; what states nothing only where nothing else is."""
        said = dict.fromkeys(cells.text(cell, key) for _, cell in self._stated(key))
        silent = [text for text in said if parse(text).silent]
        for text in silent:
            self._tally.say(f"{key!r} says {text.strip()[:40]!r}, taken as not stated")
        stated = [text for text in said if text not in silent] or silent[:1]
        return _LICENCES[key].join(stated)

    def _stated(self, key: str) -> list[tuple[str, object]]:
        """(column, cell) of the columns that say something."""
        found = [(column, self._row.get(column)) for column in self._places[key]]
        for column, cell in found:
            self._tally.note_word(column, cell, key)
        return [(column, cell) for column, cell in found if not cells.is_nothing(cell, key)]

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


_USUAL = {plain(name): key for key, names in reversed(KNOWN_AS.items()) for name in (*names, key)}
_LICENCES = {"license": " / ", "license_url": " "}


@functools.lru_cache(maxsize=256)
def _places(columns: tuple[str, ...], fields: tuple[tuple[str, str], ...]) -> dict[str, tuple[str, ...]]:
    """The columns of each field: the one that `fields` names, else those with its usual names, in the order
    of these, then by name: the evidence of a row keeps no other order."""
    by_name: dict[str, list[str]] = {}
    for column in sorted(columns):
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
    near = difflib.get_close_matches(name, _USUAL, n=5, cutoff=_NEAR)
    return next((_USUAL[other] for other in near if not _is_longer(name, other)), "")


def _is_longer(name: str, other: str) -> bool:
    """Is one of them the other with a word more ("file" and "fileid")?"""
    short, long = sorted((name, other), key=len)
    return len(long) - len(short) > 1 and (long.startswith(short) or long.endswith(short))


def _comparable(cell: object, key: str) -> str:
    return cells.text(cell, key).strip() or str(cell)
