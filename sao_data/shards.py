"""Shards: plain ustar files that any WebDataset reader takes, with every byte decided by their samples.

Two members a sample, `KEY.flac` and `KEY.json`; time stamps, owners and modes are fixed. The index
(samples.parquet) holds the offset and size of each member and its sha256, so that a sample is read without
reading the shard, and a damaged one is noticed: a tar cut at a member boundary reads like a shorter tar,
without any error.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any, BinaryIO

from sao_data.errors import IntegrityError
from sao_data.records import Sample, SampleRow, SeekPoint, Shard
from sao_data.storage import Storage

FOLDER = "shards"
_BLOCK = 512  # tar block
_RECORD = 20 * _BLOCK  # tar files are padded to this


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


def verify(storage: Storage, shards: Iterable[Shard], rows: Iterable[SampleRow]) -> Iterator[str]:
    """Findings, one sentence each: every shard's size and hash, every member's place, hash and name."""
    by_shard: dict[str, list[SampleRow]] = defaultdict(list)
    for row in rows:
        by_shard[row.shard].append(row)
    known = set()
    for shard in shards:
        known.add(shard.name)
        yield from _verify_shard(storage, shard, by_shard.get(shard.name, []))
    for name in storage.names(FOLDER):
        if name.removeprefix(f"{FOLDER}/") not in known:
            yield f"{name}: not in shards.parquet"
    for name in sorted(set(by_shard) - known):
        yield f"{name}: samples.parquet names it, shards.parquet does not"


def _verify_shard(storage: Storage, shard: Shard, rows: list[SampleRow]) -> Iterator[str]:
    name = f"{FOLDER}/{shard.name}"
    if not storage.exists(name):
        yield f"{name}: missing"
        return
    if len(rows) != shard.num_samples:
        yield f"{name}: {shard.num_samples} samples by shards.parquet, {len(rows)} by samples.parquet"
    with storage.open(name) as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
        if digest.hexdigest() == shard.sha256 and storage.size(name) == shard.num_bytes:
            yield from (finding for row in rows for finding in _verify_headers(file, row))
            return
        yield f"{name}: content is not what shards.parquet says (sha256 {digest.hexdigest()[:12]}…)"
        for row in rows:
            yield from _verify_sample(file, row)


def _verify_headers(file: BinaryIO, row: SampleRow) -> Iterator[str]:
    """In an intact shard, the index must still point at the members it names."""
    for suffix, offset, size in (
        ("flac", row.flac_offset, row.flac_size),
        ("json", row.json_offset, row.json_size),
    ):
        file.seek(offset - _BLOCK)
        info = tarfile.TarInfo.frombuf(file.read(_BLOCK), "utf-8", "strict")
        if info.name != f"{row.key}.{suffix}" or info.size != size:
            yield f"{row.shard}: samples.parquet points at {info.name} for {row.key}.{suffix}"


def _verify_sample(file: BinaryIO, row: SampleRow) -> Iterator[str]:
    for suffix, offset, size, wanted in (
        ("flac", row.flac_offset, row.flac_size, row.sha256),
        ("json", row.json_offset, row.json_size, row.json_sha256),
    ):
        file.seek(offset)
        if hashlib.sha256(file.read(size)).hexdigest() != wanted:
            yield f"{row.shard}: {row.key}.{suffix} is damaged"
