"""Any list of works with their licences: JSON lines, CSV or Parquet, its audio in files or at web addresses.

A row per work. Columns are found by their usual names (`KNOWN_AS` in _common/reader.py: id, title, author,
license, url, file_name or audio_url, tags, md5 …) or named in `fields`: `fields = {audio = "mp3_link", author
= "by"}`. Other columns stay in the evidence. The audio is a path within the folder `audio`, or with `remote =
true` an http(s) address. Without an id column ids come from that path as in the source folder, or from the
address: give ids where addresses change. An id that has the form `source:id` already ("freesound:123") is
kept, so that a work which another source offers too is known as the same one (the richer row is kept, the
strictest licence decides); give such ids only if they are true.

Terms and licences are whatever the list says. Servers are asked at most `requests_per_second` times a second
by all workers together, without credentials; their own terms are yours to read. Only public addresses are
asked (a list is a stranger's file), but for `private_hosts`.
A row is rejected as `bad_metadata` (it cannot be read), `no_audio` (it names none), `bad_path` (one that
leads out of the folder, or none at all), `bad_url`, `bad_checksum`, or `remote_not_allowed`.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, ClassVar, cast

from sao_data.config import WHEN_SET, Location
from sao_data.errors import UsageError
from sao_data.fetch.remote import Fetched, Services
from sao_data.fetch.workspace import Workspace
from sao_data.licences import Release
from sao_data.licences.address import normal
from sao_data.licences.words import unescaped
from sao_data.plugins import DamagedFile
from sao_data.records import Offer, Recording, Rejection
from sao_data.sources._catalogue import rows
from sao_data.sources._catalogue.rows import CatalogueLine
from sao_data.sources._common import download, fields, urls
from sao_data.sources._common.archive import Archive, is_safe
from sao_data.sources._common.cells import Remarks
from sao_data.sources._common.download import RequestPolicy, SharedRateLimiter, StatedFile
from sao_data.sources._common.fields import Refused
from sao_data.sources._common.rows import Row, canonical_json, parse_object, reject_row
from sao_data.storage import inputs
from sao_data.storage.backend import Storage

_MOST_PATH, _MOST_NAME = 1000, 255  # characters; bytes: what file systems take
_MOST_PER_SECOND = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Which list, what its columns are called, and how its audio is had."""

    path: Location  # .jsonl, .csv or .parquet
    name: str = "catalogue"  # prefix of the ids, so that two lists can be told apart
    audio: Location = ""  # folder that relative paths are relative to; '' = the list's own
    fields: dict[str, str] = field(default_factory=dict)  # our name = "their column"; '' = nowhere
    absolute_paths: bool = False  # may a row name any file of this machine?
    remote: bool = False  # may a row name an address?
    requests_per_second: float = 2.0  # of all workers together
    private_hosts: tuple[str, ...] = ()  # hosts of your own network that may be asked all the same
    license: str = field(default="", metadata=WHEN_SET)  # of all works that state none, in words
    license_url: str = field(default="", metadata=WHEN_SET)  # the same as its deed's URL
    author: str = field(default="", metadata=WHEN_SET)  # of all works that name none
    declared_by: str = field(default="", metadata=WHEN_SET)  # who says so; '' = the manifest's contact


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCatalogue:
    """The Source over a list whose audio is at hand."""

    config: Config
    tally: Remarks = field(default_factory=Remarks, compare=False, repr=False)

    def check(self) -> None:
        """Raise UsageError unless the list, its columns and the audio folder can be seen from here."""
        _check(self.config)

    def offers(self) -> Iterator[Offer | Rejection]:
        """Every row, in the list's order."""
        return _offers(self.config, self.tally)

    def remarks(self) -> tuple[str, ...]:
        """What is to be said of the rows once they are read."""
        return _remarks(self.config, self.tally)

    def notes(self) -> tuple[str, ...]:
        """What a reader of the dataset should know of this source."""
        return fields.declaration(self.config, self.config.name)

    def open(self, recording: Recording) -> BinaryIO:
        """Open the file; DamagedFile for a link out of the folder."""
        return _open(recording.audio_url, self.config)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteCatalogue:
    """The source over a list with addresses (a RemoteSource); its files at hand are copied."""

    config: Config
    pace: download.RateLimiter | None = None  # None: one of this process
    tally: Remarks = field(default_factory=Remarks, compare=False, repr=False)

    remote: ClassVar[bool] = True

    def check(self) -> None:
        """Raise UsageError unless the list, its columns and the audio folder can be seen from here."""
        _check(self.config)

    def check_terms(self, storage: Storage, release: Release, *, accept: bool) -> None:
        """There are none that this program could show: every server has its own."""

    def services(self, storage: Storage | None) -> Mapping[str, Callable[[], Any]]:
        """What all workers share, for executor.service: the turns."""
        rate = self.config.requests_per_second
        return {_service(self.config): functools.partial(SharedRateLimiter, rate)}

    def attached(self, workspace: Workspace, services: Services) -> RemoteCatalogue:
        """The same source, taking turns with all other workers."""
        return dataclasses.replace(self, pace=services[_service(self.config)])

    def offers(self) -> Iterator[Offer | Rejection]:
        """Every row, in the list's order."""
        return _offers(self.config, self.tally)

    def remarks(self) -> tuple[str, ...]:
        """What is to be said of the rows once they are read."""
        return _remarks(self.config, self.tally)

    def notes(self) -> tuple[str, ...]:
        """What a reader of the dataset should know of this source."""
        return fields.declaration(self.config, self.config.name)

    def look_up(self, ids: Iterable[str]) -> Iterator[Offer]:
        """What the list says of these works now."""
        wanted = frozenset(ids)
        for offered in self.offers():
            if isinstance(offered, Offer) and offered.recording.id in wanted:
                yield offered

    def is_stale(self, recording: Recording) -> bool:
        """A list is read at the beginning of every run; nothing newer is to be had."""
        return False

    def fetch(self, recording: Recording, partial: Path) -> Fetched:
        """Transfer the file to `partial`, going on from what is there. FileNotFoundError and DamagedFile are
        facts; Stopped: not now; other OSErrors are transient."""
        if not urls.is_url(recording.audio_url):
            with _open(recording.audio_url, self.config) as file, partial.open("wb") as copy:
                shutil.copyfileobj(file, copy)
            return Fetched()
        stated = StatedFile(
            url=recording.audio_url,
            num_bytes=recording.media.num_bytes,
            md5=recording.md5,
            sha256=recording.sha256,
        )
        pace = self.pace or _own_pace(self.config.requests_per_second)
        policy = RequestPolicy(pace=pace, private_hosts=self.config.private_hosts)
        download.download(stated, partial, policy)
        return Fetched()

    def open(self, recording: Recording) -> BinaryIO:
        """Fetch the file and open it; it has no name and is gone when closed."""
        with tempfile.TemporaryDirectory(prefix="sao-catalogue-") as folder:
            path = Path(folder, "file")
            self.fetch(recording, path)
            return path.open("rb")


