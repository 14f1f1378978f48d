"""Any folder of audio files with metadata beside them (the AudioFolder convention).

`metadata.csv`, `.jsonl` or `.parquet` at the top, a row per file: `file_name,title,author,license,url`, and
what else is known. Columns are found by their usual names (`KNOWN_AS` in _common/reader.py) or named in
`fields`; others stay in the evidence. A file without a row may have `x.json` (same keys) and `x.txt` (its
description) beside `x.wav`. One without either is offered without a licence, so that it is counted, and
denied. Files whose suffix is not audio are no recordings and are passed over, unless a row names them.

A folder of one person's own recordings may have `license` (or `license_url`) and `author` declared for all
files that state none; the evidence says that it was declared, and by whom (the manifest's contact).

Ids come from the path alone, so that adding a file never renames another: `drums/kick_01.wav` is
`folder:drums__kick_01-wav`. A path that this spelling would not preserve (spaces, accents, `a__b`, a further
dot, too long) gets ten hex digits of its sha256 at the end: `Björk live.wav` is
`folder:Bj-rk-live-wav-51839810d8`.

Terms and licences are whatever the metadata say; no rate limits. Links are followed only
within the folder, and linked folders are entered only for files that a row names.
A row is rejected as `bad_metadata` (it cannot be read, or contradicts itself), `bad_checksum`, or `bad_path`
(its file_name, or the link it names, leads out of the folder or cannot be a file name).
"""

from __future__ import annotations

import dataclasses
import logging
import os
import posixpath
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO

from sao_data.config import WHEN_SET, Location
from sao_data.errors import UsageError
from sao_data.records import Offer, Recording, Rejection
from sao_data.sources._catalogue import rows
from sao_data.sources._common import fields
from sao_data.sources._common.cells import Remarks
from sao_data.sources._common.columns import plain
from sao_data.sources._common.fields import Refused
from sao_data.sources._common.paths import SUFFIXES, own_id
from sao_data.sources._common.paths import problem as path_problem
from sao_data.sources._common.rows import BadRow, Row, canonical_json, parse_object, reject_row, text
from sao_data.storage import inputs

