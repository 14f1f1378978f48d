"""Checking shards: each is exactly the tar that its index describes, and nothing else is in it.

Members are those of samples.parquet, in order, plain files under the names that follow from the keys, one
right behind the other; zeros end the file. So a shard holds nothing that no table lists: no pickle that
somebody's reader would load, no link, no name that leaves the folder.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

from sao_data.audio.flac import total_frames
from sao_data.errors import IntegrityError
from sao_data.records import Sample, SampleRow, Shard
from sao_data.storage import layout
from sao_data.storage.backend import Storage
from sao_data.storage.shards import BLOCK, member_header, num_closing, num_padding, parse_sample, sample_json

_READ = 1 << 20
_STREAMINFO = 42  # bytes of a FLAC file up to the end of what says how long it is
_MAX_JSON = 64 << 20  # bytes of a sample's JSON that are read; ours have some thousand
OnSample = Callable[[SampleRow, Sample], None]


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def verify(
    storage: Storage, shards: Iterable[Shard], rows: Iterable[SampleRow], on_sample: OnSample | None = None
) -> Iterator[str]:
    """Findings, one sentence each: every shard's size and hash, every member's place, hash, name and words.

    `on_sample` gets what every sample says of itself, damaged or not.
    """
    by_shard: dict[str, list[SampleRow]] = defaultdict(list)
    for row in rows:
        by_shard[row.shard].append(row)
    known: set[str] = set()
    for shard in shards:
        if shard.name in known:
            yield f"{layout.SHARD_FOLDER}/{shard.name}: stands in shards.parquet twice"
        known.add(shard.name)
        if shard.series != shard.name.rsplit("-", 1)[0]:
            yield f"{layout.SHARD_FOLDER}/{shard.name}: shards.parquet has it in the series {shard.series!r}"
        yield from verify_shard(storage, shard, by_shard.get(shard.name, []), on_sample)
    for name in storage.names(layout.SHARD_FOLDER):
        if name.removeprefix(f"{layout.SHARD_FOLDER}/") not in known:
            yield f"{name}: not in shards.parquet"
    for name in sorted(set(by_shard) - known):
        yield f"{name}: samples.parquet names it, shards.parquet does not"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the index says that a member lies."""

    row: SampleRow
    suffix: str  # "flac" or "json"
    offset: int
    size: int
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.row.key}.{self.suffix}"


def verify_shard(
    storage: Storage, shard: Shard, rows: list[SampleRow], on_sample: OnSample | None = None
) -> Iterator[str]:
    """The findings of one shard; `rows` are its samples."""
    name = f"{layout.SHARD_FOLDER}/{shard.name}"
    if not storage.exists(name):
        yield f"{name}: missing"
        return
    if len(rows) != shard.num_samples:
        yield f"{name}: {shard.num_samples} samples by shards.parquet, {len(rows)} by samples.parquet"
    stream = _ShardStream(storage, name, shard)
    findings = list(stream.findings(rows, on_sample))
    if stream.sha256 != shard.sha256 or storage.size(name) != shard.num_bytes:
        yield f"{name}: content is not what shards.parquet says (sha256 {stream.sha256[:12]}…)"
    yield from findings


