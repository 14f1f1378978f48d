"""Any folder of audio files with metadata beside them (the AudioFolder convention).

`metadata.csv` or `metadata.jsonl` at the top, a row per file: `file_name,title,author,license,url`, and if
known author_url, tags, description, genres, album, year, copyright_notice, requested_credit, ai_preference
(or gen_ai_preference), retrieved_at (tags and genres: a list, or split at commas and semicolons). Other
columns stay in the evidence. A file without a row may have `x.json` (same keys) and `x.txt` (its description)
beside `x.wav`. One without either is offered without a licence, so that it is counted, and denied. Files
whose suffix is not audio are no recordings and are passed over, unless a row names them.

Ids come from the path alone, so that adding a file never renames another: `drums/kick_01.wav` is
`folder:drums__kick_01-wav`. A path that this spelling would not preserve (spaces, accents, `a__b`, a further
dot, too long) gets ten hex digits of its sha256 at the end: `Björk live.wav` is
`folder:Bj-rk-live-wav-51839810d8`.

Terms and licences are whatever the metadata say; no rate limits. Links are followed only
within the folder, and linked folders are entered only for files that a row names.
A row is rejected as `bad_metadata` (it cannot be read) or `bad_path` (its file_name, or the link it names,
leads out of the folder or cannot be a file name).
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from sao_data.config import Location
from sao_data.errors import UsageError
from sao_data.records import MediaFacts, Offer, Recording, Rejection
from sao_data.sources import _preference, _rows, _table

SUFFIXES = frozenset((
    ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".au", ".caf", ".flac", ".m4a", ".mka", ".mp2",
    ".mp3", ".mp4", ".mpc", ".oga", ".ogg", ".opus", ".ra", ".rf64", ".snd", ".spx", ".tta", ".voc", ".w64",
    ".wav", ".wave", ".webm", ".wma", ".wv",
))  # fmt: skip

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PLAIN = re.compile(r"(?:[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*/)*[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*\.[A-Za-z0-9]+")
_MOST_ID = 80  # characters that records.check_id allows after the colon

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Which folder, and what its recordings are called."""

    path: Location
    name: str = "folder"  # prefix of the ids, so that two folders can be told apart
    metadata: str = (
        ""  # within path; '' = metadata.csv, else metadata.jsonl, else only files beside the audio
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The Source over one folder."""

    config: Config

    def check(self) -> None:
        """Raise UsageError unless the folder (and the metadata file, if named) can be seen from here."""
        if not self._folder.is_dir():
            raise UsageError(
                f"{self.config.name}: {self._folder}: no such folder; "
                "set source.path (or --set source.N.path=…)"
            )
        if self.config.metadata and not (self._folder / self.config.metadata).is_file():
            raise UsageError(
                f"{self.config.name}: {self._folder / self.config.metadata}: no such file; "
                "set source.metadata, or leave it out to use metadata.csv or metadata.jsonl"
            )

    def offers(self) -> Iterator[Offer | Rejection]:
        """Rows of the metadata file in their order, then the files no row names, by path."""
        self.check()
        listed = set()
        table = self._metadata_file()
        for line in _table.read(table) if table else ():
            offered = self._from_line(line)
            if isinstance(offered, Offer):
                listed.add(offered.recording.audio_url)
            yield offered
        for relative in self._audio_files():
            if relative not in listed:
                yield self._from_sidecars(relative)

    def open(self, recording: Recording) -> BinaryIO:
        """Open the file; FileNotFoundError if it is absent, no file, or a link out of the folder."""
        path = self._inside(recording.audio_url)
        if path is None or not os.path.isfile(path):
            raise FileNotFoundError(f"{recording.audio_url}: no such file in the folder")
        return open(path, "rb")

    @property
    def _folder(self) -> Path:
        return Path(self.config.path)

    def _metadata_file(self) -> Path | None:
        names = (self.config.metadata,) if self.config.metadata else ("metadata.csv", "metadata.jsonl")
        found = [self._folder / name for name in names if (self._folder / name).is_file()]
        if len(found) > 1:
            log.warning("%s: %s is read, %s is not", self.config.name, found[0].name, found[1].name)
        return found[0] if found else None

    def _audio_files(self) -> list[str]:
        found = []
        for folder, _, names in os.walk(self._folder, onerror=_raise):
            for name in names:
                if os.path.splitext(name)[1].lower() in SUFFIXES:
                    found.append(Path(folder, name).relative_to(self._folder).as_posix())
        return sorted(found)

    def _inside(self, relative: str) -> str | None:
        """The real path of a file of the folder, or None if its name or a link on the way leads out."""
        root = os.path.realpath(self._folder)
        real = os.path.realpath(os.path.join(root, relative))
        return real if real.startswith(os.path.join(root, "")) else None

    def _from_line(self, line: _table.Line) -> Offer | Rejection:
        if line.problem:
            return _rows.reject_row(
                self.config.name, line.raw, "bad_metadata", f"{line.where}: {line.problem}"
            )
        file_name = _rows.text(line.row, "file_name")
        problem = _path_problem(file_name)
        if problem:
            return _rows.reject_row(self.config.name, line.raw, "bad_path", f"{line.where}: {problem}")
        return self._offer(PurePosixPath(file_name).as_posix(), line.row)

    def _from_sidecars(self, relative: str) -> Offer | Rejection:
        """Offer a file that no row names, with what lies beside it."""
        problem = _path_problem(relative)
        if problem:
            return _rows.reject_row(self.config.name, os.fsencode(relative), "bad_path", problem)
        stem = os.path.splitext(relative)[0]
        row: _rows.Row = {}
        try:
            row |= _rows.parse_object(self._beside(f"{stem}.json") or b"{}")
            words = self._beside(f"{stem}.txt").decode("utf-8-sig").strip()
        except (_rows.BadRow, UnicodeDecodeError) as error:
            detail = f"{stem}.json or .txt: {error}"[:300]
            recording_id = f"{self.config.name}:{own_id(relative)}"
            return Rejection(id=recording_id, stage="list", reason="bad_metadata", detail=detail)
        if words and not _rows.text(row, "description"):
            row["description"] = words
        return self._offer(relative, row | {"file_name": relative})

    def _beside(self, relative: str) -> bytes:
        path = self._inside(relative)
        return Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf") if path and os.path.isfile(path) else b""

    def _offer(self, relative: str, row: _rows.Row) -> Offer | Rejection:
        raw = _rows.canonical_json(row)
        path = self._inside(relative)
        if path is None:
            detail = f"{relative[:200]!r} is a link that leaves the folder"
            return _rows.reject_row(self.config.name, raw.encode(), "bad_path", detail)
        sha256 = _hash(path) if os.path.isfile(path) else ""
        stated = _recording(self.config.name, relative, row, raw)
        return Offer(recording=dataclasses.replace(stated, sha256=sha256), raw=raw)


def build(config: Config) -> Folder:
    """Make the source; UsageError if its name cannot start an id."""
    if not _NAME.fullmatch(config.name):
        raise UsageError(
            f"source folder: name {config.name!r}: want lower-case letters, digits and '_', a letter first"
        )
    return Folder(config=config)


def recording(raw: str, config: Config) -> Recording:
    """Read a recording from its metadata row alone (no sha256); ValueError if it names no file."""
    row = _rows.parse_object(raw.encode())
    file_name = _rows.text(row, "file_name")
    if problem := _path_problem(file_name):
        raise _rows.BadRow(problem)
    return _recording(config.name, PurePosixPath(file_name).as_posix(), row, raw)


def own_id(relative: str) -> str:
    """The part of an id after the colon, made from the relative path alone; equal only for equal paths."""
    slug = relative.replace("/", "__").replace(".", "-")
    plain = _PLAIN.fullmatch(relative) and os.path.splitext(relative)[1].lower() in SUFFIXES
    if plain and len(slug) <= _MOST_ID:
        return slug
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", relative.replace("/", "__")).strip("-_")
    mark = hashlib.sha256(relative.encode()).hexdigest()[:10]
    return f"{slug[: _MOST_ID - 11]}-{mark}".lstrip("-")


def _recording(source: str, relative: str, row: _rows.Row, raw: str) -> Recording:
    """What the row says; what is in the file, it does not."""
    claim, url = _rows.split_licence(_rows.text(row, "license"))
    return Recording(
        id=f"{source}:{own_id(relative)}",
        source=source,
        title=_rows.text(row, "title"),
        author=_rows.text(row, "author"),
        author_url=_rows.text(row, "author_url"),
        page_url=_rows.text(row, "url"),
        audio_url=relative,
        license_claim=claim,
        license_url=url,
        ai_preference=_preference.stated(row),
        description=_rows.text(row, "description"),
        tags=_rows.texts(row, "tags", separators=",;"),
        genres=_rows.texts(row, "genres", separators=",;"),
        album=_rows.text(row, "album"),
        year=_rows.text(row, "year"),
        copyright_notice=_rows.text(row, "copyright_notice"),
        requested_credit=_rows.text(row, "requested_credit"),
        media=MediaFacts(container=os.path.splitext(relative)[1].lower().lstrip(".")),
        retrieved_at=_rows.text(row, "retrieved_at"),
        evidence=_rows.sha256_of(raw),
    )


def _path_problem(name: str) -> str:
    """Why a file name must not be opened; '' if its words name something within the folder."""
    if not name.strip("./ "):
        return "no file_name"
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or name.startswith("\\"):
        return f"{name[:200]!r} is an absolute path; want one relative to the folder"
    if ".." in re.split(r"[/\\]", name):
        return f"{name[:200]!r} leaves the folder"
    if (
        not name.isprintable()
        or any(len(part.encode()) > 255 for part in name.split("/"))
        or len(name) > 1000
    ):
        return f"{name[:200]!r} cannot be a file name here"
    return ""


def _hash(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _raise(error: OSError) -> None:
    """Report a folder that cannot be read, which os.walk would take for an empty one."""
    raise error