__all__ = ["SUFFIXES", "Config", "Folder", "build", "own_id", "recording"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Which folder, and what its recordings are called."""

    path: Location
    name: str = "folder"  # prefix of the ids, so that two folders can be told apart
    metadata: str = ""  # within path; '' = metadata.csv, .jsonl or .parquet, else only files beside the audio
    fields: dict[str, str] = field(default_factory=dict, metadata=WHEN_SET)  # our name = "their column"
    license: str = field(default="", metadata=WHEN_SET)  # of all files that state none, in words
    license_url: str = field(default="", metadata=WHEN_SET)  # the same as its deed's URL
    author: str = field(default="", metadata=WHEN_SET)  # of all files that name none
    declared_by: str = field(default="", metadata=WHEN_SET)  # who says so; '' = the manifest's contact


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The Source over one folder."""

    config: Config
    tally: Remarks = field(default_factory=Remarks, compare=False, repr=False)

    def check(self) -> None:
        """Raise UsageError unless the folder (and the metadata file, if named) can be seen from here."""
        if not inputs.is_folder(self._folder):
            raise UsageError(
                f"{self.config.name}: {self._folder}: no such folder; "
                "set source.path (or --set source.N.path=…)"
            )
        if self.config.metadata and not inputs.is_file(self._at(self.config.metadata)):
            raise UsageError(
                f"{self.config.name}: {self._at(self.config.metadata)}: no such file; "
                "set source.metadata, or leave it out to use metadata.csv or metadata.jsonl"
            )

    def offers(self) -> Iterator[Offer | Rejection]:
        """Rows of the metadata file in their order, then the files no row names, by path."""
        self.check()
        self.tally.clear()
        listed = set()
        table = self._metadata_file()
        for line in self._lines(table) if table else ():
            offered = self._from_line(line)
            if isinstance(offered, Offer):
                listed.add(offered.recording.id)
            else:
                listed.add(offered.id)  # its row is refused, so the file alone is nothing to offer
            yield offered
        for relative in self._audio_files():
            if path_problem(relative) or f"{self.config.name}:{own_id(relative)}" not in listed:
                yield self._from_sidecars(relative)

    def open(self, recording: Recording) -> BinaryIO:
        """Open the file; FileNotFoundError if it is absent, no file, or a link out of the folder."""
        path = self._inside(recording.audio_url)
        if path is None or not inputs.is_file(path):
            raise FileNotFoundError(f"{recording.audio_url}: no such file in the folder")
        return inputs.open_file(path)

    def remarks(self) -> tuple[str, ...]:
        """What is to be said of the rows once they are read."""
        return self.tally.sentences(self.config.name, fields.unread(tuple(self.tally.seen), self._names))

    def notes(self) -> tuple[str, ...]:
        """What a reader of the dataset should know of this source."""
        return fields.declaration(self.config, self.config.name)

    @property
    def _names(self) -> fields.Fields:
        return self.config.fields

    @property
    def _folder(self) -> str:
        return self.config.path.rstrip("/") or "/"

    def _at(self, relative: str) -> str:
        return posixpath.join(self._folder, relative)

    def _metadata_file(self) -> str | None:
        usual = tuple(f"metadata{suffix}" for suffix in rows.SUFFIXES)
        names = (self.config.metadata,) if self.config.metadata else usual
        found = [name for name in names if inputs.is_file(self._at(name))]
        if len(found) > 1:
            log.warning("%s: %s is read, %s is not", self.config.name, found[0], found[1])
        return self._at(found[0]) if found else None

    def _lines(self, table: str) -> Iterator[rows.CatalogueLine]:
        """Rows of the metadata; UsageError if it has no column of file names."""
        if not table.endswith(rows.SUFFIXES):
            raise UsageError(f"{table}: want metadata as one of {', '.join(rows.SUFFIXES)}")
        columns = rows.columns(table, self.config.name)
        if columns is not None:
            fields.require(columns, self._names, where=table)
            self._check_names(table, columns)
        missing, num_rows = [], 0
        for line in rows.read(table, self.config.name):
            if columns is None and not line.problem:
                num_rows += 1
                if not _file_columns(line.row, self._names):
                    missing.append(line.row)
            yield line
        if missing and len(missing) == num_rows:
            self._check_names(table, list(missing[0]))

    def _check_names(self, table: str, columns: list[str]) -> None:
        if not _file_columns(columns, self._names):
            there = ", ".join(repr(name[:80]) for name in columns if name) or "nothing"
            raise UsageError(
                f"{table}: no column 'file_name'; there is: {there} (want file_name,title,author,license,url)"
            )

    def _audio_files(self) -> list[str]:
        found = inputs.files_below(self._folder)
        return [name for name in found if os.path.splitext(name)[1].lower() in SUFFIXES]

    def _inside(self, relative: str) -> str | None:
        """The real place of a file of the folder, or None if its name or a link on the way leads out."""
        if inputs.is_url(self._folder):
            return None if path_problem(relative) else self._at(relative)
        root = os.path.realpath(self._folder)
        real = os.path.realpath(os.path.join(root, relative))
        return real if real.startswith(os.path.join(root, "")) else None

    def _from_line(self, line: rows.CatalogueLine) -> Offer | Rejection:
        if line.problem:
            detail = f"{line.where}: {line.problem}"
            return reject_row(self.config.name, line.raw.encode(), "bad_metadata", detail)
        if line.num_missing:
            self.tally.say("fewer cells than the header names columns; the missing are taken as not stated")
        file_name = _file_name(line.row, self._names)
        if problem := path_problem(file_name):
            detail = f"{line.where}: {problem}"
            return reject_row(self.config.name, line.raw.encode(), "bad_path", detail)
        return self._offer(PurePosixPath(file_name).as_posix(), line.row, line.where)

    def _from_sidecars(self, relative: str) -> Offer | Rejection:
        """Offer a file that no row names, with what lies beside it."""
        problem = path_problem(relative)
        if problem:
            return reject_row(self.config.name, os.fsencode(relative), "bad_path", problem)
        stem = os.path.splitext(relative)[0]
        row: Row = {}
        try:
            row |= parse_object(self._beside(f"{stem}.json") or b"{}")
            words = self._beside(f"{stem}.txt").decode("utf-8-sig").strip()
        except (BadRow, UnicodeDecodeError) as error:
            detail = f"{stem}.json or .txt: {error}"[:300]
            recording_id = f"{self.config.name}:{own_id(relative)}"
            return Rejection(id=recording_id, stage="list", reason="bad_metadata", detail=detail)
        if words and not text(row, "description"):
            row["description"] = words
        own = {name: cell for name, cell in row.items() if name not in _file_columns(row, {})}
        return self._offer(relative, own | {"file_name": relative}, f"{stem}.json")

    def _beside(self, relative: str) -> bytes:
        path = self._inside(relative)
        if not path or not inputs.is_file(path):
            return b""
        with inputs.open_file(path) as file:
            return file.read().removeprefix(b"\xef\xbb\xbf")

    def _offer(self, relative: str, row: Row, where: str) -> Offer | Rejection:
        path = self._inside(relative)
        if path is None:
            detail = f"{relative[:200]!r} is a link that leaves the folder"
            own = canonical_json(row).encode()
            return reject_row(self.config.name, own, "bad_path", detail)
        try:
            raw = canonical_json(fields.declared(row, self._names, self.config))
            stated = _recording(self.config, relative, parse_object(raw.encode()), raw, self.tally)
        except Refused as refused:
            detail = f"{where}: {refused}"[:300]
            recording_id = f"{self.config.name}:{own_id(relative)}"
            return Rejection(id=recording_id, stage="list", reason=refused.reason, detail=detail)
        sha256 = stated.sha256 or (inputs.sha256(path) if inputs.is_file(path) else "")
        return Offer(recording=dataclasses.replace(stated, sha256=sha256), raw=raw)


def build(config: Config) -> Folder:
    """Make the source; UsageError if its name cannot start an id."""
    fields.check(config.name, config.fields, plugin="folder")
    if "id" in config.fields:
        raise UsageError("source folder: fields: ids come from the paths of the files; leave out id")
    return Folder(config=config)


def recording(raw: str, config: Config) -> Recording:
    """Read a recording from its metadata row alone (no sha256); ValueError if it names no file."""
    row = parse_object(raw.encode())
    file_name = _file_name(row, config.fields)
    if problem := path_problem(file_name):
        raise BadRow(problem)
    return _recording(config, PurePosixPath(file_name).as_posix(), row, raw)


def _recording(config: Config, relative: str, row: Row, raw: str, tally: Remarks | None = None) -> Recording:
    """What the row says; what is in the file, it does not."""
    key = f"{config.name}:{own_id(relative)}"
    return fields.recording(
        row, config.fields, key=key, raw=raw, audio_url=relative, file_name=relative, tally=tally
    )


def _file_columns(columns: Collection[str], names: fields.Fields) -> tuple[str, ...]:
    """The columns that may name the file: `file_name` before all others, as in AudioFolder."""
    found = fields.columns_of("audio", columns, names)
    return tuple(sorted(found, key=lambda name: plain(name) != "filename"))


def _file_name(row: Row, names: fields.Fields) -> str:
    said = (text(row, column) for column in _file_columns(row, names))
    return next((name for name in said if name.strip()), "")
