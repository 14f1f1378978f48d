"""Lists of works that others have published: any CSV that names works by id or URL, with or without a header.

Columns are found by their names, or without a header by what stands in them: URLs, whole numbers, licences,
then title and author in this order. A Freesound id also stands in https://freesound.org/people/X/sounds/123/,
in https://freesound.org/s/123/ and in a file name 123__author__title.wav (the site's own list of downloads).
Pages of the Free Music Archive have no id in their URL; the column of numbers gives it.
"""

from __future__ import annotations

import csv
import functools
import io
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sao_data.errors import UsageError
from sao_data.licences import parse
from sao_data.licences.address import host_of, split
from sao_data.sources._common import fields
from sao_data.sources._common.cells import text
from sao_data.sources._common.columns import plain
from sao_data.storage import delimited, inputs

# Our own attribution.csv has all of these; a list of downloads names sounds by their files.
_NAMES = {
    "id": ("freesound_id", "fma_id", *fields.KNOWN_AS["id"]),
    "title": (*fields.KNOWN_AS["title"], "track", "sound", "file_name", "filename"),
    "author": (*fields.KNOWN_AS["author"], "user"),
    "license": fields.KNOWN_AS["license"],
    "url": ("page_url", "source_url", "url", "link", "permalink", "uri", "href", "source"),
}
_KEYS = {"id": "id", "title": "title", "author": "author", "license": "license", "url": "page_url"}
_OWNERS = {"freesoundid": "freesound", "trackid": "fma", "fmaid": "fma"}
_SOUND = re.compile(r"/(?:people/[^/]+/sounds|s|apiv2/sounds)/([1-9][0-9]{0,18})/?")
_FILE = re.compile(r"([1-9][0-9]{0,18})__.*", re.DOTALL)
_NUMBER = re.compile(r"[1-9][0-9]{0,18}")
_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_MOST_SNIFFED = 200  # rows


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedWork:
    """One work of a list; '' = not stated."""

    where: str  # "list.csv:7"
    source: str  # "freesound", "fma"; '' = the list does not tell whose number it is
    number: int  # 0: the line names no work that can be found
    title: str = ""
    author: str = ""
    license: str = ""
    url: str = ""


def wanted(path: str, source: str) -> tuple[int, ...]:
    """Ids of a source's works on a list, in its order; numbers that the list gives to no source count as
    its own. UsageError if there are none."""
    numbers = tuple(
        dict.fromkeys(entry.number for entry in read(path) if entry.number and entry.source in ("", source))
    )
    if not numbers:
        raise UsageError(f"{path}: names no work of {source}; want a CSV with ids or URLs of its works")
    return numbers


@functools.lru_cache(maxsize=4)
def read(path: str) -> tuple[ListedWork, ...]:
    """Every line of a list that is not blank; UsageError if it cannot be read or names nothing."""
    rows = _rows_of(path)
    header = {plain(cell): place for place, cell in reversed(list(enumerate(rows[0][1])))}
    places = {
        key: next((header[n] for n in map(plain, names) if n in header), -1) for key, names in _NAMES.items()
    }
    if max(places.values()) >= 0:
        owner = next((_OWNERS[name] for name in header if name in _OWNERS), "")
        rows = rows[1:]
    else:
        places, owner = _sniffed([cells for _, cells in rows[:_MOST_SNIFFED]]), ""
    if places["id"] < 0 and places["url"] < 0 and places["title"] < 0:
        raise UsageError(
            f"{path}: no column of ids or URLs in it; want a CSV such as id,title,author,license,url"
        )
    name = posixpath.basename(path)
    return tuple(_entry(f"{name}:{line}", cells, places, owner) for line, cells in rows)


def _rows_of(path: str) -> list[tuple[int, list[str]]]:
    """(line, cells) of all rows that are not blank."""
    try:
        with io.TextIOWrapper(inputs.open_file(path), encoding="utf-8-sig", newline="") as file:
            reader = delimited.sniffed(file, _is_name)
            rows = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such list; it is a CSV with ids or URLs of works") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: {delimited.not_utf8(error)}") from error
    except (csv.Error, IsADirectoryError) as error:
        raise UsageError(f"{path}: not a CSV in UTF-8 ({error})") from error
    if not rows:
        raise UsageError(f"{path}: an empty list")
    return rows


def _entry(where: str, cells: list[str], places: dict[str, int], owner: str) -> ListedWork:
    said = {
        key: text(cells[place], _KEYS[key]).strip() if 0 <= place < len(cells) else ""
        for key, place in places.items()
    }
    source, number = _named(said, owner)
    return ListedWork(
        where=where,
        source=source,
        number=number,
        title=said["title"],
        author=said["author"],
        license=said["license"],
        url=said["url"],
    )


def _named(said: dict[str, str], owner: str) -> tuple[str, int]:
    """Whose work it is, and its number: a URL that holds the number says both."""
    hosts = [host_of(cell) if "/" in cell else "" for cell in (said["url"], said["id"])]
    for cell, host in zip((said["url"], said["id"]), hosts, strict=True):
        found = split(cell if "//" in cell[:10] else f"//{cell}") if host == "freesound.org" else None
        if found and (match := _SOUND.fullmatch(found.path)):
            return "freesound", int(match[1])
    number = int(said["id"]) if _NUMBER.fullmatch(said["id"]) else 0
    if not number and (match := _FILE.fullmatch(said["title"])):
        return "freesound", int(match[1])
    if hosts[0] == "freemusicarchive.org":
        return "fma", number
    return ("freesound" if hosts[0] == "freesound.org" else owner), number


def _is_name(name: str) -> bool:
    return any(plain(name) == plain(each) for names in _NAMES.values() for each in names)


def _sniffed(rows: Sequence[list[str]]) -> dict[str, int]:
    """Columns by what stands in them."""
    width = max(map(len, rows))
    tests: dict[str, Callable[[str], object]] = {
        "url": lambda cell: _URL.fullmatch(cell) and not _is_licence(cell),
        "id": _NUMBER.fullmatch,
        "license": _is_licence,
        "title": lambda cell: cell,
        "author": lambda cell: cell,
    }
    places: dict[str, int] = {}
    for key, holds in tests.items():
        hits = Counter(place for cells in rows for place, cell in enumerate(cells) if holds(cell.strip()))
        free = (place for place in range(width) if place not in places.values())
        places[key] = next((place for place in free if hits[place] > len(rows) / 2), -1)
    return places


def _is_licence(cell: str) -> bool:
    return bool(cell) and len(cell) < 200 and parse(cell).family not in ("UNKNOWN", "OTHER")