def build(config: Config) -> LocalCatalogue | RemoteCatalogue:
    """Make the source; UsageError for settings that make no sense."""
    fields.check(config.name, config.fields, plugin="catalogue")
    if not 0 < config.requests_per_second <= _MOST_PER_SECOND:
        raise UsageError(
            f"source catalogue: requests_per_second {config.requests_per_second:g}: "
            f"want more than 0, at most {_MOST_PER_SECOND:g}"
        )
    if config.private_hosts and not config.remote:
        raise UsageError("source catalogue: private_hosts has no effect without remote = true")
    return RemoteCatalogue(config=config) if config.remote else LocalCatalogue(config=config)


def recording(raw: str, config: Config) -> Recording:
    """Read a recording from its row alone; ValueError if it names no audio that may be opened."""
    row = parse_object(raw.encode())
    location = _location(row, config)
    return _recording(row, raw, location, _key(row, location, config), config)


def _check(config: Config) -> None:
    if not inputs.is_file(config.path):
        raise UsageError(
            f"catalogue: {config.path}: no such file; set source.path (or --set source.N.path=…) to a list "
            f"of works ({', '.join(rows.SUFFIXES)})"
        )
    if not config.path.endswith(rows.SUFFIXES):
        raise UsageError(f"catalogue: {config.path}: want one of {', '.join(rows.SUFFIXES)}")
    if not inputs.is_folder(_folder(config)):
        raise UsageError(f"catalogue: {config.audio}: no such folder; set source.audio")
    columns = rows.columns(config.path, "catalogue")
    if columns is None:
        return
    fields.require(columns, config.fields, where=f"catalogue: {config.path}")
    if not fields.columns_of("audio", columns, config.fields):
        there = ", ".join(repr(name[:80]) for name in columns)
        raise UsageError(
            f"catalogue: {config.path}: no column for the audio; there is: {there}. "
            'Name it: fields = {audio = "…"}'
        )


