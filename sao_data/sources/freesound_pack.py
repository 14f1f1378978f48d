"""Freesound data packs: a zip file (or its folder) of `ID//1000/ID.TYPE` with `metadata/metadata_NNNN.csv`.

Facts about the source, from its server code (`create_data_pack`, new in July 2026), checked 2026-07-30:

- Terms: sounds keep their own licences, and credit is due as everywhere. No rate limits: nothing is asked of
  a server.
- Licences: names without a version ("Attribution" is BY 3.0 or 4.0), recorded as given and judged by our own
  policy whatever the pack promises: its "commercial" variants may hold NonCommercial sounds (a hyphen in the
  comparison). Sampling+ sounds and those not moderated are left out by the pack.
- Generative-AI preference: a column of its own, so a pack without it is refused.
- Columns are found by name. Ids are those of the API, so that a sound offered by both is one recording.

Audio is read where it lies, crc32 checked; packs state no md5. The evidence is the row, but for its geotag:
the place is often somebody's home. With it stands `audio_file`, what the zip's directory says of the audio
(of a folder only the size), so that a replaced or added file is noticed although its row stays as it was.
A row is rejected as `bad_metadata` (it cannot be read), `bad_id`, `bad_type` (a file type Freesound does not
have) or `bad_path` (its filepath is another sound's, or leads out; so does a zip member).
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import quote

from sao_data.config import Location
from sao_data.errors import UsageError
from sao_data.records import MediaFacts, Offer, Recording, Rejection
from sao_data.sources._common import preference, rows
from sao_data.sources._common.archive import Archive, is_safe
from sao_data.sources._common.cells import Remarks, digits, is_nothing, items, number, text
from sao_data.sources._common.columns import Cells, Csv, TableLine, plain
from sao_data.sources._freesound import taxonomy
from sao_data.sources._freesound.sound import TYPES

NEEDED = ("id", "username", "title", "license", "generative_ai_preference", "type")
_WISH = ("generative_ai_preference", "gen_ai_preference", "ai_preference")
KNOWN_AS = {
    "username": ("username", "user", "author"),
    "title": ("title", "name"),
    "license": ("license", "licence"),
    "generative_ai_preference": _WISH,
    "bst_category": ("bst_category", "category_code", "category"),
    "pack_name": ("pack_name", "pack"),
}
PLACES = frozenset(("geotag", "latitude", "longitude", "lat", "lon"))  # "lon lat"; none is kept
_LOOKED_AT = {  # our field: the pack's
    "title": "title", "author": "username", "description": "description", "tags": "tags",
    "album": "pack_name", "category": "bst_category",
}  # fmt: skip
AUDIO_FILE = "audio_file"  # key of the evidence

_ID = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Which pack."""

    path: Location  # the zip file as downloaded, or the folder it was unpacked to


@dataclass(frozen=True, slots=True, kw_only=True)
class FreesoundPack:
    """The Source over one data pack."""

    config: Config
    tally: Remarks = field(default_factory=Remarks, compare=False, repr=False)

    def check(self) -> None:
        """Raise UsageError unless the pack is whole and its tables have the columns that are needed."""
        for table in self._tables():
            table.require(NEEDED, known_as=KNOWN_AS)

    def offers(self) -> Iterator[Offer | Rejection]:
        """Every row of every table, by name and line; then members that lead out of the archive."""
        root = self._root()
        self.tally.clear()
        for table in self._tables():
            table.require(NEEDED, known_as=KNOWN_AS)
            for line in table.rows():
                yield self._offer(line, root)
        for name in self._archive.refused():
            detail = f"the zip member {name[:200]!r} leads out of the archive"
            yield rows.reject_row("freesound", name.encode(errors="replace"), "bad_path", detail)

    def open(self, recording: Recording) -> BinaryIO:
        """Stream the audio; DamagedFile where its bytes are not what the zip's directory says."""
        return self._archive.open(posixpath.join(self._root(), recording.audio_url))

    def remarks(self) -> tuple[str, ...]:
        """What is to be said of the rows once they are read."""
        return self.tally.sentences("freesound_pack")

    def notes(self) -> tuple[str, ...]:
        """What a reader of the dataset should know of this source."""
        return (
            "Freesound data packs hold no Sampling+ works; only the API and earlier snapshots offer them.",
            "Freesound data packs name licences without their version: Attribution may be 3.0 or 4.0.",
        )

    @property
    def _archive(self) -> Archive:
        return Archive(path=self.config.path, key="path", plugin="freesound_pack")

    def _root(self) -> str:
        """The folder within the archive that holds everything: '' or the one it was packed with."""
        self._archive.check()
        found = self._archive.folders("metadata", "*/metadata")
        if len(found) != 1:
            what = "several packs" if found else "no folder `metadata`"
            raise UsageError(
                f"freesound_pack: {self.config.path}: {what} in it; "
                "set source.path to one pack: metadata/metadata_0000.csv … and 0/123.wav …"
            )
        return posixpath.dirname(found[0])

    def _tables(self) -> list[Csv]:
        pattern = posixpath.join(self._root(), "metadata", "metadata_*.csv")
        found = self._archive.files(pattern)
        if not found:
            raise UsageError(
                f"freesound_pack: {self.config.path}: no {pattern} in it; is it a Freesound data pack?"
            )
        return [Csv(archive=self._archive, name=name, is_name=_is_name) for name in found]

    def _offer(self, line: TableLine, root: str) -> Offer | Rejection:
        cells = {name: cell for name, cell in line.cells.items() if plain(name) not in PLACES}
        own = rows.canonical_json(dict(cells)).encode()
        if line.problem:
            return rows.reject_row("freesound", own, "bad_metadata", f"{line.where}: {line.problem}")
        if problem := _id_problem(cells):
            return rows.reject_row("freesound", own, "bad_id", f"{line.where}: {problem}")
        reason, problem = _file_problem(cells)
        if reason:
            sound_id, detail = f"freesound:{_id(cells)}", f"{line.where}: {problem}"[:300]
            return Rejection(id=sound_id, stage="list", reason=reason, detail=detail)
        if line.num_missing:
            self.tally.say("fewer cells than the header names columns; the missing are taken as not stated")
        for key, name in _LOOKED_AT.items():
            self.tally.note_word(name, _cell(cells, name), key)
        facts = self._archive.facts(posixpath.join(root, _audio_url(cells)))
        raw = rows.canonical_json({**cells, AUDIO_FILE: facts and facts._asdict()})
        return Offer(recording=recording(raw, self.config), raw=raw)