class _ShardStream:
    """A shard read once, from end to end (it may be in an object store)."""

    def __init__(self, storage: Storage, name: str, shard: Shard) -> None:
        self._storage, self._name, self._shard = storage, name, shard
        self._whole = hashlib.sha256()
        self._at = 0
        self._is_lost = False  # behind a member that is not where its row has it
        self._file: BinaryIO

    @property
    def sha256(self) -> str:
        return self._whole.hexdigest()

    def findings(self, rows: Iterable[SampleRow], on_sample: OnSample | None) -> Iterator[str]:
        """All that is not as the rows have it."""
        with self._storage.open(self._name) as self._file:
            for place in _places(rows):
                if place.offset + place.size > self._shard.num_bytes:
                    self._is_lost = True
                    yield f"{self._shard.name}: samples.parquet has {place.name} beyond the end of the shard"
                else:
                    yield from self._member(place, on_sample)
            yield from self._end()

    def _member(self, place: _Place, on_sample: OnSample | None) -> Iterator[str]:
        shard, start = self._shard.name, place.offset - BLOCK
        if start < self._at:
            self._is_lost = True
            yield f"{shard}: samples.parquet points into another member for {place.name}"
            return
        if start > self._at and not self._is_lost:
            stranger = _described(b"".join(self._take(min(BLOCK, start - self._at))))
            yield f"{shard}: {stranger} lies before {place.name}, and no table has it there"
        self._skip(start - self._at)
        header = b"".join(self._take(BLOCK))
        self._is_lost = header != member_header(place.name, place.size)
        if self._is_lost:
            yield f"{shard}: samples.parquet points at {_described(header)} for {place.name}"
        yield from self._content(place, on_sample)

    def _content(self, place: _Place, on_sample: OnSample | None) -> Iterator[str]:
        shard, digest, text, head = self._shard.name, hashlib.sha256(), b"", b""
        for block in self._take(place.size):
            digest.update(block)
            head = head or block[:_STREAMINFO]
            text += block if place.suffix == "json" and len(text) < _MAX_JSON else b""
        if digest.hexdigest() != place.sha256:
            yield f"{shard}: {place.name} is damaged: not the sha256 that samples.parquet has"
        if not self._is_lost and any(b"".join(self._take(num_padding(place.size)))):
            yield f"{shard}: bytes behind {place.name} belong to no member"
        if place.suffix == "flac" and (total_frames(head) or 0) != place.row.num_frames:
            told = f"{total_frames(head)} frames, samples.parquet has {place.row.num_frames}"
            yield f"{shard}: {place.name} says that it holds {told}"
        if place.suffix == "json":
            yield from _json_findings(shard, place.row, text, on_sample)

    def _end(self) -> Iterator[str]:
        """Nothing but the zeros that end a tar."""
        wanted, num, first = num_closing(self._at), 0, b""
        for block in self._take(self._storage.size(self._name)):
            if any(block) and not first:
                first = block[len(block) - len(block.lstrip(b"\0")) :][:BLOCK]
            num += len(block)
        if first:
            yield f"{self._shard.name}: behind its last sample lies {_described(first)}, which no table has"
        elif num != wanted and not self._is_lost:
            yield f"{self._shard.name}: ends in {num} bytes of zeros, a tar of ours in {wanted}"

    def _skip(self, num: int) -> None:
        for _ in self._take(num):
            pass

    def _take(self, num: int) -> Iterator[bytes]:
        """The next `num` bytes or what is left, in blocks, added to the shard's hash as well."""
        while num > 0 and (block := self._file.read(min(num, _READ))):
            self._whole.update(block)
            self._at += len(block)
            num -= len(block)
            yield block


def _places(rows: Iterable[SampleRow]) -> list[_Place]:
    """Members in the order in which they lie."""
    places = []
    for row in rows:
        for suffix, offset, size, sha256 in (
            ("flac", row.flac_offset, row.flac_size, row.sha256),
            ("json", row.json_offset, row.json_size, row.json_sha256),
        ):
            places.append(_Place(row=row, suffix=suffix, offset=offset, size=size, sha256=sha256))
    return sorted(places, key=lambda place: (place.offset, place.row.key, place.suffix))


def _described(header: bytes) -> str:
    """What a tar block says of the member behind it."""
    try:
        info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return "no member"
    kind = "" if info.isreg() else " (a link or another kind of file)"
    return f"{info.name!r}{kind}" if not info.name.isprintable() or kind else info.name


def _json_findings(shard: str, row: SampleRow, text: bytes, on_sample: OnSample | None) -> Iterator[str]:
    """A sample's JSON must speak of the sample that the index has there."""
    try:
        sample = parse_sample(text, f"{shard}: {row.key}.json")
    except IntegrityError as error:
        yield str(error).rsplit("; ", 1)[0]
        return
    if text != sample_json(sample):
        yield f"{shard}: {row.key}.json is not written as packing writes it"
    stated = (("id", row.recording_id), ("sha256", row.sha256), ("credit", row.credit))
    for name, value in (*stated, ("num_frames", row.num_frames)):
        if (said := getattr(sample, name)) != value:
            yield f"{shard}: {row.key}.json: {name} is {said!r}, samples.parquet has {value!r}"
    if on_sample:
        on_sample(row, sample)


def digests(storage: Storage, shards: Iterable[Shard]) -> Iterator[str]:
    """Shards whose bytes are not those that their table lists; nothing in them is read."""
    for shard in shards:
        name = f"{layout.SHARD_FOLDER}/{shard.name}"
        if not storage.exists(name):
            yield f"{name}: missing"
            continue
        with storage.open(name) as file:
            found = hashlib.file_digest(cast("io.BufferedReader", file), "sha256").hexdigest()
        if found != shard.sha256:
            yield f"{name}: content is not what {layout.SHARDS} says"
