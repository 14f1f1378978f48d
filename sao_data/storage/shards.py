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
from dataclasses import asdict
from typing import Any, BinaryIO

from sao_data.errors import IntegrityError, UsageError
from sao_data.ids import MOST_MEMBER
from sao_data.records import Sample, SampleRow, SeekPoint, Shard
from sao_data.storage import documents, layout
from sao_data.storage.backend import Storage

_FIX = "restore the shard from a copy, or delete it and run the same ingest again"
BLOCK = 512  # bytes of a tar block
_RECORD = 20 * BLOCK  # tar files are padded to this


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
        self._write(b"\0" * num_closing(self._offset))
        return Shard(
            name=self._name,
            series=self._series,
            sha256=self._sha256.hexdigest(),
            num_samples=len(self.rows),
            num_bytes=self._offset,
        )

    def _member(self, name: str, data: bytes) -> int:
        self._write(member_header(name, len(data)))
        offset = self._offset
        self._write(data + b"\0" * num_padding(len(data)))
        return offset

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._sha256.update(data)
        self._offset += len(data)


def member_header(name: str, num_bytes: int) -> bytes:
    """The tar block before a member: a plain file without owner or time. UsageError for a name too long."""
    if len(name) > MOST_MEMBER:
        raise UsageError(
            f"{name!r}: {len(name)} characters, a name in a shard has at most {MOST_MEMBER}; shorten the "
            "source's name or the recording's id"
        )
    info = tarfile.TarInfo(name)
    info.size = num_bytes
    info.mtime = 0
    info.mode = 0o644
    return info.tobuf(tarfile.USTAR_FORMAT, "utf-8")


def num_padding(num_bytes: int) -> int:
    """Zeros that follow a member's data."""
    return -num_bytes % BLOCK


def num_closing(offset: int) -> int:
    """Zeros that end a tar whose last member ends at `offset`."""
    end = 2 * BLOCK
    return end + -(offset + end) % _RECORD


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
    with storage.open(f"{layout.SHARD_FOLDER}/{row.shard}") as file:
        flac = read_member(file, row.flac_offset, row.flac_size)
        text = read_member(file, row.json_offset, row.json_size)
    for data, wanted, what in ((flac, row.sha256, "audio"), (text, row.json_sha256, "JSON")):
        if hashlib.sha256(data).hexdigest() != wanted:
            raise IntegrityError(f"{row.shard}: {what} of {row.key} is damaged; run `sao verify`")
    where = f"{storage.url}/{layout.SHARD_FOLDER}/{row.shard}: {row.key}.json"
    return flac, asdict(parse_sample(text, where))


def parse_sample(text: bytes, where: str) -> Sample:
    """What a JSON member says; IntegrityError if it is no sample as this version knows it."""
    return documents.read(Sample, text, where=where, fix=_FIX)