def build(config: Config) -> FreesoundPack:
    """Make the source."""
    return FreesoundPack(config=config)


def recording(raw: str, config: Config) -> Recording:
    """Read a sound from its row kept as evidence; ValueError if it is none of this source."""
    row = rows.parse_object(raw.encode())
    cells = {name: cell for name, cell in row.items() if isinstance(cell, str)}
    if problem := _id_problem(cells) or _file_problem(cells)[1]:
        raise rows.BadRow(problem)
    username = _said(cells, "author")
    claim, url = rows.split_licence(_cell(cells, "license"))
    return Recording(
        id=f"freesound:{_id(cells)}",
        source="freesound",
        title=_said(cells, "title"),
        author=username,
        author_url=f"https://freesound.org/people/{quote(username, safe='')}/" if username else "",
        page_url=f"https://freesound.org/s/{_id(cells)}/",  # outlives renamed users
        audio_url=_audio_url(cells),
        license_claim=claim,
        license_url=url,
        ai_preference=preference.stated(cells),
        description=_said(cells, "description"),
        tags=items(_cell(cells, "tags"), "tags", " "),
        album=_said(cells, "album"),
        category=taxonomy.code(_said(cells, "category")),
        media=_media(cells),
        evidence=rows.sha256_of(raw),
    )


@functools.lru_cache(maxsize=16)
def _columns(header: tuple[str, ...]) -> dict[str, str]:
    """The column that holds each field: the first of the names it is known as."""
    there = {plain(name): name for name in header}
    found = {}
    for key in (*header, *KNOWN_AS, *NEEDED, "filepath", "description", "tags", "duration", "filesize"):
        names = map(plain, KNOWN_AS.get(key, (key,)))
        column = next((there[name] for name in names if name in there), None)
        if column is not None:
            found[key] = column
    return found


def _is_name(name: str) -> bool:
    known = {plain(each) for names in (*KNOWN_AS.values(), NEEDED) for each in names}
    return plain(name) in known


def _cell(cells: Cells, key: str) -> str:
    return cells.get(_columns(tuple(cells)).get(key, ""), "")


def _said(cells: Cells, key: str) -> str:
    return text(_cell(cells, _LOOKED_AT[key]), key)


def _id(cells: Cells) -> str:
    return digits(_cell(cells, "id").strip())


def _audio_url(cells: Cells) -> str:
    sound = _id(cells)
    return _filepath(cells) or f"{int(sound) // 1000}/{sound}.{_cell(cells, 'type')}"


def _filepath(cells: Cells) -> str:
    path = _cell(cells, "filepath")
    return "" if is_nothing(path, "audio") else path


def _id_problem(cells: Cells) -> str:
    return "" if _ID.fullmatch(_id(cells)) else f"id {_cell(cells, 'id')[:80]!r} is no integer > 0"


def _file_problem(cells: Cells) -> tuple[str, str]:
    """(reason, detail) if the row's file is none to open."""
    kind, path = _cell(cells, "type"), _filepath(cells)
    if kind not in TYPES:
        return "bad_type", f"type {kind[:80]!r} is not one of {' '.join(TYPES)}"
    if path and not is_safe(path):
        return "bad_path", f"filepath {path[:200]!r} leads out of the pack"
    stem = posixpath.basename(path).partition(".")[0]
    if path and stem != _id(cells):
        return "bad_path", f"filepath {path[:200]!r} is not that of sound {_id(cells)}"
    return "", ""


def _media(cells: Cells) -> MediaFacts:
    size: rows.Row = {name: number(_cell(cells, name)) for name in ("filesize", "duration")}
    return MediaFacts(
        container=_cell(cells, "type"),
        num_bytes=rows.whole(size, "filesize"),
        seconds=rows.real(size, "duration"),
    )
