"""Finds the FLAC bytes of a clip by their sha256: in blobs of the bucket's parts, or in its shards as they
lie.

So a changed caption needs no decoding, and a recording whose neighbours changed is not decoded again.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO

from sao_data.errors import IntegrityError
from sao_data.records import Clip, SampleRow
from sao_data.stages.base import Bucket, Part, Stage, run_stage
from sao_data.storage import layout, tables
from sao_data.storage.backend import Storage

PACK = "pack"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    file: BinaryIO
    offset: int
    size: int
    is_ours: bool  # in a blob, which nobody else writes; shards may have been tampered with


class FlacFinder:
    """Open files of one bucket, and where each clip lies in them. Use as a context manager."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._stack = contextlib.ExitStack()
        self._places: dict[str, _Place] = {}

    def __enter__(self) -> FlacFinder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add_blob(self, part: Part, clips: Iterable[Clip]) -> None:
        """Know the clips of a part whose blob is still there."""
        if not self._storage.exists(part.blob):
            return
        file = self._stack.enter_context(self._storage.open(part.blob))
        for clip in clips:
            if clip.blob_offset >= 0:
                place = _Place(file=file, offset=clip.blob_offset, size=clip.flac_bytes, is_ours=True)
                self._places.setdefault(clip.flac_sha256, place)

    def add_shards(self, bucket: int) -> None:
        """Know the clips in the bucket's shards."""
        files: dict[str, BinaryIO] = {}
        for row in _packed_rows(self._storage, bucket):
            name = f"{layout.SHARD_FOLDER}/{row.shard}"
            if row.shard not in files and self._storage.exists(name):
                files[row.shard] = self._stack.enter_context(self._storage.open(name))
            if row.shard in files:
                file = files[row.shard]
                place = _Place(file=file, offset=row.flac_offset, size=row.flac_size, is_ours=False)
                self._places.setdefault(row.sha256, place)

    def has(self, clip: Clip) -> bool:
        """Can the clip's bytes be had? Bytes in shards are checked now, those in blobs when they are read."""
        place = self._places.get(clip.flac_sha256)
        return place is not None and (place.is_ours or self.get(clip) is not None)

    def get(self, clip: Clip) -> bytes | None:
        """The clip's bytes, checked against its hash; None if they are nowhere, or not whole."""
        place = self._places.get(clip.flac_sha256)
        if place is None:
            return None
        place.file.seek(place.offset)
        data = place.file.read(place.size)
        return data if hashlib.sha256(data).hexdigest() == clip.flac_sha256 else None


class ClipAudio:
    """The bytes of wanted clips: found where they lie, else made by normalising again. Use as a context
    manager."""

    def __init__(self, bucket: Bucket, normalise: Stage) -> None:
        self._bucket = bucket
        self._normalise = normalise
        self._flacs = FlacFinder(bucket.storage)

    def __enter__(self) -> ClipAudio:
        return self

    def __exit__(self, *_: object) -> None:
        self._flacs.__exit__(None, None, None)

    def prepare(self, clips: list[Clip]) -> None:
        """Open what will be read, before anything is overwritten."""
        bucket, part = self._bucket, self._bucket.parts[self._normalise.name]
        self._flacs.add_blob(part, clips_of(bucket, part))
        if bucket.storage.replaces_safely:
            self._flacs.add_shards(bucket.index)
        missing = [clip for clip in clips if not self._flacs.has(clip)]
        if missing:
            self._flacs.__exit__(None, None, None)
            run_stage(self._normalise, bucket, needed={clip.recording_id for clip in clips})
            self._flacs = FlacFinder(bucket.storage)
            self._flacs.add_blob(part, clips_of(bucket, part))

    def get(self, clip: Clip) -> bytes:
        """The clip's bytes; IntegrityError if they are not what its hash says."""
        data = self._flacs.get(clip)
        if data is None:
            where = f"{self._bucket.storage.url}: audio of {clip.recording_id} is damaged"
            raise IntegrityError(f"{where}; delete work/ there and run again")
        return data


def parts_on_disk(storage: Storage, bucket: int) -> list[str]:
    """Files of the bucket's packed parts, rows before shards, so that a half-deleted part is no part."""
    prefix = f"{layout.WORK}/{PACK}/{bucket:06d}-"
    names = [name for name in storage.names(f"{layout.WORK}/{PACK}") if name.startswith(prefix)]
    return sorted(names, key=lambda name: name.endswith(".shards.parquet"))


def clips_of(bucket: Bucket, part: Part) -> list[Clip]:
    """The clips of a normalised part, current or earlier."""
    return tables.read(bucket.storage, part.kept, Clip)


def _packed_rows(storage: Storage, bucket: int) -> Iterator[SampleRow]:
    for name in parts_on_disk(storage, bucket):
        if not name.endswith(".shards.parquet"):
            yield from tables.read(storage, name, SampleRow)