def _offers(config: Config, tally: Remarks) -> Iterator[Offer | Rejection]:
    _check(config)
    tally.clear()
    for line in rows.read(config.path, "catalogue"):
        yield _offer(line, config, tally)


def _remarks(config: Config, tally: Remarks) -> tuple[str, ...]:
    return tally.sentences(config.name, fields.unread(tuple(tally.seen), config.fields))


def _offer(line: CatalogueLine, config: Config, tally: Remarks) -> Offer | Rejection:
    if line.problem:
        detail = f"{line.where}: {line.problem}"
        return reject_row(config.name, line.raw.encode(), "bad_metadata", detail)
    if line.num_missing:
        tally.say("fewer cells than the header names columns; the missing are taken as not stated")
    key = ""
    try:
        location = _location(line.row, config)
        key = _key(line.row, location, config)
        if urls.is_url(location) and not config.remote:
            raise Refused("remote_not_allowed", "its audio is at an address; set remote = true to fetch such")
        row = fields.declared(line.row, config.fields, config)
        raw = line.raw if row is line.row else canonical_json(row)
        stated = _recording(row, raw, location, key, config, tally)
    except Refused as refused:
        detail = f"{line.where}: {refused}"[:300]
        if key:
            return Rejection(id=key, stage="list", reason=refused.reason, detail=detail)
        return reject_row(config.name, line.raw.encode(), refused.reason, detail)
    if not stated.sha256 and not urls.is_url(location):
        stated = dataclasses.replace(stated, sha256=_sha256(location, config))
    return Offer(recording=stated, raw=raw)


def _recording(
    row: Row, raw: str, location: str, key: str, config: Config, tally: Remarks | None = None
) -> Recording:
    name = location.partition("?")[0] if urls.is_url(location) else location
    return fields.recording(
        row, config.fields, key=key, raw=raw, audio_url=location, file_name=name, tally=tally
    )


def _key(row: Row, location: str, config: Config) -> str:
    return fields.recording_id(fields.text(row, "id", config.fields).strip() or normal(location), config.name)


def _location(row: Row, config: Config) -> str:
    """Where the row's audio is: an address, or a path as it is opened. Refused if it must not be opened."""
    said = fields.text(row, "audio", config.fields).strip()
    if not said:
        raise Refused("no_audio", "the row names no audio")
    if urls.is_url(said):
        said = unescaped(said)
        if problem := urls.problem(said, config.private_hosts):
            raise Refused("bad_url", problem)
        return said
    path = PurePosixPath(said)
    fits = len(said) <= _MOST_PATH and all(len(part.encode()) <= _MOST_NAME for part in path.parts)
    if path.is_absolute() and config.absolute_paths and said.isprintable() and fits:
        return said
    if not is_safe(path.as_posix()) or not fits:
        raise Refused("bad_path", f"{said[:200]!r} does not name a file within the folder")
    return path.as_posix()


def _folder(config: Config) -> str:
    return config.audio or os.path.dirname(config.path) or "."


def _open(location: str, config: Config) -> BinaryIO:
    if os.path.isabs(location) and config.absolute_paths:
        if not os.path.isfile(location):  # nor a pipe, which would be waited for
            raise FileNotFoundError(f"{location}: no such file")
        return open(location, "rb")
    return Archive(path=_folder(config), key="audio", plugin="catalogue").open(location)


def _sha256(location: str, config: Config) -> str:
    """Of the file as it lies here, so that one replaced or added later is noticed; '' if there is none."""
    try:
        with _open(location, config) as file:
            return hashlib.file_digest(cast("io.BufferedReader", file), "sha256").hexdigest()
    except (FileNotFoundError, DamagedFile):
        return ""  # said when it is to be opened


def _service(config: Config) -> str:
    return f"catalogue-pace-{config.name}-{config.requests_per_second:g}"


@functools.lru_cache(maxsize=16)
def _own_pace(per_second: float) -> SharedRateLimiter:
    return SharedRateLimiter(per_second)
