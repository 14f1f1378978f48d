"""Shards: plain ustar files that any WebDataset reader takes, with every byte decided by their samples.

Two members a sample, `KEY.flac` and `KEY.json`; time stamps, owners and modes are fixed. The index
(samples.parquet) holds the offset and size of each member and its sha256, so that a sample is read without
reading the shard, and a damaged one is noticed: a tar cut at a member boundary reads like a shorter tar,
without any error.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, Protocol

from sao_data.errors import IntegrityError
from sao_data.records import Sample, SampleRow, SeekPoint, Shard
from sao_data.storage import Storage

FOLDER = "shards"
_BLOCK = 512  # tar block
_RECORD = 20 * _BLOCK  # tar files are padded to this
Look = Callable[[SampleRow, dict[str, Any]], None]


class Hash(Protocol):
    """What hashlib's hashes are."""

    def update(self, data: bytes, /) -> None: ...


def shard_name(series: str, bucket: int) -> str:
    """File name of a bucket's shard in a series: "train-000003.tar"."""
    return f"{series}-{bucket:06d}.tar"


def sample_json(sample: Sample) -> bytes:
    """The JSON member: sorted keys, UTF-8, no nulls."""
    return json.dumps(asdict(sample), sort_keys=True, ensure_ascii=False, allow_nan=False).encode()


class ShardWriter:
    """Writes samples to an open file and remembers where they went."""

    def __init__(self, file: BinaryIO, name: str, series: str) -> None:
        self._file = file
        self._name = name
        self._series = series
        self._sha256 = hashlib.sha256()
        self._offset = 0
        self.rows: list[SampleRow] = []

    def add(self, key: str, sample: Sample, flac: bytes, seek_points: tuple[SeekPoint, ...]) -> None:
        """Append one sample."""
        text = sample_json(sample)
        flac_offset = self._member(f"{key}.flac", flac)
        json_offset = self._member(f"{key}.json", text)
        self.rows.append(
            SampleRow(
                key=key,
                recording_id=sample.id,
                shard=self._name,
                flac_offset=flac_offset,
                flac_size=len(flac),
                json_offset=json_offset,
                json_size=len(text),
                sha256=sample.sha256,
                json_sha256=hashlib.sha256(text).hexdigest(),
                num_frames=sample.num_frames,
                seek_points=seek_points,
                credit=sample.credit,
            )
        )

    def finish(self) -> Shard:
        """Write the end of the tar; return what the shard became."""
        end = 2 * _BLOCK
        self._write(b"\0" * (end + -(self._offset + end) % _RECORD))
        return Shard(
            name=self._name,
            series=self._series,
            sha256=self._sha256.hexdigest(),
            num_samples=len(self.rows),
            num_bytes=self._offset,
        )

    def _member(self, name: str, data: bytes) -> int:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        info.mtime = 0
        info.mode = 0o644
        self._write(info.tobuf(tarfile.USTAR_FORMAT, "utf-8"))
        offset = self._offset
        self._write(data + b"\0" * (-len(data) % _BLOCK))
        return offset

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._sha256.update(data)
        self._offset += len(data)


def read_member(file: BinaryIO, offset: int, size: int) -> bytes:
    """`size` bytes at `offset` of an open shard; IntegrityError if the file ends before."""
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        raise IntegrityError(
            f"shard ends at byte {offset + len(data)}, sample needs {offset + size}; run `sao verify`"
        )
    return data


def read_sample(storage: Storage, row: SampleRow) -> tuple[bytes, dict[str, Any]]:
    """(FLAC bytes, JSON fields) of one sample, checked against its hashes."""
    with storage.open(f"{FOLDER}/{row.shard}") as file:
        flac = read_member(file, row.flac_offset, row.flac_size)
        text = read_member(file, row.json_offset, row.json_size)
    for data, wanted, what in ((flac, row.sha256, "audio"), (text, row.json_sha256, "JSON")):
        if hashlib.sha256(data).hexdigest() != wanted:
            raise IntegrityError(f"{row.shard}: {what} of {row.key} is damaged; run `sao verify`")
    fields: dict[str, Any] = json.loads(text)
    return flac, fields


def verify(
    storage: Storage, shards: Iterable[Shard], rows: Iterable[SampleRow], look: Look | None = None
) -> Iterator[str]:
    """Findings, one sentence each: every shard's size and hash, every member's place, hash, name and words.

    `look` sees what every sample says of itself, damaged or not.
    """
    by_shard: dict[str, list[SampleRow]] = defaultdict(list)
    for row in rows:
        by_shard[row.shard].append(row)
    known = set()
    for shard in shards:
        known.add(shard.name)
        yield from _verify_shard(storage, shard, by_shard.get(shard.name, []), look)
    for name in storage.names(FOLDER):
        if name.removeprefix(f"{FOLDER}/") not in known:
            yield f"{name}: not in shards.parquet"
    for name in sorted(set(by_shard) - known):
        yield f"{name}: samples.parquet names it, shards.parquet does not"


def _verify_shard(storage: Storage, shard: Shard, rows: list[SampleRow], look: Look | None) -> Iterator[str]:
    name = f"{FOLDER}/{shard.name}"
    if not storage.exists(name):
        yield f"{name}: missing"
        return
    if len(rows) != shard.num_samples:
        yield f"{name}: {shard.num_samples} samples by shards.parquet, {len(rows)} by samples.parquet"
    whole = hashlib.sha256()
    findings: list[str] = []
    with storage.open(name) as file:
        for member in _members(file, rows, whole):
            findings += _verify_member(member, look)
    if whole.hexdigest() != shard.sha256 or storage.size(name) != shard.num_bytes:
        yield f"{name}: content is not what shards.parquet says (sha256 {whole.hexdigest()[:12]}…)"
    yield from findings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """What lies where the index points."""

    row: SampleRow
    suffix: str  # "flac" or "json"
    header: bytes  # the tar block before it; b"" if the index points into what another member holds
    sha256: str
    text: bytes  # of a JSON member


def _members(file: BinaryIO, rows: Iterable[SampleRow], whole: Hash) -> Iterator[_Member]:
    """Read a shard once, from end to end (it may lie far away), with the members that the index names."""
    places = [(row.flac_offset, row.flac_size, row.key, "flac", row) for row in rows]
    places += [(row.json_offset, row.json_size, row.key, "json", row) for row in rows]
    position = 0
    for offset, size, _, suffix, row in sorted(places, key=lambda place: place[:4]):
        if offset < position:
            yield _Member(row=row, suffix=suffix, header=b"", sha256="", text=b"")
            continue
        header, digest, text = b"", hashlib.sha256(), b""
        for block in _read(file, offset - position, whole):
            header = (header + block)[-_BLOCK:]
        position = offset
        for block in _read(file, size, whole):
            digest.update(block)
            position += len(block)
            text += block if suffix == "json" else b""
        yield _Member(row=row, suffix=suffix, header=header, sha256=digest.hexdigest(), text=text)
    for _ in _read(file, sys.maxsize, whole):
        pass


def _read(file: BinaryIO, num: int, whole: Hash) -> Iterator[bytes]:
    """The next `num` bytes or what is left, in blocks, told to the shard's hash as well."""
    while num > 0 and (block := file.read(min(num, 1 << 20))):
        whole.update(block)
        num -= len(block)
        yield block


def _verify_member(member: _Member, look: Look | None) -> Iterator[str]:
    row, name = member.row, f"{member.row.key}.{member.suffix}"
    size, wanted = (
        (row.flac_size, row.sha256) if member.suffix == "flac" else (row.json_size, row.json_sha256)
    )
    try:
        info = tarfile.TarInfo.frombuf(member.header, "utf-8", "strict")
        there, fits = info.name, (info.name, info.size) == (name, size)
    except (tarfile.HeaderError, ValueError):
        there, fits = "no member", False
    if not fits:
        yield f"{row.shard}: samples.parquet points at {there} for {name}"
    if member.sha256 != wanted:
        yield f"{row.shard}: {name} is damaged: not the sha256 that samples.parquet has"
    if member.suffix == "json":
        yield from _verify_words(member, look)


def _verify_words(member: _Member, look: Look | None) -> Iterator[str]:
    """A sample's JSON must speak of the sample that the index has there."""
    row = member.row
    try:
        fields = json.loads(member.text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        yield f"{row.shard}: {row.key}.json is not a JSON object"
        return
    stated = (("id", row.recording_id), ("sha256", row.sha256), ("credit", row.credit))
    for name, value in (*stated, ("num_frames", row.num_frames)):
        if fields.get(name) != value:
            found = f"{name} is {fields.get(name)!r}, samples.parquet has {value!r}"
            yield f"{row.shard}: {row.key}.json: {found}"
    if look:
        look(row, fields)
